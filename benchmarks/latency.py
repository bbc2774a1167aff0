"""Milliseconds for one image: PyTorch, the paper's dynamic int8, ONNX Runtime and OpenVINO, with heat maps and without.

    python benchmarks/latency.py [--network convnext_tiny] [--size 384] [--rounds 40] [--threads 2] [--work FOLDER] [--out FILE]

Time does not depend on the weights, so they are random. All contenders take one uint8 image and
give probabilities; they alternate within one run. In each turn a contender is called twice and the
second call is timed, as in a service that is asked again and again. The bundle that is made in
`--work` is a whole one (synthetic images), so that the cold start of `lesionlens predict` can be
timed on it too. Needs the extras train, export and compress.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lesionlens.deployment import telemetry

telemetry.switch_off()

import numpy as np  # noqa: E402  after telemetry is off
import onnx  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from lesionlens.core.artifact import write_json  # noqa: E402
from lesionlens.core.recipe_file import recipe_from  # noqa: E402
from lesionlens.data.image import input_spec, open_image, prepare  # noqa: E402
from lesionlens.data.sources import read_source  # noqa: E402
from lesionlens.data.split import make_split  # noqa: E402
from lesionlens.data.store import Store, pack  # noqa: E402
from lesionlens.data.synthetic import write_synthetic  # noqa: E402
from lesionlens.deployment.bundle import Bundle, Variant, open_bundle  # noqa: E402
from lesionlens.deployment.engines import Limits, fast_int8, load_engine  # noqa: E402
from lesionlens.deployment.export import ExportSettings, Material, export  # noqa: E402
from lesionlens.deployment.outputs import INPUT, PROBABILITIES, Tolerance  # noqa: E402
from lesionlens.deployment.selftest import read_selftest  # noqa: E402
from lesionlens.deployment.variants import NewVariant, add_variant  # noqa: E402
from lesionlens.models.build import Normalise, build_network  # noqa: E402
from lesionlens.training.checkpoint import CheckpointInfo, load_network, save_network, versions  # noqa: E402

WIDTH, HEIGHT = 600, 450  # of HAM10000's photographs
PAUSE_S = 0.02  # between turns, so that threads of the one before have stopped spinning
LOOSE = Tolerance(0.5, 1.0, 1.0)  # random weights put no image far from any other class
PACKAGES = ("torch", "timm", "onnx", "onnxruntime", "openvino", "nncf", "pillow", "numpy")
BASELINE, PAPER, BEST = "pytorch fp32", "pytorch dynamic int8 (the paper's)", "openvino int8"
Call = Callable[[np.ndarray], object]


class Whole(nn.Module):
    """What PyTorch has to do for one image: normalise, network, softmax."""

    def __init__(self, network: nn.Module, normalise: nn.Module) -> None:
        super().__init__()
        self.network, self.normalise = network, normalise

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities (N, K) of uint8 images (N, S, S, 3)."""
        return torch.softmax(self.network(self.normalise(images.permute(0, 3, 1, 2))), dim=1)


def make_bundle(folder: Path, name: str, size: int, calibration: int) -> Bundle:
    """A whole bundle of a random network, with the variants int8 and bf16."""
    recipe = recipe_from({"name": name, "input": {"size": size}, "model": {"name": name, "weights": "none"}})
    write_synthetic(folder / "images", n_images=max(60, calibration), seed=0, width=WIDTH, height=HEIGHT)
    index = read_source(folder / "images")
    split = make_split(index, recipe.split)
    spec = input_spec(recipe.input)
    store = pack(index, spec, folder / "store")
    torch.manual_seed(0)
    network = build_network(recipe.model, len(index.labels), size)
    facts = (split.hash, "none", index.hash, split.protocol, split.leaks)
    info = CheckpointInfo(index.labels, spec, recipe, *facts, versions=versions())
    save_network(network, info, folder / "best.safetensors")
    settings = ExportSettings(compared_images=4, selftest_images=4, batch_size=4)
    export(folder / "best.safetensors", Material(index, split, store), folder / "bundle", settings=settings)
    quantise(folder / "bundle" / "model.onnx", store, calibration, folder / "model.int8.onnx")
    graphs = {"openvino": "model.int8.onnx", "onnxruntime": "model.int8.onnx"}
    int8 = NewVariant("int8", [folder / "model.int8.onnx"], graphs, tolerance=LOOSE, default=True)
    add_variant(folder / "bundle", int8)
    bf16 = NewVariant("bf16", [], {"openvino": "model.onnx"}, precision="bf16", tolerance=LOOSE)
    return add_variant(folder / "bundle", bf16)


