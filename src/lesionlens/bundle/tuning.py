"""Find out which variant and runtime are fastest on this machine, and remember it in the user's cache."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lesionlens.bundle.bundle import RUNTIMES, Bundle, Variant, read_bundle
from lesionlens.bundle.engines import installed
from lesionlens.bundle.remembered import MARGIN, Timing, Tuning, measured_on, read_tuning, write_tuning
from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.selection import choose
from lesionlens.bundle.selftest import FLOAT, read_selftest
from lesionlens.core.cache import VARIABLE, cache_folder
from lesionlens.core.errors import BundleError, LesionLensError
from lesionlens.core.machine import cores

SECONDS = 1.0
LEAST_CALLS = 3
WARM_CALLS = 2
ALLOWED_DROP = 0.01  # of bundles that do not say: the default of the recipe's compression.default_drop
MORE_STREAMS = 1.1  # streams must give so many times the images of one, because each image then takes longer


def tune(path: Path, seconds: float = SECONDS, progress: Callable[[str], None] | None = None) -> Tuning:
    """Time every variant on every runtime that passes its self-test here, and remember the fastest.

    They are loaded one after the other, so that memory holds one at a time. Then threads and streams of the fastest are
    tried. A variant whose loss of balanced accuracy on the validation split exceeds the allowed one is not timed.

    Args:
        path: the bundle's folder.
        seconds: time for each.
        progress: told what is about to be measured.

    Raises:
        BundleError: if the bundle is damaged, or nothing in it runs here.
        StorageError: if the cache is not writable.

    Example:
        >>> tune(Path("run/bundle")).fastest().name  # doctest: +SKIP
        'int8 on openvino'
    """
    bundle, say = read_bundle(path), progress or (lambda _: None)
    rows = []
    for variant in bundle.variants.values():
        for runtime in variant.graphs:
            say(f"{variant.name} on {runtime}")
            rows.append(_timing(bundle, variant, runtime, seconds))
    tuning = Tuning(
        bundle=bundle.id,
        default=_default_name(bundle),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=tuple(rows),
        threads=0,
        images_per_s={},
        streams=1,
        machine=measured_on(),
    )
    best = tuning.fastest()
    if best is None:
        raise BundleError(f"nothing in bundle {path} can be measured here: {'; '.join(f'{r.name}: {r.reason}' for r in rows)}")
    say(f"threads and streams of {best.name}")
    threads = _best_threads(bundle, best, seconds)
    per_s = _images_per_s(bundle, best, threads, seconds)
    most = max(per_s, key=lambda count: per_s[count])
    streams = most if per_s[most] >= MORE_STREAMS * per_s[1] else 1
    tuning = Tuning(**{**vars(tuning), "threads": threads, "images_per_s": per_s, "streams": streams})
    write_tuning(bundle, tuning)
    return tuning


def tune_if_new(path: Path, runtime: str, variant: str, note: Callable[[str], None]) -> None:
    """Measure a bundle that was not measured on this machine yet, in a process of its own.

    It does nothing where there is nothing to choose from, or nothing is remembered. If measuring fails, a note says so
    and the bundle's default runs.

    Args:
        path: the bundle's folder.
        runtime: as requested of `Predictor`.
        variant: likewise.
        note: told what is done.

    Raises:
        BundleError: if the bundle cannot be read.
    """
    if cache_folder() is None or "auto" not in (runtime, variant):
        return
    bundle = read_bundle(path)
    pairs = [(one, name) for one in bundle.variants.values() for name in one.graphs if installed(name)]
    if sum(not not_eligible(bundle, one) for one, _ in pairs) < 2 or read_tuning(bundle)[0] is not None:
        return
    note(f"measuring once which variant is fastest on this machine; {VARIABLE}=off or --no-tune leaves it out")
    command = [sys.executable, "-m", "lesionlens.bundle.tuning", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        note(f"measuring failed, so the bundle's default runs: {reason}")


def not_eligible(bundle: Bundle, variant: Variant) -> str:
    """Why a variant may not be chosen for its speed alone; empty if it may.

    fp32 and the bundle's default always may. Any other must have lost no more balanced accuracy on the validation split
    than the bundle allows.
    """
    if variant.name in (FLOAT, bundle.default_variant):
        return ""
    record = variant.metrics.get("validation_balanced_accuracy") or {}
    if not {FLOAT, variant.name} <= record.keys():
        return "its loss on the validation split is not recorded; make it again with: lesionlens compress"
    loss, allowed = record[FLOAT] - record[variant.name], record.get("allowed", ALLOWED_DROP)
    if loss <= allowed:
        return ""
    return f"it loses {100 * loss:.2f} points of balanced accuracy on the validation split, {100 * allowed:.2f} are allowed"


def text_of(tuning: Tuning) -> str:
    """What was measured, for people."""
    best = tuning.fastest()
    lines = []
    for row in tuning.rows:
        mark = "*" if row == best else " "
        lines.append(f"{mark} {row.name:<28} " + (row.reason if row.median_ms is None else f"{row.median_ms:8.1f} ms per image"))
    per_s = ", ".join(f"{count}: {value:.1f}" for count, value in tuning.images_per_s.items())
    assert best is not None, "a tuning has a fastest row"
    here = tuning.machine
    return "\n".join(
        [
            *lines,
            tuning.why(best),
            f"threads: {tuning.threads or 'as many as the runtime takes'}; images per second by streams: {per_s}",
            f"on {here['processor']}, {here['cores']} cores, {' '.join(here['instruction_sets'] or ['instructions unknown'])}",
        ]
    )


def _timing(bundle: Bundle, variant: Variant, runtime: str, seconds: float) -> Timing:
    if not installed(runtime):
        return Timing(variant.name, runtime, reason="not installed")
    reason = not_eligible(bundle, variant)
    if reason:
        return Timing(variant.name, runtime, reason=reason)
    try:
        times_ms = _times(bundle, variant.name, runtime, 0, seconds)
    except BundleError as error:
        return Timing(variant.name, runtime, reason=str(error))
    return Timing(variant.name, runtime, float(np.median(times_ms)), len(times_ms))


def _times(bundle: Bundle, variant: str, runtime: str, threads: int, seconds: float) -> Sequence[float]:
    """Milliseconds of calls with one image, of a variant that passed its self-test."""
    predictor = Predictor(bundle.path, runtime=runtime, variant=variant, threads=threads)
    image = read_selftest(bundle).images[:1]
    for _ in range(WARM_CALLS):
        predictor.run(image)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < LEAST_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        predictor.run(image)
        times.append(1000 * (time.perf_counter() - start))
    return times


def _best_threads(bundle: Bundle, best: Timing, seconds: float) -> int:
    """Number of threads that is clearly faster than what the runtime takes by itself, else 0."""
    numbers = {cores(), max(1, cores() // 2)} if cores() > 1 else set()
    found = {n: float(np.median(_times(bundle, best.variant, best.runtime, n, seconds))) for n in (0, *sorted(numbers))}
    fastest = min(found, key=lambda n: found[n])
    return fastest if MARGIN * found[fastest] < found[0] else 0


def _images_per_s(bundle: Bundle, best: Timing, threads: int, seconds: float) -> dict[int, float]:
    """Images per second by number of streams, each stream called by a thread of its own."""
    found = {}
    image = read_selftest(bundle).images[:1]
    for streams in sorted({1, min(2, cores()), cores()}):
        predictor = Predictor(bundle.path, runtime=best.runtime, variant=best.variant, threads=threads, streams=streams)
        with ThreadPoolExecutor(streams) as pool:
            list(pool.map(lambda _: predictor.run(image), range(WARM_CALLS * streams)))  # noqa: B023  used at once
            start = time.perf_counter()
            calls = sum(pool.map(lambda _: _calls_until(predictor, image, start + seconds), range(streams)))  # noqa: B023
            found[streams] = calls / (time.perf_counter() - start)
    return found


def _calls_until(predictor: Predictor, image: np.ndarray, end: float) -> int:
    calls = 0
    while not calls or time.perf_counter() < end:
        predictor.run(image)
        calls += 1
    return calls


def _default_name(bundle: Bundle) -> str:
    """What would run without a measurement; the bundle's default on the preferred runtime if nothing would."""
    try:
        variant, runtime, _ = choose(bundle)
    except BundleError:
        variant = bundle.variant()
        runtime = next(name for name in RUNTIMES if name in variant.graphs)
    return f"{variant.name} on {runtime}"


def main() -> None:
    """Tune the bundle that is named; for `tune_if_new`."""
    try:
        tune(Path(sys.argv[1]))
    except LesionLensError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
