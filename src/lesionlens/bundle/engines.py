"""The two runtimes behind one small interface: OpenVINO where it is installed, ONNX Runtime everywhere."""

from __future__ import annotations

import importlib
import importlib.util
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from lesionlens.bundle import telemetry
from lesionlens.bundle.compiled import CompiledGraph
from lesionlens.bundle.outputs import INPUT, MAPS, Outputs
from lesionlens.core.errors import BundleError
from lesionlens.core.machine import CPUINFO, cores, instruction_sets, library_threads, schedulable_cores, simulated_isa

EITHER = "bf16-or-fp32"  # bf16 where runtime and processor have it, else fp32
PRECISIONS = ("fp32", "bf16", EITHER)
INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
REPORTED_CHARACTERS = 200


class Limits(NamedTuple):
    """What an engine may use.

    Attributes:
        threads: of computation; 0 leaves it to the runtime (one for each core), but never more than the CPU
            quota of the container.
        batch_size: most images in one call.
        streams: calls that are computed at the same time, from as many threads of the caller's; they share
            `threads`. More than one gives more images per second of a small network, each a little later.
    """

    threads: int = 0
    batch_size: int = 1
    streams: int = 1


class Port(NamedTuple):
    """An input or output of a graph: its element type, and its shape with None where it may vary."""

    kind: str
    shape: tuple[int | None, ...]


class Engine(Protocol):
    """A loaded graph."""

    @property
    def inputs(self) -> Mapping[str, Port]:
        """Its inputs by name."""

    @property
    def outputs(self) -> Mapping[str, Port]:
        """Its outputs by name."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say about how it was loaded."""

    def run(self, images: np.ndarray) -> Outputs:
        """Compute for images, uint8 (N, S, S, 3) with N at most the batch size; may be called from several threads."""


def installed(runtime: str) -> bool:
    """Whether a runtime can be imported here; it is not imported to find out."""
    return importlib.util.find_spec(runtime) is not None


def import_runtime(runtime: str) -> None:
    """Import an installed runtime, silenced; loading a graph would do so too, but perhaps there is time now.

    Raises:
        BundleError: if it is installed, but not for this machine.
    """
    telemetry.switch_off()
    try:
        importlib.import_module(runtime)
    except ImportError as error:
        raise BundleError(
            f"{runtime} is installed and cannot be imported ({_short(error)}); install it again, or choose another --runtime"
        ) from error


def computes_in(runtime: str, precision: str) -> bool:
    """Whether an installed runtime can compute in one of `PRECISIONS` on this processor."""
    if precision in ("fp32", EITHER):
        return True
    if runtime != "openvino":
        return False
    if simulated_isa() and not BF16_FLAGS & set(instruction_sets() or ()):
        return False  # oneDNN obeys the variable; what OpenVINO says of the processor does not
    import_runtime(runtime)
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def load_engine(runtime: str, graph: Path, size: int, precision: str, limits: Limits, content: str = "") -> Engine:
    """Load a graph.

    Args:
        runtime: `openvino` or `onnxruntime`.
        graph: ONNX, or OpenVINO's XML.
        size: side of its images, pixels.
        precision: of what is not quantised, one of `PRECISIONS`.
        limits: threads and batch size.
        content: SHA-256 of the graph's files, if they were just checked against it: then what a runtime compiles is kept
            in the user's cache under that name, and taken from there the next time.

    Raises:
        BundleError: if the runtime is not installed, cannot do `precision` on this processor, or
            cannot load the graph.
    """
    if not installed(runtime):
        raise BundleError(f"{runtime} is not installed; install it with: pip install {runtime}, or choose another --runtime")
    import_runtime(runtime)
    if precision == EITHER:
        precision = "bf16" if computes_in(runtime, "bf16") else "fp32"
    return ENGINES[runtime](graph, size, precision, limits, content)


class OnnxRuntimeEngine:
    """ONNX Runtime on the CPU. Its optimised graphs are not kept: reading one is hardly faster than optimising."""

    notes: tuple[str, ...] = ()

    def __init__(self, graph: Path, size: int, precision: str, limits: Limits, content: str = "") -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        if precision != "fp32":
            raise BundleError(f"onnxruntime has no {precision} on a CPU; choose --runtime openvino, or another --variant")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _onnx_threads(limits)
        options.log_severity_level = 3
        problems = (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented, state.RuntimeException)
        self._problems = (*problems, state.InvalidArgument, state.NoSuchFile, state.EPFail)
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except self._problems as error:
            raise BundleError(f"onnxruntime cannot load {graph} ({_short(error)}); export the bundle again") from error
        self.inputs: Mapping[str, Port] = {node.name: _onnx_port(node) for node in self._session.get_inputs()}
        self.outputs: Mapping[str, Port] = {node.name: _onnx_port(node) for node in self._session.get_outputs()}

    def run(self, images: np.ndarray) -> Outputs:
        """See `Engine.run`."""
        names = [name for name in Outputs._fields if name in self.outputs]
        try:
            found = self._session.run(names, {INPUT: images})
        except self._problems as error:
            raise BundleError(f"onnxruntime failed on {len(images)} images ({_short(error)}); try a smaller batch") from error
        return _outputs(dict(zip(names, found, strict=True)))


_LOADING = threading.Lock()
"""One graph at a time: OpenVINO reads and writes compiled graphs through Python under locks of its own, and two threads of one
process would wait for each other for ever."""


