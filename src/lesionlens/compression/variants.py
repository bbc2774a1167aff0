"""Build the recipe's variants: files on disk, the runtimes that run them, and their comparison with torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from torch import nn

from lesionlens import __version__
from lesionlens.bundle.bundle import RUNTIMES
from lesionlens.bundle.engines import EITHER, Limits, installed, load_engine, version_of
from lesionlens.bundle.outputs import Tolerance
from lesionlens.compression.count import Counts, count
from lesionlens.compression.evaluation import agreement
from lesionlens.compression.parent_networks import ParentNetwork, parent_network
from lesionlens.compression.pointwise import has_blocks, pointwise_int8
from lesionlens.compression.quantize import (
    FLOAT_CONVOLUTIONS,
    AccuracyGoal,
    dynamic_int8,
    packed_tensors,
    static_int8,
    zero_weights,
)
from lesionlens.compression.runnable_variant import PYTORCH, RunnableVariant
from lesionlens.compression.saturation import LARGEST_PAIR
from lesionlens.compression.source import Source
from lesionlens.compression.variant_predictions import split_predictions
from lesionlens.core.artifact import atomic_file, hash_file, hash_value, is_current, write_stamp
from lesionlens.core.errors import BundleError, ModelError
from lesionlens.core.seeds import generator
from lesionlens.export.export import compare
from lesionlens.export.graph import GraphNetwork, run_graph

INT8_FILE = "model.int8.onnx"
POINTWISE, POINTWISE_FILE = "int8-pointwise", "model.int8-pointwise.onnx"
PACKED_FILE = "weights.safetensors"
COMPARISON_FILE = "comparison.json"
# Twice the largest differences that a trained MobileNetV2 showed on 1,001 images, see docs/compression.md.
INT8_TOLERANCE = Tolerance(probabilities=0.25, features=0.25, maps=0.35)
BF16_GROWTH = 1.1  # largest ratio of the distances of int8 from fp32, with its float layers in bf16 and in fp32
BF16_TOLERANCE = Tolerance(probabilities=0.2, features=0.15, maps=0.15)


@dataclass(frozen=True)
class BuiltVariant:
    """A variant on disk, or the reason why it is missing.

    Attributes:
        runnables: the variant on each runtime that runs it here; empty if it is not available here.
        counts: parameters, zeros and products; None if the variant was not built.
        comparison: of its graph with torch, see `export.export.compare`; empty if there is no graph.
        bundle: the bundle that contains it, or to which it is added; None if it has no graph.
        reason: why it is not available here.
        failed: whether the network is at fault, not this machine.
    """

    runnables: tuple[RunnableVariant, ...]
    counts: Counts | None
    comparison: dict[str, Any] = field(default_factory=dict)
    bundle: Path | None = None
    reason: str = ""
    failed: bool = False


def available_runtimes() -> tuple[str, ...]:
    """The runtimes that are installed, the preferred one first.

    Raises:
        ModelError: if there is none.
    """
    names = tuple(name for name in RUNTIMES if installed(name))
    if not names:
        raise ModelError("no runtime is installed to measure variants with; install one with: pip install openvino")
    return names


def _build_fp32(source: Source) -> BuiltVariant:
    built = _build_float(source, "fp32", available_runtimes())
    temperature = parent_network(source).temperature
    in_torch = RunnableVariant("fp32", PYTORCH, source.checkpoint, source.size, temperature=temperature)
    return replace(built, runnables=(*built.runnables, in_torch))


def _build_bf16(source: Source) -> BuiltVariant:
    parent = parent_network(source)
    counts = count(parent.network, source.size)
    reason = _why_no_bf16(source, parent)
    if reason:
        return BuiltVariant((), counts, reason=reason)
    runnable = RunnableVariant("bf16", "openvino", parent.graph, source.size, precision="bf16")
    comparison = _compare_with_torch(source, parent, (runnable,), BF16_TOLERANCE)
    return BuiltVariant((runnable,), counts, comparison, parent.bundle.path)


def _build_float(source: Source, name: str, runtimes: Sequence[str] = ()) -> BuiltVariant:
    """The float network called `name`, by default on the preferred runtime."""
    parent = parent_network(source, name)
    runnables = tuple(
        RunnableVariant(name, runtime, parent.graph, source.size) for runtime in runtimes or available_runtimes()[:1]
    )
    comparison = parent.bundle.variants["fp32"].comparison
    return BuiltVariant(runnables, count(parent.network, source.size), comparison, parent.bundle.path)


def _build_static_int8(name: str, parent_name: str, source: Source) -> BuiltVariant:
    """Static int8 of a bundle's graph: on every runtime for the checkpoint itself, else on the preferred one.

    For OpenVINO alone, the blocks of a ConvNeXt are written in the way that is fastest there.
    """
    parent = parent_network(source, parent_name)
    runtimes = available_runtimes() if parent_name == "fp32" else available_runtimes()[:1]
    if runtimes == ("openvino",) and has_blocks(parent.graph):
        return _build_int8(name, parent, source, runtimes, pointwise_int8)
    return _build_int8(name, parent, source, runtimes, static_int8)


def _build_pointwise_int8(source: Source) -> BuiltVariant:
    """Static int8 with the blocks of a ConvNeXt written in the way that is fastest on OpenVINO."""
    parent = parent_network(source)
    if not installed("openvino"):
        counts = count(parent.network, source.size)
        return BuiltVariant((), counts, reason="openvino is not installed; install it with: pip install openvino")
    return _build_int8(POINTWISE, parent, source, ("openvino",), pointwise_int8)


def _build_int8(
    name: str, parent: ParentNetwork, source: Source, runtimes: Sequence[str], quantise: Callable[..., None]
) -> BuiltVariant:
    """A network quantised in one of two ways, compared with torch on the runtimes that shall run it."""
    path = source.out / name / (POINTWISE_FILE if name == POINTWISE else INT8_FILE)
    made_from = _int8_inputs(source, parent) | {"quantised_by": quantise.__name__}
    if not is_current(path, made_from):
        source.reporter.note(f"{name}: calibrating on {source.recipe.calibration_images} training images")
        quantise(parent.graph, _calibration_images(source), path, _accuracy_goal(source))
        write_stamp(path, made_from)
    precision = _float_precision(source, name, path, parent)
    runnables = tuple(RunnableVariant(name, runtime, path, source.size, precision) for runtime in runtimes)
    comparison = _compare_with_torch(source, parent, runnables, INT8_TOLERANCE)
    counts = count(parent.network, source.size)
    counts = replace(counts, nonzero=counts.parameters - zero_weights(path))
    return BuiltVariant(runnables, counts, comparison, parent.bundle.path)


def _float_precision(source: Source, name: str, path: Path, parent: ParentNetwork) -> str:
    """Precision of the layers that int8 leaves in float: bf16, which is faster, if it changes almost nothing.

    bf16 is accepted if int8's probabilities on the validation split are hardly further away from those of fp32.
    """
    if _why_no_bf16(source, parent):
        return "fp32"
    reference = split_predictions(source, RunnableVariant(parent.name, "openvino", parent.graph, source.size), "validation")
    runnables = [RunnableVariant(name, "openvino", path, source.size, precision) for precision in ("fp32", EITHER)]
    with_fp32, with_bf16 = (
        agreement(split_predictions(source, each, "validation"), reference)["mean_difference"] for each in runnables
    )
    return EITHER if with_bf16 <= BF16_GROWTH * with_fp32 else "fp32"


def _why_no_bf16(source: Source, parent: ParentNetwork) -> str:
    """Why OpenVINO cannot compute in bf16 here; empty if it can."""
    if not installed("openvino"):
        return "openvino is not installed; install it with: pip install openvino"
    try:
        load_engine("openvino", parent.graph, source.size, "bf16", Limits())
    except BundleError as error:
        return str(error)
    return ""


def _int8_inputs(source: Source, parent: ParentNetwork) -> dict[str, str]:
    settings = {
        "calibration_images": source.recipe.calibration_images,
        "accuracy_drop": source.recipe.accuracy_drop,
        "float_convolutions": FLOAT_CONVOLUTIONS,
        "largest_pair": LARGEST_PAIR,
        "seed": source.info.recipe.seed,
        "versions": [__version__, version_of("nncf")],
    }
    return {"graph": hash_file(parent.graph), "settings": hash_value(settings), **source.images_hash()}


def _calibration_images(source: Source) -> np.ndarray:
    """Training images without augmentation, drawn with the recipe's seed."""
    images = source.images("train")
    order = generator("calibration", source.info.recipe.seed).permutation(len(images))
    rows = sorted(order[: source.recipe.calibration_images].tolist())
    return images.pixels(tuple(images.ids[row] for row in rows))


