"""Which variant of a bundle runs here, with which runtime, and why."""

from __future__ import annotations

from typing import NamedTuple

from lesionlens.bundle.bundle import RUNTIMES, Bundle, Variant
from lesionlens.bundle.engines import computes_in, fast_int8, installed
from lesionlens.bundle.remembered import read_tuning
from lesionlens.core.errors import BundleError


class Selection(NamedTuple):
    """What to run, why, and what the user should know; threads and streams to use where the user names none."""

    variant: Variant
    runtime: str
    why: str
    notes: tuple[str, ...]
    threads: int = 0
    streams: int = 1


def select(bundle: Bundle, runtime: str = "auto", variant: str = "auto") -> Selection:
    """Which variant to run with which runtime: as requested; else the fastest as measured here; else the default.

    Raises:
        BundleError: if what was asked for is not in the bundle or not installed here.
    """
    if "auto" not in (runtime, variant):
        found, name, notes = choose(bundle, runtime, variant)
        return Selection(found, name, "as requested", notes)
    tuning, problems = read_tuning(bundle)
    fastest = None if tuning is None else tuning.fastest(runtime, variant)
    if tuning is None or fastest is None:
        found, name, notes = choose(bundle, runtime, variant)
        what = "as requested" if variant != "auto" else "the bundle's default"
        return Selection(found, name, f"{what}; not measured on this machine (lesionlens tune)", (*problems, *notes))
    found, name, notes = choose(bundle, fastest.runtime, fastest.variant)
    best = fastest == tuning.fastest()
    why = tuning.why(fastest)
    return Selection(found, name, why, (why, *notes), *((tuning.threads, tuning.streams) if best else ()))


def choose(bundle: Bundle, runtime: str = "auto", variant: str = "auto") -> tuple[Variant, str, tuple[str, ...]]:
    """Which variant to run with which runtime, and what the user should know about the choice.

    Raises:
        BundleError: if what was asked for is not in the bundle or not installed here.
    """
    chosen = bundle.variant(variant)
    found = _runtime_for(chosen, runtime)
    notes: list[str] = []
    usable = found is not None and computes_in(found, chosen.precision)
    if not usable and variant == "auto" and chosen.name != "fp32" and "fp32" in bundle.variants:
        needed = " or ".join(chosen.graphs) + ("" if found is None else f" on a processor with {chosen.precision}")
        notes.append(f"variant {chosen.name!r} needs {needed}, which is not here; running fp32 instead")
        chosen = bundle.variant("fp32")
        found = _runtime_for(chosen, runtime)
    if found is None:
        wanted = " or ".join(chosen.graphs) if runtime == "auto" else runtime
        have = ", ".join(name for name in RUNTIMES if installed(name)) or "none"
        raise BundleError(
            f"variant {chosen.name!r} of bundle {bundle.path} is for {' and '.join(chosen.graphs)}; {wanted} was asked for and "
            f"installed here is {have}. Install it with pip, or choose another --variant"
        )
    if "int8" in chosen.name and fast_int8() is False:
        notes.append(
            "this processor has no int8 products (VNNI); int8 may saturate, so it is compared with fp32 while loading, "
            "and it may not be faster than fp32"
        )
    return chosen, found, tuple(notes)


def _runtime_for(variant: Variant, runtime: str) -> str | None:
    wanted = RUNTIMES if runtime == "auto" else (runtime,)
    return next((name for name in wanted if name in variant.graphs and installed(name)), None)
