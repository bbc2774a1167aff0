"""Milliseconds per image: PyTorch, the paper's dynamic int8, ONNX Runtime and OpenVINO, with and without heat maps.

    python benchmarks/latency.py [--network convnext_tiny] [--size 384] [--rounds 40] [--threads 2] [--work FOLDER] [--out FILE]

Time does not depend on the weights, so they are random. All contenders take one uint8 image and
return probabilities; they alternate within one run. In each turn a contender is called twice and the
second call is timed, as in a busy service. Besides the network itself, int8 bundles of its
channel-pruned variant and of smaller networks (possible students) are measured. Every bundle is
complete (synthetic images), so that the cold start of `lesionlens predict` can be timed too; `--work`
keeps them for the next call. `lesionlens tune` chooses among the variants of the network first, and `chosen` says what;
the cold start `chosen` is that of `lesionlens predict` without options. What this machine cannot do, such as bf16, is left
out and named under `left_out` with the reason. Needs the extras train, export and compress.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lesionlens.bundle import telemetry

telemetry.switch_off()

import numpy as np  # noqa: E402  after telemetry is off
import onnx  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from lesionlens.bundle.benchmark import Call, alternate, machine, peak_memory, spread, versions  # noqa: E402
from lesionlens.bundle.bundle import Bundle  # noqa: E402
from lesionlens.bundle.bundle_benchmark import load_call  # noqa: E402
from lesionlens.bundle.engines import Limits, computes_in, load_engine  # noqa: E402
from lesionlens.bundle.outputs import INPUT, PROBABILITIES  # noqa: E402
from lesionlens.bundle.remembered import Tuning  # noqa: E402
from lesionlens.bundle.selftest import read_selftest  # noqa: E402
from lesionlens.bundle.tuning import tune  # noqa: E402
from lesionlens.compression.quantize import dynamic_int8  # noqa: E402
from lesionlens.compression.runnable_variant import TorchClassifier  # noqa: E402
from lesionlens.core.artifact import write_json  # noqa: E402
from lesionlens.core.cache import VARIABLE as CACHE  # noqa: E402
from lesionlens.core.machine import ISA_LIMIT, simulated_isa  # noqa: E402
from lesionlens.data.image import InputSpec, open_image, prepare  # noqa: E402
from lesionlens.data.pillow_memory import reuse_memory  # noqa: E402
from lesionlens.export.graph import GraphNetwork  # noqa: E402
from lesionlens.models.build import Normalise  # noqa: E402
from lesionlens.training.checkpoint import load_network  # noqa: E402
from output import work_folder  # noqa: E402  beside this file
from source_version import commit  # noqa: E402  beside this file
from workshop import CHANNEL_PRUNED, Workshop  # noqa: E402  beside this file

BASELINE, PAPER, BEST = "pytorch fp32", "pytorch dynamic int8 (the paper's)", "openvino int8"
TARGETS = {  # goals of the project: name, at least or at most; where two, with fast int8 products (VNNI) and without
    "chosen variant with maps, times faster than pytorch fp32": ("least", (4.65, 2.0)),
    "chosen variant with maps, times faster than the paper's dynamic int8": ("least", 1.0),
    "channel-pruned or smaller network, int8 with maps, times faster than pytorch fp32": ("least", (5.0, 4.0)),
    "share of the time that maps cost": ("most", 0.03),
    "decode and resize, ms": ("most", 5.0),
    "cold start, s": ("most", 1.2),
    "cold start, MB": ("most", 500.0),
}


def contenders(bundle: Bundle, smaller: dict[str, Bundle], threads: int, work: Path) -> Iterator[tuple[str, Call]]:
    """Name and call of each contender, loaded."""
    yield from torch_contenders(bundle)
    for runtime, variant in (
        ("onnxruntime", "fp32"),
        ("onnxruntime", "int8"),
        ("openvino", "fp32"),
        ("openvino", "bf16"),
        ("openvino", "int8"),
        ("openvino", "int8-pointwise"),
    ):
        if variant not in bundle.variants:
            continue
        yield from graph_contenders(f"{runtime} {variant}", bundle, runtime, variant, threads, work)
    yield from graph_contenders("openvino int8, the rest in fp32", bundle, "openvino", "int8", threads, work, "fp32")
    for name, small in smaller.items():
        yield from graph_contenders(f"openvino int8 {name}", small, "openvino", "int8", threads, work)


def graph_contenders(
    name: str, bundle: Bundle, runtime: str, variant: str, threads: int, work: Path, precision: str = ""
) -> Iterator[tuple[str, Call]]:
    """One variant on one runtime: its graph reduced to probabilities, and complete; in its own precision unless one is given."""
    bundle_variant = bundle.variants[variant]
    precision = precision or bundle_variant.precision
    graph = bundle.path / bundle_variant.graphs[runtime]
    bare = work / f"bare.{bundle.path.parent.name}.{graph.name}"
    onnx.utils.extract_model(str(graph), str(bare), [INPUT], [PROBABILITIES])
    yield name, bare_call(runtime, bare, bundle.spec.size, precision, threads)
    yield f"{name} with maps", load_engine(runtime, graph, bundle.spec.size, precision, Limits(threads, 1)).run


def torch_contenders(bundle: Bundle) -> Iterator[tuple[str, Call]]:
    """PyTorch: fp32 and bf16, with and without maps, and the paper's dynamic int8."""
    network, info = load_network(bundle.path / "weights.safetensors")
    normalise = Normalise(info.spec.mean, info.spec.std)
    yield BASELINE, torch_call(TorchClassifier(network, normalise).eval())
    yield f"{BASELINE} with maps", torch_call(GraphNetwork(network, info.spec))
    yield PAPER, torch_call(TorchClassifier(dynamic_int8(network), normalise).eval())
    if not has_bf16():
        return
    half = copy.deepcopy(network).to(torch.bfloat16)
    graph = GraphNetwork(half, info.spec)
    graph.normalise = nn.Sequential(normalise, Half())
    yield "pytorch bf16", torch_call(TorchClassifier(half, graph.normalise).eval())
    yield "pytorch bf16 with maps", torch_call(graph)


