"""How fast and how large: time of calls that alternate, memory of each in a process of its own."""

from __future__ import annotations

import importlib
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from lesionlens.bundle import telemetry
from lesionlens.bundle.engines import fast_int8
from lesionlens.core.errors import LesionLensError, ModelError, RecipeError
from lesionlens.core.machine import ISA_LIMIT, machine_facts, peak_memory_bytes, simulated_isa

Call = Callable[[np.ndarray], object]

PAUSE_S = 0.02  # between turns, so that threads of the one before have stopped spinning
WARM_ROUNDS = 2
REPEAT_MS = 1000.0  # a call that is shorter is made twice in its turn, and the second one counts
LEAST_ROUNDS = 5
VERSIONS_OF = ("lesionlens", "numpy", "pillow", "onnxruntime", "openvino", "nncf", "torch", "timm", "onnx")


@dataclass(frozen=True)
class Memory:
    """Most memory that one process had resident, bytes.

    Attributes:
        baseline_bytes: with Python and the libraries loaded, before there was a network.
        peak_bytes: at its highest.
        load_s: seconds from there to a call that can be made, in this fresh process.
        import_s: seconds that the libraries took before.
    """

    baseline_bytes: int
    peak_bytes: int
    load_s: float
    import_s: float


def measure(
    calls: Mapping[str, Call],
    images: np.ndarray | Mapping[str, np.ndarray],
    batch_sizes: Sequence[int] = (1, 64),
    rounds: int = 20,
    progress: Callable[[int], None] | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Milliseconds per image of several contenders, which alternate in this process.

    Every round calls each contender once, starting with another one each time; two rounds warm up.
    Before a call that takes less than a second there is one that does not count, as in a service
    that is asked again and again. Batches of more than one image get fewer rounds, at least 5.

    Args:
        calls: by name; each takes uint8 images (N, S, S, 3) and computes at once.
        images: uint8 (M, S, S, 3), M at least 1, repeated to fill a batch; or such images for each name.
        batch_sizes: numbers of images in one call.
        rounds: timed calls of each contender at batch 1.
        progress: told after each round of all contenders; `rounds_in_all` says how many there are.

    Returns:
        By contender and batch size (as text): `median_ms`, `p95_ms` and `fastest_ms` per image,
        `images_per_s` at the median, and `rounds`.

    Raises:
        RecipeError: if a number is below 1, or there are no calls.
    """
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in calls}
    for size in batch_sizes:
        for name, times in alternate(calls, images, size, rounds, progress).items():
            found[name][str(size)] = spread(times)
    return found


def alternate(
    calls: Mapping[str, Call],
    images: np.ndarray | Mapping[str, np.ndarray],
    batch_size: int,
    rounds: int,
    progress: Callable[[int], None] | None = None,
) -> dict[str, list[float]]:
    """What `measure` measures, one by one: milliseconds per image of each timed call, by contender."""
    if rounds < 1 or batch_size < 1 or not calls:
        raise RecipeError(f"{rounds} rounds, batches of {batch_size}, {len(calls)} calls; each must be 1 or more")
    batches = {name: _batches(images[name] if isinstance(images, Mapping) else images, batch_size) for name in calls}
    times: dict[str, list[float]] = {name: [] for name in calls}
    last_ms = dict.fromkeys(calls, 0.0)
    names = list(calls)
    for number in range(-WARM_ROUNDS, rounds_of(batch_size, rounds)):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            batch = batches[name][number % len(batches[name])]
            time.sleep(PAUSE_S)
            if last_ms[name] < REPEAT_MS:
                calls[name](batch)
            start = time.perf_counter()
            calls[name](batch)
            last_ms[name] = 1000 * (time.perf_counter() - start)
            if number >= 0:
                times[name].append(last_ms[name] / batch_size)
        if progress is not None:
            progress(1)
    return times


def spread(times_ms: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and smallest of some times, images a second at the median, and how many they are."""
    median, p95 = (float(np.quantile(times_ms, share)) for share in (0.5, 0.95))
    return {
        "median_ms": median,
        "p95_ms": p95,
        "fastest_ms": min(times_ms),
        "images_per_s": 1000 / median,
        "rounds": len(times_ms),
    }


def rounds_of(batch_size: int, rounds: int) -> int:
    """Timed calls at this batch size."""
    return max(min(LEAST_ROUNDS, rounds), rounds // batch_size)


def rounds_in_all(batch_sizes: Sequence[int], rounds: int) -> int:
    """How often `measure` tells its progress."""
    return sum(WARM_ROUNDS + rounds_of(size, rounds) for size in batch_sizes)


def peak_memory(
    load: Callable[..., Call], arguments: Sequence[str | int], size: int, batch_size: int = 1, libraries: Sequence[str] = ()
) -> Memory | None:
    """Memory and load time of one contender, in a process of its own.

    Args:
        load: a function of a module that can be imported; called with `arguments`, it gives the call.
        arguments: for `load`; text and numbers only.
        size: side of the images, pixels.
        batch_size: images in one call.
        libraries: modules to import before the baseline is taken, beside the module of `load`.

    Returns:
        None where the system does not tell the memory of a process.

    Raises:
        RecipeError: if `load` lies in no module that a new process could import.
        ModelError: if it fails there.
    """
    if load.__module__ == "__main__" or "<" in load.__qualname__:
        raise RecipeError(f"{load.__qualname__} of {load.__module__} cannot be found by a new process; put it into a module")
    task = {"module": load.__module__, "function": load.__qualname__, "arguments": list(arguments), "libraries": list(libraries)}
    command = [sys.executable, "-m", "lesionlens.bundle.benchmark", json.dumps({**task, "size": size, "batch": batch_size})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"{load.__qualname__}({', '.join(map(str, arguments))}) failed in a process of its own: {reason}")
    found = json.loads(done.stdout.splitlines()[-1])
    return None if found["peak_bytes"] is None else Memory(**found)


def machine() -> dict[str, Any]:
    """The machine that measures, JSON-ready."""
    return {
        **machine_facts(),
        "int8_instructions": fast_int8(),
        "simulated": f"{ISA_LIMIT}={simulated_isa()}" if simulated_isa() else None,
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of what is installed of the libraries that compute."""
    found = {"python": platform.python_version()}
    for name in VERSIONS_OF:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _batches(images: np.ndarray, size: int) -> list[np.ndarray]:
    """Different batches of `size` images, as many as the images give; each in memory of its own."""
    count = max(1, len(images) // size)
    rows = (np.arange(size) + start * size for start in range(count))
    return [np.ascontiguousarray(images[row % len(images)]) for row in rows]


def _probe(task: dict[str, Any]) -> dict[str, Any]:
    """In the process of its own: load, run three times, and tell what that took."""
    telemetry.switch_off()
    started = time.perf_counter()
    for name in (*task["libraries"], task["module"]):
        importlib.import_module(name)
    imported = time.perf_counter()
    baseline = peak_memory_bytes()
    load: Any = importlib.import_module(task["module"])
    for name in task["function"].split("."):
        load = getattr(load, name)
    call = load(*task["arguments"])
    loaded = time.perf_counter()
    images = np.random.default_rng(0).integers(0, 256, (task["batch"], task["size"], task["size"], 3), np.uint8)
    for _ in range(3):
        call(images)
    times = {"load_s": loaded - imported, "import_s": imported - started}
    return {"baseline_bytes": baseline, "peak_bytes": peak_memory_bytes(), **times}


if __name__ == "__main__":
    try:
        print(json.dumps(_probe(json.loads(sys.argv[1]))))
    except LesionLensError as problem:
        sys.exit(str(problem))