def _accuracy_goal(source: Source) -> AccuracyGoal | None:
    if source.recipe.accuracy_drop == 0:
        return None
    images, index = source.images("validation"), source.dataset.index
    records = index.by_id()
    labels = np.array([index.labels.index(records[image_id].dx) for image_id in images.ids])
    return AccuracyGoal(images, labels, source.recipe.accuracy_drop)


def _build_dynamic_int8(name: str, parent_name: str, source: Source) -> BuiltVariant:
    """The paper's dynamic int8; its weights are written only to measure their size."""
    parent = parent_network(source, parent_name)
    tensors = packed_tensors(dynamic_int8(parent.network))
    path = source.out / name / PACKED_FILE
    made_from = {"checkpoint": hash_file(parent.checkpoint)}
    if not is_current(path, made_from):
        source.reporter.note(f"{name}: packing linear layers")
        with atomic_file(path) as temporary:
            temporary.write_bytes(safetensors.torch.save(tensors))
        write_stamp(path, made_from)
    counts = count(parent.network, source.size)
    counts = replace(counts, nonzero=counts.nonzero - _new_zeros(parent.network, tensors))
    runnable = RunnableVariant(
        name, PYTORCH, parent.checkpoint, source.size, dynamic=True, temperature=parent.temperature, stored_files=(path,)
    )
    return BuiltVariant((runnable,), counts)