def quantise(graph: Path, store: Store, count: int, path: Path) -> None:
    """Static int8 (QDQ) of all but the head, whose float maps cost next to nothing."""
    import nncf

    nncf.set_log_level(logging.ERROR)
    model = onnx.load(graph)
    images = [np.ascontiguousarray(store.images[number : number + 1]) for number in range(min(count, len(store)))]
    made = nncf.quantize(
        model,
        nncf.Dataset(images, lambda image: {INPUT: image}),
        subset_size=len(images),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(names=head_nodes(model)),
    )
    onnx.save(made, str(path))


def head_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that the pooled features do not depend on."""
    maker = {name: node for node in model.graph.node for name in node.output}
    backbone: set[str] = set()
    left = ["features"]
    while left:
        node = maker.get(left.pop())
        if node is not None and node.name not in backbone:
            backbone.add(node.name)
            left.extend(node.input)
    return [node.name for node in model.graph.node if node.name not in backbone]


def contenders(bundle: Bundle, threads: int, work: Path) -> Iterator[tuple[str, Call]]:
    """Name and call of each contender, loaded."""
    yield from torch_contenders(bundle)
    for runtime, variant in (
        ("onnxruntime", "fp32"),
        ("onnxruntime", "int8"),
        ("openvino", "fp32"),
        ("openvino", "bf16"),
        ("openvino", "int8"),
    ):
        chosen = bundle.variants[variant]
        graph = bundle.path / chosen.graphs[runtime]
        bare = work / f"bare.{graph.name}"
        onnx.utils.extract_model(str(graph), str(bare), [INPUT], [PROBABILITIES])
        yield f"{runtime} {variant}", bare_call(runtime, bare, bundle.spec.size, chosen, threads)
        engine = load_engine(runtime, graph, bundle.spec.size, chosen.precision, Limits(threads, 1))
        yield f"{runtime} {variant} with maps", engine.run


def torch_contenders(bundle: Bundle) -> Iterator[tuple[str, Call]]:
    """PyTorch itself, without maps."""
    network, info = load_network(bundle.path / "weights.safetensors")
    whole = Whole(network, Normalise(info.spec.mean, info.spec.std)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated; here only to reproduce the paper's row
        dynamic = torch.ao.quantization.quantize_dynamic(whole, {nn.Linear}, dtype=torch.qint8)

    def call(module: nn.Module) -> Call:
        def run(images: np.ndarray) -> object:
            with torch.inference_mode():
                return module(torch.from_numpy(images))

        return run

    yield BASELINE, call(whole)
    yield PAPER, call(dynamic)


def bare_call(runtime: str, graph: Path, size: int, variant: Variant, threads: int) -> Call:
    """A graph that gives probabilities only, called past the engine, which wants all outputs."""
    engine: Any = load_engine(runtime, graph, size, variant.precision, Limits(threads, 1))
    if runtime == "openvino":
        return lambda images: np.array(engine._request.infer({INPUT: images}, share_inputs=True)[PROBABILITIES])
    return lambda images: engine._session.run([PROBABILITIES], {INPUT: images})


def alternate(calls: dict[str, Call], images: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, by contender; each round starts with another one."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(-2, rounds):  # two rounds to warm up
        for name in names[number % len(names) :] + names[: number % len(names)]:
            image = images[number % len(images)][None]
            time.sleep(PAUSE_S)
            calls[name](image)
            start = time.perf_counter()
            calls[name](image)
            if number >= 0:
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def preparation(path: Path, size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds to decode and to resize one photograph."""
    spec = input_spec(recipe_from({"input": {"size": size}}).input)
    steps: dict[str, list[float]] = {"decode": [], "resize": [], "decode and resize": []}
    for _ in range(rounds):
        start = time.perf_counter()
        image = open_image(path)
        decoded = time.perf_counter()
        prepare(image, spec)
        done = time.perf_counter()
        for name, seconds in zip(steps, (decoded - start, done - decoded, done - start), strict=True):
            steps[name].append(1000 * seconds)
    return {name: spread(times) for name, times in steps.items()}


