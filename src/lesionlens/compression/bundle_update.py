"""Which variants join a bundle, and whether int8 becomes what it runs unless asked otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens.bundle.bundle import Bundle, Variant, read_bundle
from lesionlens.bundle.outputs import Tolerance
from lesionlens.bundle.variants import NewVariant, add_variant
from lesionlens.compression.evaluation import balanced_accuracy_of
from lesionlens.compression.runnable_variant import Form
from lesionlens.compression.source import Source
from lesionlens.compression.variant_predictions import predicted
from lesionlens.compression.variants import BF16_TOLERANCE, Made
from lesionlens.core.artifact import hash_file

INT8_SELFTEST = Tolerance(probabilities=0.1, features=0.1, maps=0.1)  # between runtimes and processors; 0.042 was seen


@dataclass(frozen=True)
class Verdict:
    """Whether int8 is good enough to be the default, judged on the validation split.

    Attributes:
        default: whether it is.
        n_images: of the validation split.
        fp32: balanced accuracy of the float network there.
        int8: of int8.
        allowed: how much it may lose.
        why: one sentence.
    """

    default: bool
    n_images: int
    fp32: float
    int8: float
    allowed: float
    why: str


def join(source: Source, name: str, made: Made, rows: list[dict[str, Any]]) -> Verdict | None:
    """Put bf16 or a static int8 into its bundle, unless it is there already.

    Args:
        source: what it was made from.
        name: of the variant.
        made: what was made.
        rows: of the table; those of this variant give the metrics in the bundle.

    Returns:
        For int8, how it was judged; None for what joins no bundle or is not judged.

    Raises:
        BundleError: if the variant fails its self-test.
        StorageError: if the bundle's folder may not be written; the bundle stays as it was.
    """
    if made.bundle is None or not made.forms or name not in ("bf16", "int8", "channel-pruned-int8", "distilled-int8"):
        return None
    metrics = {row["runtime"]: row["metrics"] for row in rows if row["variant"] == name}
    if name == "bf16":
        _add(made, NewVariant("bf16", [], _graphs(made), "bf16", BF16_TOLERANCE, made.comparison, {"test": metrics}))
        return None
    verdict = _judge(source, made)
    judged = {"fp32": verdict.fp32, "int8": verdict.int8, "n_images": verdict.n_images}
    form = made.forms[0]
    graphs = dict.fromkeys(("openvino", "onnxruntime"), form.file.name)
    facts = {"test": metrics, "validation_balanced_accuracy": judged}
    _add(made, NewVariant("int8", [form.file], graphs, form.precision, INT8_SELFTEST, made.comparison, facts, verdict.default))
    return verdict


def _judge(source: Source, made: Made) -> Verdict:
    """Compare int8 with the fp32 of the same bundle on the validation split."""
    assert made.bundle is not None, "a static int8 has a bundle"
    form = made.forms[0]
    graph = made.bundle / read_bundle(made.bundle).variants["fp32"].graphs[form.runtime]
    whole = Form(form.variant.removesuffix("-int8") if form.variant != "int8" else "fp32", form.runtime, graph, form.size)
    pair = [predicted(source, each, "validation") for each in (whole, form)]
    fp32, int8 = (balanced_accuracy_of(each) for each in pair)
    allowed = source.recipe.default_drop
    default = fp32 - int8 <= allowed
    change = f"loses {100 * (fp32 - int8):.2f}" if fp32 >= int8 else f"gains {100 * (int8 - fp32):.2f}"
    why = (
        f"on the {len(pair[0])} validation images int8 {change} points of balanced accuracy ({fp32:.4f} to {int8:.4f}), "
        f"where a loss of {100 * allowed:.2f} is allowed."
    )
    return Verdict(default, len(pair[0]), fp32, int8, allowed, why)


def _graphs(made: Made) -> dict[str, str]:
    return {form.runtime: form.file.name for form in made.forms}


def _add(made: Made, new: NewVariant) -> None:
    assert made.bundle is not None, "only variants with a bundle are added"
    if not _is_there(read_bundle(made.bundle), new):
        add_variant(made.bundle, new)


def _is_there(bundle: Bundle, new: NewVariant) -> bool:
    wanted = Variant(new.name, dict(new.graphs), new.precision, new.tolerance, dict(new.comparison), dict(new.metrics))
    present = bundle.variants.get(new.name)
    if present is None or present.to_json() != wanted.to_json() or (bundle.default_variant == new.name) != new.default:
        return False
    return all(_same(bundle, file) for file in new.files)


def _same(bundle: Bundle, file: Path) -> bool:
    return file.name in bundle.files and bundle.files[file.name]["sha256"] == hash_file(file)
