"""One table over bundles, variants and runtimes: time, memory, bytes on disk, and how long loading takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lesionlens.bundle.benchmark import Call, machine, measure, peak_memory, rounds_in_all, versions
from lesionlens.bundle.bundle import RUNTIMES, Bundle, open_bundle
from lesionlens.bundle.engines import installed
from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.selftest import read_selftest
from lesionlens.core.errors import BundleError, RecipeError

ALL = "all"
LARGEST_BATCH = 4096


@dataclass(frozen=True)
class Contender:
    """One variant of one bundle on one runtime."""

    bundle: Bundle
    variant: str
    runtime: str

    @property
    def name(self) -> str:
        """It and no other."""
        return f"{self.bundle.path} {self.variant} {self.runtime}"


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        batch_sizes: numbers of images in one call.
        threads: of computation; 0 leaves it to the runtime.
        rounds: timed calls of each contender at batch 1.
    """

    batch_sizes: tuple[int, ...] = (1, 64)
    threads: int = 0
    rounds: int = 20

    def __post_init__(self) -> None:
        if not self.batch_sizes or not all(1 <= size <= LARGEST_BATCH for size in self.batch_sizes):
            raise RecipeError(f"batch sizes {list(self.batch_sizes)}; each must be from 1 to {LARGEST_BATCH}")
        if self.threads < 0 or self.rounds < 1:
            raise RecipeError(f"{self.threads} threads and {self.rounds} rounds; it must be at least 0 and 1")

    @property
    def rounds_in_all(self) -> int:
        """How often `benchmark` tells its progress."""
        return rounds_in_all(self.batch_sizes, self.rounds)


def find_contenders(paths: Sequence[Path], runtime: str = ALL, variant: str = ALL) -> tuple[list[Contender], list[str]]:
    """What there is to compare, and in words what cannot be run here.

    Args:
        paths: of bundles; every file of them is checked.
        runtime: one of them, or `all`.
        variant: name of one, or `all`.

    Raises:
        RecipeError: if there is no such runtime.
        BundleError: if a bundle is damaged, no bundle has the variant, or nothing can be run here.
    """
    if runtime not in (ALL, *RUNTIMES):
        raise RecipeError(f"runtime {runtime!r}; it must be {ALL}, {' or '.join(RUNTIMES)}")
    found: list[Contender] = []
    left_out: list[str] = []
    for bundle in [open_bundle(path) for path in dict.fromkeys(paths)]:
        names = list(bundle.variants) if variant == ALL else [bundle.variant(variant).name]
        pairs = [(name, one) for name in names for one in bundle.variants[name].graphs if runtime in (ALL, one)]
        for name, one in pairs:
            try:
                Predictor(bundle.path, runtime=one, variant=name)
            except BundleError as error:
                left_out.append(str(error) if installed(one) else f"{bundle.path} {name} {one}: not installed")
            else:
                found.append(Contender(bundle, name, one))
    if not found:
        raise BundleError(f"nothing to compare: {'; '.join(left_out) or f'no variant is for {runtime}'}")
    return found, left_out


def load_call(bundle: str, variant: str, runtime: str, threads: int, batch_size: int) -> Call:
    """A variant, opened, checked and loaded, as a call that `measure` and `peak_memory` take."""
    return Predictor(Path(bundle), runtime=runtime, variant=variant, threads=threads, batch_size=batch_size).run


def benchmark(
    contenders: Sequence[Contender], settings: Settings, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Measure what `find_contenders` found, alternating; memory and loading each in a process of its own.

    Args:
        contenders: at least one.
        settings: how.
        progress: told after each round; `settings.rounds_in_all` says how many there are.

    Returns:
        JSON-ready: `rows` with `bundle`, `name`, `id`, `variant`, `runtime`, `size_bytes`, `load_s`, `latency` and
        `memory` by batch size, and `metrics`, all that is known of the variant; beside them what was measured
        with: `threads`, `rounds`, `machine`, `versions`.

    Raises:
        ModelError: if one of them fails.
        RecipeError: if there are no contenders.
    """
    images = {contender.name: read_selftest(contender.bundle).images for contender in contenders}
    latency: dict[str, dict[str, Any]] = {contender.name: {} for contender in contenders}
    for size in settings.batch_sizes:
        calls = {contender.name: load_call(*_arguments(contender, settings.threads, size)) for contender in contenders}
        for name, found in measure(calls, images, (size,), settings.rounds, progress).items():
            latency[name] |= found
    return {
        "rows": [_row(contender, settings, latency[contender.name]) for contender in contenders],
        "threads": settings.threads,
        "rounds": settings.rounds,
        "machine": machine(),
        "versions": versions(),
    }


def text_of(result: dict[str, Any]) -> str:
    """What `benchmark` found, for people."""
    sizes = list(result["rows"][0]["latency"])
    head = ["* the default", "file MB", "load s"]
    for size in sizes:
        head += [f"batch {size}: ms/image", "p95", "images/s", "peak MB", "network MB"]
    rows = [head, *([_what(row), *_cells(row, sizes)] for row in result["rows"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    about = result["machine"]
    lines.append(f"{about['processor']}, {about['cores']} cores; threads: {result['threads'] or 'left to the runtime'}")
    lines.append("peak MB: of a process that runs this alone; network MB: of that, above Python with the runtime loaded")
    return "\n".join(lines)


def _row(contender: Contender, settings: Settings, latency: dict[str, Any]) -> dict[str, Any]:
    bundle, variant = contender.bundle, contender.bundle.variants[contender.variant]
    memory = {}
    for size in settings.batch_sizes:
        arguments = _arguments(contender, settings.threads, size)
        memory[size] = peak_memory(load_call, arguments, bundle.spec.size, size, libraries=(contender.runtime,))
    first = memory[settings.batch_sizes[0]]
    return {
        "bundle": str(bundle.path),
        "name": bundle.name,
        "id": bundle.id,
        "variant": contender.variant,
        "runtime": contender.runtime,
        "default": contender.variant == bundle.default_variant,
        "size_bytes": bundle.variant_size_bytes(contender.variant, contender.runtime),
        "load_s": None if first is None else first.import_s + first.load_s,
        "latency": latency,
        "memory": {str(size): asdict(found) for size, found in memory.items() if found is not None},
        "metrics": variant.metrics,
    }


def _arguments(contender: Contender, threads: int, batch_size: int) -> tuple[str, str, str, int, int]:
    return str(contender.bundle.path), contender.variant, contender.runtime, threads, batch_size


def _what(row: dict[str, Any]) -> str:
    return f"{row['bundle']} {row['variant']}{'*' if row['default'] else ''} {row['runtime']}"


def _cells(row: dict[str, Any], sizes: list[str]) -> list[str]:
    load = "-" if row["load_s"] is None else f"{row['load_s']:.2f}"
    cells = [f"{row['size_bytes'] / 1e6:.1f}", load]
    for size in sizes:
        latency, memory = row["latency"][size], row["memory"].get(size)
        cells += [f"{latency['median_ms']:.2f}", f"{latency['p95_ms']:.2f}", f"{latency['images_per_s']:.1f}"]
        peak, baseline = (memory["peak_bytes"], memory["baseline_bytes"]) if memory else (None, None)
        cells += ["-", "-"] if peak is None else [f"{peak / 1e6:.0f}", f"{(peak - baseline) / 1e6:.0f}"]
    return cells