COLD = """
import sys
from lesionlens.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024, "torch" in sys.modules, file=sys.stderr)
"""


def cold_start(bundle: Path, image: Path, variant: str, runtime: str, rounds: int) -> dict[str, Any]:
    """Seconds from the shell's view, peak memory, and whether torch was loaded, of `lesionlens predict`."""
    options = ["--json", "--variant", variant, "--runtime", runtime]
    seconds, peaks, torch_seen = [], [], False
    for _ in range(rounds):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", COLD, "predict", str(bundle), str(image), *options], capture_output=True, text=True, check=True
        )
        seconds.append(time.perf_counter() - start)
        peak, seen = done.stderr.split()[-2:]
        peaks.append(float(peak))
        torch_seen |= seen == "True"
    median, p95 = (float(np.quantile(seconds, q)) for q in (0.5, 0.95))
    return {"median_s": median, "p95_s": p95, "peak_memory_mib": max(peaks), "torch_loaded": torch_seen, "rounds": rounds}


def spread(times: list[float]) -> dict[str, float]:
    return {"median_ms": float(np.median(times)), "p95_ms": float(np.quantile(times, 0.95)), "fastest_ms": min(times)}


def ratios(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """The comparisons that the project promises."""
    median = {name: figures["median_ms"] for name, figures in found.items()}
    with_maps = median[f"{BEST} with maps"]
    return {
        "int8 with maps, times faster than pytorch fp32": median[BASELINE] / with_maps,
        "int8 with maps, times faster than the paper's dynamic int8": median[PAPER] / with_maps,
        **{
            f"maps cost, {name}": median[f"{name} with maps"] / median[name] - 1
            for name in median
            if f"{name} with maps" in median
        },
    }


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {"processor": model, "cores": os.cpu_count(), "int8 instructions": fast_int8(), "system": platform.platform()}


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="convnext_tiny")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--cold-rounds", type=int, default=5)
    parser.add_argument("--calibration", type=int, default=60, help="images that int8 is calibrated on")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder to keep; its bundle is used again")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/latency.json"))
    return parser.parse_args()


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    made = (work / "bundle" / "bundle.json").is_file()
    bundle = open_bundle(work / "bundle") if made else make_bundle(work, options.network, options.size, options.calibration)
    calls = dict(contenders(bundle, options.threads, work))
    times = alternate(calls, read_selftest(bundle).images, options.rounds)
    found = {name: spread(values) for name, values in times.items()}
    photo = min((work / "images").rglob("*.jpg"))
    cold = {
        f"{runtime} {variant}": cold_start(bundle.path, photo, variant, runtime, options.cold_rounds)
        for runtime in ("openvino", "onnxruntime")
        for variant in ("int8", "fp32")
    }
    return {
        "network": options.network,
        "size": options.size,
        "batch_size": 1,
        "rounds": options.rounds,
        "threads": options.threads,
        "latency": found,
        "ratios": ratios(found),
        "preparation of a 600x450 JPEG": preparation(photo, options.size, max(20, options.rounds)),
        "cold start of predict": cold,
        "size_bytes": {
            f"{runtime} {name}": bundle.variant_size_bytes(name, runtime)
            for name, variant in bundle.variants.items()
            for runtime in variant.graphs
        },
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "commit": commit(),
    }


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        result = measure(options, work)
    print(json.dumps(result, indent=2))
    write_json(options.out, result)


if __name__ == "__main__":
    main()
