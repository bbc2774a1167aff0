"""What is in a bundle and whether it works here, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens.bundle.bundle import Bundle, open_bundle
from lesionlens.bundle.engines import Limits, installed
from lesionlens.bundle.selection import select
from lesionlens.bundle.selftest import load_variant, run_selftest
from lesionlens.core.errors import BundleError

PASSED, FAILED, ABSENT = "passed", "failed", "not installed"
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "ece")
SHORT_ID = 12


@dataclass(frozen=True)
class Check:
    """One variant on one runtime.

    Attributes:
        variant: its name.
        runtime: that was asked to run it.
        result: `passed`, `failed` or `not installed`.
        detail: the largest differences, or what is wrong.
    """

    variant: str
    runtime: str
    result: str
    detail: str


@dataclass(frozen=True)
class Inspection:
    """A bundle whose files are whole, and how its self-tests went.

    Attributes:
        bundle: what it says.
        checks: of every variant and runtime.
        runs: what `predict` runs here unless told otherwise: `variant`, `runtime` and `why`; both empty if nothing can.
    """

    bundle: Bundle
    checks: tuple[Check, ...]
    runs: dict[str, str]

    @property
    def failed(self) -> tuple[str, ...]:
        """What does not work, as `variant on runtime`."""
        return tuple(f"{check.variant} on {check.runtime}" for check in self.checks if check.result == FAILED)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: everything in bundle.json, and the self-tests under `selftest`."""
        checks = [vars(check) for check in self.checks]
        return {**self.bundle.facts, "path": str(self.bundle.path), "selftest": checks, "runs": self.runs}

    def text(self) -> str:
        """For people."""
        checks = [f"  {c.variant:<10} {c.runtime:<12} {c.result}: {c.detail}" for c in self.checks]
        licences = [f"  {name}: {text}" for name, text in self.bundle.facts["licences"].items()]
        here = " on ".join(filter(None, (self.runs["variant"], self.runs["runtime"]))) or "nothing"
        runs = f"runs here     {here}: {self.runs['why']}"
        return "\n".join([_summary(self.bundle), "self-test", *checks, runs, "licences", *licences])


def inspect_bundle(path: Path) -> Inspection:
    """Check every file of a bundle, and run the whole self-test of every variant with every runtime that is here.

    Raises:
        BundleError: if a file is missing or changed, or the bundle cannot be understood.
    """
    bundle = open_bundle(path)
    pairs = [(name, runtime) for name, variant in bundle.variants.items() for runtime in variant.graphs]
    return Inspection(bundle, tuple(_check(bundle, name, runtime) for name, runtime in pairs), _runs(bundle))


def _runs(bundle: Bundle) -> dict[str, str]:
    try:
        selection = select(bundle)
    except BundleError as error:
        return {"variant": "", "runtime": "", "why": str(error)}
    notes = [note for note in selection.notes if note != selection.why]
    return {"variant": selection.variant.name, "runtime": selection.runtime, "why": "; ".join([selection.why, *notes])}


def export_text(bundle: Bundle) -> str:
    """What `export` prints for people."""
    compared = bundle.variants["fp32"].comparison
    lines = [_summary(bundle), f"compared with torch on {compared['n_images']} images, largest differences"]
    for runtime, found in compared["runtimes"].items():
        lines.append(
            f"  {runtime:<12} " + ", ".join(f"{name} {value:.1e}" for name, value in found["largest_difference"].items())
        )
    return "\n".join([*lines, f"wrote {bundle.path}"])


def _check(bundle: Bundle, name: str, runtime: str) -> Check:
    if not installed(runtime):
        return Check(name, runtime, ABSENT, f"pip install {runtime}")
    variant, limits = bundle.variants[name], Limits()
    try:
        engine = load_variant(bundle, variant, runtime, limits)
        return Check(name, runtime, PASSED, run_selftest(bundle, variant, runtime, engine, limits, n_images=0))
    except BundleError as error:
        return Check(name, runtime, FAILED, str(error))


def _summary(bundle: Bundle) -> str:
    facts, spec = bundle.facts, bundle.spec
    fitted = facts["temperature"]
    lines = [
        f"bundle {bundle.id[:SHORT_ID]} {bundle.name} ({facts['origin']['recipe']['model']['name']}), {bundle.path}",
        f"  diagnoses   {' '.join(bundle.labels.codes)}",
        f"  input       {spec.size}x{spec.size} pixels, {spec.resize}; heat maps {_cells(bundle)}",
        f"  temperature {fitted['value']:.3f}: ECE {fitted['ece_before']:.3f} before, {fitted['ece_after']:.3f} after "
        f"({fitted['n_images']} {fitted['fitted_on']} images)",
        *(f"  variant     {_variant(bundle, name)}" for name in bundle.variants),
        f"  gate        {_gate(facts.get('gate'))}",
        f"  not sure    {_decision(facts.get('decision'))}",
        f"  metrics     {_metrics(facts['scores'])}",
        f"  split       {facts['origin']['leak_statement']}",
        f"  {facts['intended_use']['status']}",
    ]
    return "\n".join(lines)


def _cells(bundle: Bundle) -> str:
    maps = bundle.outputs["maps"]
    return "none" if maps is None else f"of all diagnoses, {maps[1]}x{maps[2]} cells"


def _variant(bundle: Bundle, name: str) -> str:
    sizes = [f"{runtime} {bundle.variant_size_bytes(name, runtime) / 1e6:.1f} MB" for runtime in bundle.variants[name].graphs]
    return f"{name}{' (default)' if name == bundle.default_variant else ''}: {', '.join(sizes)}"


def _gate(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return "none: whether an image is usable is not checked"
    found = gate["validation"]
    return f"rejects {found['rejected_by_any']} of {found['n_images']} good images ({found['split']} split)"


def _decision(decision: dict[str, Any] | None) -> str:
    if decision is None or decision["threshold"] is None:
        return f"never: {'exported without a threshold' if decision is None else decision['reason']}"
    found = decision["validation"]
    watched, sensitivity = " + ".join(decision["watched"]), found["sensitivity"]["value"]
    return (
        f"{watched} at {decision['threshold']:.4f} or more: sensitivity {sensitivity:.3f}, "
        f"{found['not_sure']['value']:.1%} of {found['n_images']} images ({found['split']} split)"
    )


def _metrics(scores: dict[str, Any] | None) -> str:
    if scores is None:
        return "not measured"
    texts = []
    for name in METRICS:
        value, low, high = (scores["metrics"][name][key] for key in ("value", "low", "high"))
        interval = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
        texts.append(f"{name} {'-' if value is None else f'{value:.3f}'}{interval}")
    views = f", {scores['views']} views averaged; the bundle looks once" if scores["views"] > 1 else ""  # bundles of 0.1.0
    return f"{'; '.join(texts)} (fp32, {scores['n_images']} {scores['split']} images{views})"
