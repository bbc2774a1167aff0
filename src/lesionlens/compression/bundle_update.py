"""Add variants to a bundle, and decide whether int8 becomes its default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens.bundle.bundle import Bundle, Variant, read_bundle
from lesionlens.bundle.outputs import Tolerance
from lesionlens.bundle.variants import NewVariant, add_variant
from lesionlens.compression.evaluation import balanced_accuracy_of
from lesionlens.compression.runnable_variant import RunnableVariant
from lesionlens.compression.source import Source
from lesionlens.compression.variant_predictions import split_predictions
from lesionlens.compression.variants import BF16_TOLERANCE, BuiltVariant
from lesionlens.core.artifact import hash_file

INT8_SELFTEST = Tolerance(probabilities=0.1, features=0.1, maps=0.1)  # between runtimes and processors; 0.042 was seen

JOINING = ("bf16", "int8", "int8-pointwise", "channel-pruned-int8", "distilled-int8")
NEVER_DEFAULT = ("bf16", "int8-pointwise")  # fast on some processors only, where `lesionlens tune` chooses them


@dataclass(frozen=True)
class DefaultDecision:
    """Whether int8 is good enough to be the default, decided on the validation split.

    Attributes:
        default: whether it is.
        n_images: images of the validation split.
        fp32: balanced accuracy of the float network.
        int8: balanced accuracy of int8.
        allowed: largest accepted loss of balanced accuracy.
        why: the reason, one sentence.
    """

    default: bool
    n_images: int
    fp32: float
    int8: float
    allowed: float
    why: str


def update_bundle(source: Source, name: str, built: BuiltVariant, rows: list[dict[str, Any]]) -> DefaultDecision | None:
    """Add bf16 or a static int8 to its bundle, unless the bundle contains it already.

    Args:
        source: inputs of the compression.
        name: name of the variant.
        built: the variant.
        rows: the table; its rows of this variant give the metrics in the bundle.

    Returns:
        For int8, whether it becomes the default; None for every other variant.

    Raises:
        BundleError: if the variant fails its self-test.
        StorageError: if the bundle's folder is not writable; the bundle stays as it was.
    """
    if built.bundle is None or not built.runnables or name not in JOINING:
        return None
    metrics = {row["runtime"]: row["metrics"] for row in rows if row["variant"] == name}
    first = built.runnables[0]
    decision = _decide_default(source, first, built.bundle)
    facts = {"test": metrics, "validation_balanced_accuracy": _loss_facts(decision, name if name in NEVER_DEFAULT else "int8")}
    if name in NEVER_DEFAULT:
        graphs = {each.runtime: each.file.name for each in built.runnables}
        files, tolerance = ([], BF16_TOLERANCE) if name == "bf16" else ([first.file], INT8_SELFTEST)
        _add(built.bundle, NewVariant(name, files, graphs, first.precision, tolerance, built.comparison, facts))
        return None
    graphs = dict.fromkeys(("openvino", "onnxruntime"), first.file.name)
    variant = NewVariant("int8", [first.file], graphs, first.precision, INT8_SELFTEST, built.comparison, facts, decision.default)
    _add(built.bundle, variant)
    return decision


def _loss_facts(decision: DefaultDecision, name: str) -> dict[str, float]:
    """What the bundle keeps of it: `bundle.tuning` chooses a variant for its speed only within the allowed loss."""
    return {"fp32": decision.fp32, name: decision.int8, "n_images": decision.n_images, "allowed": decision.allowed}


def _decide_default(source: Source, int8: RunnableVariant, bundle: Path) -> DefaultDecision:
    """Compare int8, or bf16, with the fp32 of the same bundle on the validation split."""
    graph = bundle / read_bundle(bundle).variants["fp32"].graphs[int8.runtime]
    parent_name = "fp32" if int8.variant in ("int8", *NEVER_DEFAULT) else int8.variant.removesuffix("-int8")
    parent = RunnableVariant(parent_name, int8.runtime, graph, int8.size)
    predictions = [split_predictions(source, each, "validation") for each in (parent, int8)]
    before, after = (balanced_accuracy_of(each) for each in predictions)
    allowed, n_images = source.recipe.default_drop, len(predictions[0])
    change = f"loses {100 * (before - after):.2f}" if before >= after else f"gains {100 * (after - before):.2f}"
    why = (
        f"on the {n_images} validation images int8 {change} points of balanced accuracy ({before:.4f} to {after:.4f}), "
        f"where a loss of {100 * allowed:.2f} is allowed."
    )
    return DefaultDecision(before - after <= allowed, n_images, before, after, allowed, why)


def _add(path: Path, variant: NewVariant) -> None:
    if not _contains(read_bundle(path), variant):
        add_variant(path, variant)


def _contains(bundle: Bundle, new: NewVariant) -> bool:
    expected = Variant(new.name, dict(new.graphs), new.precision, new.tolerance, dict(new.comparison), dict(new.metrics))
    present = bundle.variants.get(new.name)
    if present is None or present.to_json() != expected.to_json() or (bundle.default_variant == new.name) != new.default:
        return False
    return all(file.name in bundle.files and bundle.files[file.name]["sha256"] == hash_file(file) for file in new.files)