class OpenVinoEngine:
    """OpenVINO on the CPU, compiled for the shapes that it will see."""

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]

    def __init__(self, graph: Path, size: int, precision: str, limits: Limits, content: str = "") -> None:
        import openvino

        if not computes_in("openvino", precision):
            raise BundleError("this processor has no bf16 arithmetic (AVX512_BF16 or AMX); choose --variant fp32 or int8")
        config = _openvino_config(precision, limits)
        settings = {**config, "size": size, "batch_size": limits.batch_size, "version": openvino.get_version()}
        kept = CompiledGraph(content, settings)
        core = openvino.Core()
        try:
            with _LOADING:
                compiled = kept.load(core, "CPU", config)
                if compiled is not None:
                    self.inputs, self.outputs = _openvino_ports(compiled.inputs), _openvino_ports(compiled.outputs)
                else:
                    model = core.read_model(graph)
                    self.inputs, self.outputs = _openvino_ports(model.inputs), _openvino_ports(model.outputs)
                    _fix_shape(model, size, limits.batch_size)
                    compiled = core.compile_model(model, "CPU", config)
                    if (self.inputs, self.outputs) == (_openvino_ports(compiled.inputs), _openvino_ports(compiled.outputs)):
                        kept.keep(compiled)  # one of another size is about to be refused
                self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
                for _ in range(limits.streams):
                    self._requests.put(compiled.create_infer_request())
        except RuntimeError as error:
            raise BundleError(f"openvino cannot load {graph} ({_short(error)}); export the bundle again") from error
        self.notes, self._memory = kept.notes, kept.memory

    def run(self, images: np.ndarray) -> Outputs:
        """See `Engine.run`."""
        request = self._requests.get()
        try:
            found = request.infer({INPUT: images}, share_inputs=True)
            return _outputs({port.get_any_name(): np.array(value) for port, value in found.items()})
        except RuntimeError as error:
            raise BundleError(f"openvino failed on {len(images)} images ({_short(error)}); try a smaller batch") from error
        finally:
            self._requests.put(request)


ENGINES: dict[str, Callable[[Path, int, str, Limits, str], Engine]] = {
    "openvino": OpenVinoEngine,
    "onnxruntime": OnnxRuntimeEngine,
}
OPENVINO_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # said always: its default would be bf16 where the processor has it
KINDS = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


def fast_int8(cpuinfo: Path = CPUINFO) -> bool | None:
    """Whether this processor has instructions for int8 products (VNNI, AMX, or ARM's dot product); None if unknown.

    A processor that `ONEDNN_MAX_CPU_ISA` makes older has those of the older one.
    """
    known = instruction_sets(cpuinfo)
    return None if known is None else bool(INT8_FLAGS & set(known))


def version_of(library: str) -> str:
    """Version of an installed library, if possible from a file name: importing `importlib.metadata` takes 0.05 s.

    Example:
        >>> version_of("numpy") == np.__version__
        True
    """
    spec = importlib.util.find_spec(library)
    if spec is not None and spec.origin:
        found = [path.name for path in Path(spec.origin).parents[1].glob(f"{library}-*.dist-info")]
        if len(found) == 1:
            return found[0].removeprefix(f"{library}-").removesuffix(".dist-info")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(library)
    except PackageNotFoundError:  # its package has another name, such as onnxruntime-gpu
        return str(importlib.import_module(library).__version__)


def _openvino_config(precision: str, limits: Limits) -> dict[str, Any]:
    config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": OPENVINO_PRECISIONS[precision]}
    threads = limits.threads or library_threads()
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
        # It pins threads to cores, beginning with the first: several processes with a few threads each would share that core.
        config["ENABLE_CPU_PINNING"] = threads >= schedulable_cores()
    if limits.streams > 1:
        config["NUM_STREAMS"] = limits.streams
    return config


def _fix_shape(model: Any, size: int, batch_size: int) -> None:
    import openvino

    if INPUT in {port.get_any_name() for port in model.inputs}:
        # A batch that is known to be 1 lets it plan every buffer before the first image.
        batch = 1 if batch_size == 1 else openvino.Dimension(1, batch_size)
        model.reshape({INPUT: openvino.PartialShape([batch, size, size, 3])})


def _onnx_threads(limits: Limits) -> int:
    """Threads of one of several calls at a time; 0 leaves the number to ONNX Runtime."""
    if limits.streams == 1:
        return limits.threads or library_threads()
    return max(1, (limits.threads or cores()) // limits.streams)


def _outputs(found: dict[str, np.ndarray]) -> Outputs:
    return Outputs(found["probabilities"], found["features"], found.get(MAPS))


def _onnx_port(node: Any) -> Port:
    return Port(KINDS.get(node.type, node.type), tuple(side if isinstance(side, int) else None for side in node.shape))


def _openvino_ports(ports: Any) -> dict[str, Port]:
    """By name; the number of images, the first side, counts as one that may vary."""
    return {port.get_any_name(): _openvino_port(port) for port in ports}


def _openvino_port(port: Any) -> Port:
    sides = [None if side.is_dynamic else side.get_length() for side in port.get_partial_shape()]
    return Port(np.dtype(port.get_element_type().to_dtype()).name, (None, *sides[1:]) if sides else ())


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:REPORTED_CHARACTERS]