def has_bf16() -> bool:
    """Whether this processor computes in bf16; PyTorch would emulate it elsewhere, many times slower."""
    return computes_in("openvino", "bf16")


def left_out() -> dict[str, str]:
    """What is not measured on this machine, and why."""
    reasons = {}
    if not has_bf16():
        names = ("pytorch bf16", "openvino bf16", "the rest of int8 in bf16")
        reasons |= dict.fromkeys(names, "this processor has no bf16 arithmetic (AVX512_BF16 or AMX)")
    if simulated_isa():
        reasons["onnxruntime as on the older processor"] = (
            f"ONNX Runtime does not know {ISA_LIMIT} and used everything that this processor has"
        )
    return reasons


class Half(nn.Module):
    """Numbers in bf16."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The same images."""
        return images.to(torch.bfloat16)


def torch_call(module: Callable[[torch.Tensor], object]) -> Call:
    """A network of PyTorch as a call."""

    def run(images: np.ndarray) -> object:
        with torch.inference_mode():
            return module(torch.from_numpy(images))

    return run


def bare_call(runtime: str, graph: Path, size: int, precision: str, threads: int) -> Call:
    """A graph with probabilities only, called without the engine, which requires all outputs."""
    engine: Any = load_engine(runtime, graph, size, precision, Limits(threads, 1))
    if runtime == "openvino":
        request = engine._requests.get()
        return lambda images: np.array(request.infer({INPUT: images}, share_inputs=True)[PROBABILITIES])
    return lambda images: engine._session.run([PROBABILITIES], {INPUT: images})