def _new_zeros(network: nn.Module, tensors: dict[str, Any]) -> int:
    """Number of weights that are zero in int8 but not in float."""
    float_weights = network.state_dict()
    packed = [name.removesuffix(".scale") for name in tensors if name.endswith(".weight.scale")]
    return sum(int(((tensors[name] == 0) & (float_weights[name] != 0)).sum()) for name in packed)


def _compare_with_torch(source: Source, parent: ParentNetwork, runnables: Sequence[RunnableVariant], tolerance: Tolerance) -> Any:
    """Differences between a graph and torch on real images of the validation split.

    Raises:
        ModelError: if a difference exceeds the tolerance.
    """
    first, runtimes = runnables[0], [each.runtime for each in runnables]
    settings = [source.settings.compared_images, first.precision, tolerance.to_json(), *map(version_of, runtimes)]
    made_from = {
        "graph": hash_file(first.file),
        "checkpoint": hash_file(parent.checkpoint),
        "settings": hash_value(settings),
        **source.images_hash(),
    }

    def comparison() -> dict[str, Any]:
        validation = source.images("validation")
        images = validation.pixels(validation.spread(source.settings.compared_images))
        reference = run_graph(GraphNetwork(parent.network, source.info.spec, parent.temperature), images)
        return compare(first.file, images, reference, tolerance, first.precision, runtimes)

    return source.cached_json(source.out / first.variant / COMPARISON_FILE, made_from, comparison)


BUILDERS: dict[str, Callable[[Source], BuiltVariant]] = {
    "fp32": _build_fp32,
    "bf16": _build_bf16,
    "dynamic-int8": partial(_build_dynamic_int8, "dynamic-int8", "fp32"),
    "int8": partial(_build_static_int8, "int8", "fp32"),
    POINTWISE: _build_pointwise_int8,
    "pruned": partial(_build_float, name="pruned"),
    "pruned-int8": partial(_build_dynamic_int8, "pruned-int8", "pruned"),
    "channel-pruned": partial(_build_float, name="channel-pruned"),
    "channel-pruned-int8": partial(_build_static_int8, "channel-pruned-int8", "channel-pruned"),
    "distilled": partial(_build_float, name="distilled"),
    "distilled-int8": partial(_build_static_int8, "distilled-int8", "distilled"),
}
