"""The recipe's variants, one function each: files on disk, forms to run, and how far they are from torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from torch import nn

from lesionlens import __version__
from lesionlens.bundle.bundle import RUNTIMES
from lesionlens.bundle.engines import EITHER, Limits, installed, load_engine, version_of
from lesionlens.bundle.outputs import Outputs, Tolerance
from lesionlens.compression.count import Counts, count
from lesionlens.compression.evaluation import agreement
from lesionlens.compression.parent_networks import Parent, parent_of
from lesionlens.compression.quantize import (
    FLOAT_CONVOLUTIONS,
    AccuracyGoal,
    dynamic_int8,
    packed_tensors,
    static_int8,
    zero_weights,
)
from lesionlens.compression.runnable_variant import PYTORCH, Form
from lesionlens.compression.source import Source
from lesionlens.compression.variant_predictions import predicted
from lesionlens.core.artifact import atomic_file, hash_file, hash_value, is_current, write_stamp
from lesionlens.core.errors import BundleError, ModelError
from lesionlens.core.seeds import generator
from lesionlens.export.export import compare
from lesionlens.export.graph import GraphNetwork, run_graph

INT8_FILE = "model.int8.onnx"
PACKED_FILE = "weights.safetensors"
COMPARISON_FILE = "comparison.json"
# Twice the largest differences that a trained MobileNetV2 showed on 1,001 images, see docs/compression.md.
INT8_TOLERANCE = Tolerance(probabilities=0.25, features=0.25, maps=0.35)
BF16_GROWTH = 1.1  # how much further from fp32 the probabilities of int8 may move where its float rest is bf16
BF16_TOLERANCE = Tolerance(probabilities=0.2, features=0.15, maps=0.15)
NAMES = {
    "channel-pruned-int8": "channel-pruned",
    "distilled-int8": "distilled",
    "pruned-int8": "pruned",
}  # what stands before the hyphen


@dataclass(frozen=True)
class Made:
    """A variant that was made.

    Attributes:
        forms: one for each runtime that runs it here; none if it cannot be had here.
        counts: parameters, zeros and products; None where nothing could be made.
        comparison: of its graph with torch, see `export.export.compare`; empty if there is no graph.
        bundle: the bundle it belongs to, or joins; None if it has no graph.
        reason: why it cannot be had here.
        failed: whether that is a fault of the network, not of this machine.
    """

    forms: tuple[Form, ...]
    counts: Counts | None
    comparison: dict[str, Any] = field(default_factory=dict)
    bundle: Path | None = None
    reason: str = ""
    failed: bool = False


def _fp32(source: Source) -> Made:
    parent = parent_of(source)
    made = _in_float(source, parent)
    torch_form = Form("fp32", PYTORCH, source.checkpoint, source.size, temperature=parent.temperature)
    return replace(made, forms=(*made.forms, torch_form))


def _bf16(source: Source) -> Made:
    parent = parent_of(source)
    counts = count(parent.network, source.size)
    if not installed("openvino"):
        return Made((), counts, reason="openvino is not installed; install it with: pip install openvino")
    reason = _without_bf16(source, parent)
    if reason:
        return Made((), counts, reason=reason)
    compared = _compared(source, parent, "bf16", parent.graph, BF16_TOLERANCE, ("openvino",), "bf16")
    form = Form("bf16", "openvino", parent.graph, source.size, precision="bf16")
    return Made((form,), counts, compared, parent.bundle.path)


def _int8(source: Source) -> Made:
    return _static(source, "int8", parent_of(source), runtimes())


def _of_other_weights(name: str) -> Callable[[Source], Made]:
    return lambda source: _in_float(source, parent_of(source, name), only_first=True)


def _int8_of_other_weights(name: str) -> Callable[[Source], Made]:
    return lambda source: _static(source, name, parent_of(source, NAMES[name]), runtimes()[:1])


def _dynamic(name: str, of: str) -> Callable[[Source], Made]:
    return lambda source: _dynamic_of(source, name, parent_of(source, of))


MAKERS: dict[str, Callable[[Source], Made]] = {
    "fp32": _fp32,
    "bf16": _bf16,
    "dynamic-int8": _dynamic("dynamic-int8", "fp32"),
    "int8": _int8,
    "pruned": _of_other_weights("pruned"),
    "pruned-int8": _dynamic("pruned-int8", "pruned"),
    "channel-pruned": _of_other_weights("channel-pruned"),
    "channel-pruned-int8": _int8_of_other_weights("channel-pruned-int8"),
    "distilled": _of_other_weights("distilled"),
    "distilled-int8": _int8_of_other_weights("distilled-int8"),
}


def runtimes() -> tuple[str, ...]:
    """The runtimes that are installed, the preferred one first.

    Raises:
        ModelError: if there is none.
    """
    found = tuple(name for name in RUNTIMES if installed(name))
    if not found:
        raise ModelError("no runtime is installed to measure variants with; install one with: pip install openvino")
    return found


def _in_float(source: Source, parent: Parent, only_first: bool = False) -> Made:
    chosen = runtimes()[:1] if only_first else runtimes()
    forms = tuple(Form(parent.name, runtime, parent.graph, source.size) for runtime in chosen)
    compared = parent.bundle.variants["fp32"].comparison
    return Made(forms, count(parent.network, source.size), compared, parent.bundle.path)


def _static(source: Source, name: str, parent: Parent, chosen: Sequence[str]) -> Made:
    """Static int8 of a bundle's graph."""
    path = source.out / name / INT8_FILE
    made_from = _int8_inputs(source, parent)
    if not is_current(path, made_from):
        source.reporter.note(f"{name}: calibrating on {source.recipe.calibration_images} training images")
        static_int8(parent.graph, _calibration_images(source), path, _goal(source))
        write_stamp(path, made_from)
    precision = _float_precision(source, name, path, parent)
    compared = _compared(source, parent, name, path, INT8_TOLERANCE, chosen, precision)
    counts = count(parent.network, source.size)
    counts = replace(counts, nonzero=counts.parameters - zero_weights(path))
    forms = tuple(Form(name, runtime, path, source.size, precision) for runtime in chosen)
    return Made(forms, counts, compared, parent.bundle.path)