def preparation(path: Path, spec: InputSpec, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds to decode and to resize one photograph."""
    reuse_memory()
    steps: dict[str, list[float]] = {"decode": [], "resize": [], "decode and resize": []}
    for number in range(-2, rounds):
        start = time.perf_counter()
        image = open_image(path)
        decoded = time.perf_counter()
        prepare(image, spec)
        done = time.perf_counter()
        for name, seconds in zip(steps, (decoded - start, done - decoded, done - start), strict=True):
            steps[name] += [1000 * seconds] if number >= 0 else []
    return {name: spread(times) for name, times in steps.items()}


FACTS = """
import sys
from lesionlens.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
from lesionlens.core.machine import peak_memory_bytes
print(peak_memory_bytes(), "torch" in sys.modules, file=sys.stderr)
"""


def cold_start(bundle: Path, image: Path, variant: str, runtime: str, rounds: int) -> dict[str, Any]:
    """Seconds from the shell's view, peak memory, and whether torch was loaded, of `lesionlens predict`."""
    words = ["predict", str(bundle), str(image), "--json", "--variant", variant, "--runtime", runtime]
    # As installed, where pip has compiled the modules; from a folder of sources, Python does it at the first start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *command, *words], capture_output=True, text=True, check=True, env=environment)

    run("-m", "lesionlens")  # it reads the files from disk, compiles the graph and tests it
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run("-m", "lesionlens")
        seconds.append(time.perf_counter() - start)
    peak, torch_seen = run("-c", FACTS).stderr.split()[-2:]
    median, p95 = (float(np.quantile(seconds, q)) for q in (0.5, 0.95))
    facts = {"peak_memory_bytes": int(peak), "torch_loaded": torch_seen == "True", "rounds": rounds}
    return {"median_s": median, "p95_s": p95, "fastest_s": min(seconds), **facts}


def comparisons(times: dict[str, list[float]], smaller: dict[str, Bundle]) -> dict[str, dict[str, float]]:
    """How many times faster int8 with maps is, at the medians; and what maps cost, round by round."""
    median = {name: float(np.median(values)) for name, values in times.items()}
    variants = [BEST, *(f"{BEST} {name}" for name in smaller)]
    faster = {name: {base: median[base] / median[f"{name} with maps"] for base in (BASELINE, PAPER)} for name in variants}
    pairs = [name for name in times if f"{name} with maps" in times]
    costs = {name: np.array(times[f"{name} with maps"]) / np.array(times[name]) - 1 for name in pairs}
    return {
        "times_faster_with_maps": {f"{name} than {base}": value for name, row in faster.items() for base, value in row.items()},
        "maps_cost": {name: float(np.median(cost)) for name, cost in costs.items()},
    }


def targets(results: dict[str, Any], smaller: dict[str, Bundle]) -> dict[str, dict[str, Any]]:
    """Each goal, its measured value, and whether it is met."""
    faster, cold = results["times_faster_with_maps"], results["cold start of predict"]["chosen"]
    chosen = results["chosen"]
    small = {name: faster[f"{BEST} {name} than {BASELINE}"] for name in smaller}
    values = [
        chosen["times_faster"][BASELINE],
        chosen["times_faster"][PAPER],
        max(small.values(), default=0.0),
        results["maps_cost"][f"{chosen['runtime']} {chosen['variant']}"],
        results["preparation of a 600x450 JPEG"]["decode and resize"]["median_ms"],
        cold["median_s"],
        cold["peak_memory_bytes"] / 1e6,
    ]
    rows = {}
    for (name, (kind, limits)), value in zip(TARGETS.items(), values, strict=True):
        limit = limits if isinstance(limits, float) else limits[0 if results["machine"]["int8_instructions"] else 1]
        rows[name] = {"value": value, f"at_{kind}": limit, "met": value >= limit if kind == "least" else value <= limit}
    rows["no torch in sys.modules"] = {"value": cold["torch_loaded"], "met": not cold["torch_loaded"]}
    return rows


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="convnext_tiny")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--students", default="convnext_nano,convnext_pico,convnext_atto", help="with commas; may be empty")
    parser.add_argument("--channels-removed", type=float, default=0.3, help="of the channel-pruned network; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--cold-rounds", type=int, default=9)
    parser.add_argument("--calibration", type=int, default=60, help="images that int8 is calibrated on")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder to keep; its bundles are used again")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/latency.json"))
    return parser.parse_args()


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    shop = Workshop(work, options.network, options.size, options.calibration, options.channels_removed)
    bundle, photo = shop.bundle(options.network, has_bf16(), options.network.startswith("convnext_")), shop.photo()
    os.environ[CACHE] = str(work / "cache")  # of this run alone: its cold starts find what the first of them compiled
    tuning = tune(bundle.path)
    names = [*([CHANNEL_PRUNED] if options.channels_removed else []), *filter(None, options.students.split(","))]
    smaller = {name: shop.bundle(name) for name in names}
    times = alternate(dict(contenders(bundle, smaller, options.threads, work)), read_selftest(bundle).images, 1, options.rounds)
    contender_names = [(runtime, variant) for runtime in ("openvino", "onnxruntime") for variant in ("int8", "fp32")]
    cold = {
        f"{one} {variant}": cold_start(bundle.path, photo, variant, one, options.cold_rounds) for one, variant in contender_names
    }
    cold["chosen"] = cold_start(bundle.path, photo, "auto", "auto", options.cold_rounds)
    memory = {f"{one} {name}": memory_of(bundle, name, one, options.threads) for one, name in contender_names}
    results = {
        "command": f"python benchmarks/latency.py --threads {options.threads} --rounds {options.rounds}",
        "network": options.network,
        "size": options.size,
        "batch_size": 1,
        "threads": options.threads,
        "channels_removed": options.channels_removed,
        "weights": "random: this is about time; metrics of trained networks are in compression.json",
        "latency": {name: spread(values) for name, values in times.items()},
        **comparisons(times, smaller),
        "preparation of a 600x450 JPEG": preparation(photo, shop.spec, max(20, options.rounds)),
        "photo_bytes": photo.stat().st_size,
        "cold start of predict": cold,
        "chosen": chosen(tuning, times),
        "memory": memory,
        "size_bytes": {
            f"{name} {variant}": one.variant_size_bytes(variant, "openvino")
            for name, one in {options.network: bundle, **smaller}.items()
            for variant in one.variants
        },
        "left_out": left_out(),
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
    }
    return {"targets": targets(results, smaller), **results}


def chosen(tuning: Tuning, times: dict[str, list[float]]) -> dict[str, Any]:
    """What `lesionlens tune` chose here, and how many times faster it is with maps in this run."""
    best = tuning.fastest()
    assert best is not None, "a tuning has a fastest row"
    here = float(np.median(times[f"{best.runtime} {best.variant} with maps"]))
    faster = {base: float(np.median(times[base])) / here for base in (BASELINE, PAPER)}
    return {"variant": best.variant, "runtime": best.runtime, "median_ms": here, "times_faster": faster, "why": tuning.why(best)}


def memory_of(bundle: Bundle, variant: str, runtime: str, threads: int) -> dict[str, float] | None:
    """Peak memory of a process that does nothing but run it."""
    arguments = (str(bundle.path), variant, runtime, threads, 1)
    memory = peak_memory(load_call, arguments, bundle.spec.size, libraries=(runtime,))
    return None if memory is None else vars(memory)


def main() -> None:
    options = parse()
    with work_folder(options.work) as work:
        result = measure(options, work)
    print(json.dumps(result, indent=2))
    write_json(options.out, result)


if __name__ == "__main__":
    main()