def _float_precision(source: Source, name: str, path: Path, parent: Parent) -> str:
    """Whether what int8 leaves in float may be computed in bf16, which is faster.

    It may if int8's probabilities on the validation split move hardly further away from those of fp32.
    """
    if not installed("openvino") or _without_bf16(source, parent):
        return "fp32"
    reference = predicted(source, Form(parent.name, "openvino", parent.graph, source.size), "validation")
    forms = [Form(name, "openvino", path, source.size, precision) for precision in ("fp32", EITHER)]
    whole, half = (agreement(predicted(source, form, "validation"), reference)["mean_difference"] for form in forms)
    return EITHER if half <= BF16_GROWTH * whole else "fp32"


def _without_bf16(source: Source, parent: Parent) -> str:
    """Why OpenVINO cannot compute in bf16 here; empty if it can."""
    try:
        load_engine("openvino", parent.graph, source.size, "bf16", Limits())
    except BundleError as error:
        return str(error)
    return ""


def _int8_inputs(source: Source, parent: Parent) -> dict[str, str]:
    recipe = source.recipe
    settings = {
        "calibration_images": recipe.calibration_images,
        "accuracy_drop": recipe.accuracy_drop,
        "float_convolutions": FLOAT_CONVOLUTIONS,
    }
    return {
        "graph": hash_file(parent.graph),
        "settings": hash_value({**settings, "seed": source.info.recipe.seed, "versions": [__version__, version_of("nncf")]}),
        **source.images_hash(),
    }


def _calibration_images(source: Source) -> np.ndarray:
    """Training images as they are, not augmented, drawn by the recipe's seed."""
    part = source.images("train")
    drawn = generator("calibration", source.info.recipe.seed).permutation(len(part.ids))[: source.recipe.calibration_images]
    return part.pixels(tuple(part.ids[number] for number in sorted(drawn.tolist())))


def _goal(source: Source) -> AccuracyGoal | None:
    if source.recipe.accuracy_drop == 0:
        return None
    part, index = source.images("validation"), source.dataset.index
    records = index.by_id()
    labels = np.array([index.labels.index(records[image_id].dx) for image_id in part.ids])
    return AccuracyGoal(part, labels, source.recipe.accuracy_drop)


def _dynamic_of(source: Source, name: str, parent: Parent) -> Made:
    """The paper's dynamic int8; its weights are written so that they can be weighed."""
    network = dynamic_int8(parent.network)
    tensors = packed_tensors(network)
    path = source.out / name / PACKED_FILE
    made_from = {"checkpoint": hash_file(parent.checkpoint)}
    if not is_current(path, made_from):
        source.reporter.note(f"{name}: packing linear layers")
        with atomic_file(path) as temporary:
            temporary.write_bytes(safetensors.torch.save(tensors))
        write_stamp(path, made_from)
    counts = count(parent.network, source.size)
    shared = (Form(name, PYTORCH, parent.checkpoint, source.size, dynamic=True, temperature=parent.temperature, on_disk=(path,)),)
    return Made(shared, replace(counts, nonzero=counts.nonzero - _new_zeros(parent.network, tensors)))


def _new_zeros(network: nn.Module, tensors: dict[str, Any]) -> int:
    """Weights that were something in float and are nothing in int8."""
    float_weights = network.state_dict()
    packed = [name.removesuffix(".scale") for name in tensors if name.endswith(".weight.scale")]
    return sum(int(((tensors[name] == 0) & (float_weights[name] != 0)).sum()) for name in packed)


def _compared(
    source: Source, parent: Parent, name: str, graph: Path, tolerance: Tolerance, chosen: Sequence[str], precision: str = "fp32"
) -> Any:
    """How far a graph is from torch on real images of the validation split; beyond the tolerance is an error."""
    made_from = {
        "graph": hash_file(graph),
        "checkpoint": hash_file(parent.checkpoint),
        "settings": hash_value([source.settings.compared_images, precision, tolerance.to_json(), *map(version_of, chosen)]),
        **source.images_hash(),
    }

    def measured() -> dict[str, Any]:
        images, reference = _reference(source, parent)
        return compare(graph, images, reference, tolerance, precision, chosen)

    return source.remembered(source.out / name / COMPARISON_FILE, made_from, measured)


def _reference(source: Source, parent: Parent) -> tuple[np.ndarray, Outputs]:
    part = source.images("validation")
    images = part.pixels(part.spread(source.settings.compared_images))
    return images, run_graph(GraphNetwork(parent.network, source.info.spec, parent.temperature), images)
