"""Export a checkpoint as a bundle: graph, temperature, scores, card and self-test, compared with torch."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from lesionlens import __version__
from lesionlens.bundle.bundle import (
    FACTS_FILE,
    GRAPH_FILE,
    RUNTIMES,
    WEIGHTS_FILE,
    Bundle,
    Variant,
    check_replaceable,
    open_bundle,
    write_facts,
)
from lesionlens.bundle.card_html import write_card
from lesionlens.bundle.concepts import concept_facts
from lesionlens.bundle.concepts import write_weights as write_concepts
from lesionlens.bundle.engines import Limits, installed, load_engine, version_of
from lesionlens.bundle.metadata import metadata_facts, write_weights
from lesionlens.bundle.outputs import Outputs, Tolerance, differences, shapes, summary
from lesionlens.bundle.selftest import SelfTest, run_batches, write_selftest
from lesionlens.core.artifact import atomic_folder, hash_file
from lesionlens.core.errors import CheckpointError, ModelError, RecipeError
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, centre_crop
from lesionlens.data.split import Split
from lesionlens.data.store import Store
from lesionlens.evaluation.calibration import expected_calibration_error, softmax
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.scores import score
from lesionlens.evaluation.temperature import fit_temperature, scaled_loss
from lesionlens.export.concepts import concept_weights
from lesionlens.export.decision_fit import EXPECTATION, SENSITIVITY, Guarantee, check_sensitivity, fit_decision
from lesionlens.export.gate_fit import REJECTION_RATE, FittedGate, check_rate, write_gate
from lesionlens.export.gate_images import BATCH as GATE_BATCH
from lesionlens.export.gate_images import evenly_spaced, fit_gate_on_dataset, gate_counts
from lesionlens.export.graph import OPSET, GraphNetwork, run_graph, write_graph
from lesionlens.export.metadata import metadata_weights
from lesionlens.export.provenance import INTENDED_USE, licences, origin
from lesionlens.export.reference import reference_of, write_reference
from lesionlens.models.concept_bottleneck import bottleneck_of
from lesionlens.models.metadata_head import head_of
from lesionlens.training.checkpoint import CheckpointInfo, load_network
from lesionlens.training.history import read_history, training_time

EXPORTED_WITH = ("torch", "onnx", "onnxscript", "onnxruntime")
SPLIT = "validation"
HISTORY_FILE = "history.jsonl"  # beside a checkpoint that was trained
BATCH = 3  # of the comparison: neither 1 nor the batch size of the traced graph


@dataclass(frozen=True)
class ExportSettings:
    """How a bundle is written.

    Attributes:
        compared_images: real images of the validation split on which every runtime is compared with torch.
        selftest_images: how many of them the bundle contains.
        tolerance: largest accepted differences; beyond them the export fails.
        data_licence: licence of the images; by default that of a known source.
        batch_size: images in one pass while the temperature is fitted.
        gate_images: images of the training split, and of the validation split, that the gate is fitted on; 0 omits the gate.
        rejection_rate: share of good images that the gate may reject.
        sensitivity: sensitivity for melanoma, where "not sure" counts as detected.
        guarantee: whether that sensitivity is reached on average over validation splits or in nearly each of them.
    """

    compared_images: int = 32
    selftest_images: int = 4
    tolerance: Tolerance = field(default_factory=Tolerance)
    data_licence: str = ""
    batch_size: int = 32
    gate_images: int = 2000
    rejection_rate: float = REJECTION_RATE
    sensitivity: float = SENSITIVITY
    guarantee: Guarantee = EXPECTATION

    def __post_init__(self) -> None:
        check_rate(self.rejection_rate)
        check_sensitivity(self.sensitivity)
        if not 0 <= self.gate_images <= 1_000_000:
            raise RecipeError(f"{self.gate_images} images for the gate; it must be from 0 (no gate) to 1000000")
        if not 1 <= self.selftest_images <= self.compared_images:
            raise RecipeError(
                f"{self.selftest_images} images for the self-test and {self.compared_images} to compare; "
                "it must be at least 1, and at most as many as are compared"
            )
        if not 1 <= self.batch_size <= 100_000:
            raise RecipeError(f"batch size {self.batch_size}; it must be from 1 to 100000")


def export(
    checkpoint: Path,
    dataset: Dataset,
    out: Path,
    predictions: Predictions | None = None,
    settings: ExportSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> Bundle:
    """Write the bundle of a checkpoint; nothing is left behind if any step fails.

    Args:
        checkpoint: best.safetensors of a run.
        dataset: index, split and store of that run.
        out: folder to write; a bundle in its place is replaced.
        predictions: of the test split by this checkpoint, for the metrics in the card; None omits
            them, and the card says so. Those over several views, or without the metadata that the network is told, are
            made again as the bundle predicts.
        settings: how the bundle is written.
        progress: called with the number of images of each batch, `images_to_process` in all.

    Raises:
        CheckpointError: if the checkpoint, the dataset and the predictions do not belong together.
        ModelError: if the network cannot be exported, or its graph computes something else than torch.
        BundleError: if `out` exists and is not a bundle.
        RecipeError: if there are no validation images.
        StorageError: if the disk is full or not writable.
    """
    settings = settings or ExportSettings()
    check_replaceable(out)
    trained = _TrainedNetwork(checkpoint, hash_file(checkpoint) if checkpoint.is_file() else "", *load_network(checkpoint))
    _check_predictions(predictions, trained)
    told = trained.info.recipe.model.metadata
    prediction = PredictionSettings(split=SPLIT, views=1, batch_size=settings.batch_size)
    validation = predict_split(checkpoint, dataset, prediction, progress)
    temperature = _fit_temperature(validation)
    images = comparison_images(validation.image_ids, dataset.store, trained.info.spec, settings.compared_images)
    graph = GraphNetwork(trained.network, trained.info.spec, temperature["value"])
    reference = run_graph(graph, images)
    facts = _facts(trained, dataset, settings.data_licence)
    facts |= {"outputs": shapes(reference), "temperature": temperature}
    if predictions is not None and (predictions.origin.views > 1 or predictions.origin.metadata != told):
        once = dataclasses.replace(prediction, split=predictions.split)
        predictions = predict_split(checkpoint, dataset, once, progress)
    facts["scores"] = _scores(predictions, temperature["value"], trained.info)
    facts["decision"] = _decision(validation, temperature["value"], settings)
    with atomic_folder(out, mark=FACTS_FILE) as folder:
        write_graph(graph, folder / GRAPH_FILE)
        comparison = compare(folder / GRAPH_FILE, images, reference, settings.tolerance)
        fp32 = Variant("fp32", dict.fromkeys(RUNTIMES, GRAPH_FILE), tolerance=settings.tolerance, comparison=comparison)
        facts |= {"default_variant": "fp32", "variants": {"fp32": fp32.to_json()}}
        gate = _fit_gate(folder, dataset, trained.info.spec, settings, progress)
        facts["gate"] = None if gate is None else gate.facts
        facts |= _write_beside_graph(trained, graph, reference, folder)
        write_reference(reference_of(dataset, None if gate is None else gate.distances), folder)
        count = settings.selftest_images
        write_selftest(SelfTest(images[:count], {"fp32": reference.rows(0, count)}), folder)
        shutil.copyfile(checkpoint, folder / WEIGHTS_FILE)
        write_card(folder, facts)
        write_facts(folder, facts)
    return open_bundle(out)


def images_to_process(split: Split, settings: ExportSettings, predictions: Predictions | None = None) -> int:
    """Number of images that `export` processes, including those that are missing from the store."""
    sizes = {split_name: len(split.ids[split_name]) for split_name in ("train", SPLIT)}
    again = len(predictions) if predictions is not None and predictions.origin.views > 1 else 0
    return sizes[SPLIT] + again + sum(gate_counts(sizes, settings.gate_images).values())


@dataclass(frozen=True)
class _TrainedNetwork:
    checkpoint: Path
    hash: str
    network: nn.Module
    info: CheckpointInfo


def _write_beside_graph(trained: _TrainedNetwork, graph: GraphNetwork, reference: Outputs, folder: Path) -> dict[str, Any]:
    """Write what a bundle computes beside its graph, the metadata head and the concepts, and say so in its facts."""
    facts: dict[str, Any] = {}
    if (head := head_of(trained.network)) is not None:
        facts["metadata"] = metadata_facts(head.fields)
        write_weights(metadata_weights(head), folder)
    if (bottleneck := bottleneck_of(trained.network)) is not None:
        facts["concepts"] = concept_facts(trained.info.concepts)
        write_concepts(concept_weights(bottleneck, graph, reference.features), folder)
    return facts


def comparison_images(ids: np.ndarray, store: Store, spec: InputSpec, count: int) -> np.ndarray:
    """Prepared images, uint8 (n, S, S, 3), spread evenly over `ids`; all of them if there are fewer than `count`."""
    rows = store.rows([str(ids[row]) for row in evenly_spaced(len(ids), count)])
    frames = store.images[np.sort(rows)]
    return np.ascontiguousarray(centre_crop(frames, spec.size))


def compare(
    graph: Path,
    images: np.ndarray,
    reference: Outputs,
    tolerance: Tolerance,
    precision: str = "fp32",
    runtimes: Sequence[str] = RUNTIMES,
) -> dict[str, Any]:
    """Compare a graph on every installed runtime with torch, on single images and in batches.

    Args:
        graph: ONNX, or OpenVINO's XML.
        images: prepared, uint8 (N, S, S, 3).
        reference: the outputs of torch for them.
        tolerance: largest accepted differences.
        precision: number format of the layers that are not quantised.
        runtimes: the runtimes to compare, if they are installed.

    Returns:
        `n_images`, `tolerance`, and by runtime the largest differences and the share of images with the
        same predicted diagnosis.

    Raises:
        ModelError: if a difference is beyond the tolerance, or no runtime is installed.
    """
    available = [name for name in runtimes if installed(name) and (name == "openvino" or graph.suffix == ".onnx")]
    if not available:
        raise ModelError("no runtime is installed to compare the export with; install one with: pip install onnxruntime")
    results: dict[str, Any] = {}
    for runtime in available:
        largest, same = _measure(runtime, graph, images, reference, precision)
        exceeded = tolerance.broken_by(largest)
        if exceeded:
            raise ModelError(
                f"{graph.name} computes something else than torch on {runtime} over {len(images)} images: differences "
                f"{summary(exceeded)}, allowed {summary(tolerance.to_json())}. Nothing was written; choose another network"
            )
        results[runtime] = {"version": version_of(runtime), "largest_difference": largest, "same_first": same}
    return {"n_images": len(images), "tolerance": tolerance.to_json(), "runtimes": results}


def _measure(runtime: str, graph: Path, images: np.ndarray, reference: Outputs, precision: str) -> tuple[dict[str, float], float]:
    """Largest differences for single images and batches, and the share of images with the same predicted diagnosis."""
    results: list[dict[str, float]] = []
    for batch_size in (1, BATCH):
        engine = load_engine(runtime, graph, images.shape[1], precision, Limits(batch_size=batch_size))
        outputs = run_batches(engine, images, batch_size)
        results.append(differences(outputs, reference))
    same = outputs.probabilities.argmax(axis=1) == reference.probabilities.argmax(axis=1)
    return {name: float(np.max([each[name] for each in results])) for name in results[0]}, float(same.mean())


def _fit_temperature(validation: Predictions) -> dict[str, Any]:
    """The temperature, and the calibration before and after it on the split that it is fitted on."""
    logits, labels = validation.logits.astype(np.float64), validation.labels
    value = fit_temperature(logits, labels)
    errors = [expected_calibration_error(softmax(logits / t), labels) for t in (1.0, value)]
    return {
        "value": value,
        "fitted_on": validation.split,
        "n_images": len(validation),
        "nll_before": scaled_loss(logits, labels, 1.0),
        "nll_after": scaled_loss(logits, labels, value),
        "ece_before": errors[0],
        "ece_after": errors[1],
    }


def _decision(validation: Predictions, temperature: float, settings: ExportSettings) -> dict[str, Any]:
    """The threshold of the response "not sure", fitted on the bundle's calibrated validation probabilities."""
    probabilities = softmax(validation.logits / temperature)
    cases = (probabilities, validation.labels, validation.lesion_ids, validation.label_set)
    return fit_decision(*cases, settings.sensitivity, settings.guarantee).to_json()


def _fit_gate(
    folder: Path, dataset: Dataset, spec: InputSpec, settings: ExportSettings, progress: Callable[[int], None] | None
) -> FittedGate | None:
    """Fit the gate on the written graph, with the preferred runtime, and write it; None without a gate."""
    if not settings.gate_images:
        return None
    runtime = next(name for name in RUNTIMES if installed(name))
    engine = load_engine(runtime, folder / GRAPH_FILE, spec.size, "fp32", Limits(batch_size=GATE_BATCH))
    fitted = fit_gate_on_dataset(
        engine.run, dataset, spec, settings.gate_images, settings.rejection_rate, progress or (lambda count: None)
    )
    write_gate(fitted, folder)
    return fitted


def _scores(predictions: Predictions | None, temperature: float, info: CheckpointInfo) -> dict[str, Any] | None:
    """Metrics of the bundle's predictions, with the temperature applied."""
    if predictions is None:
        return None
    recipe = info.recipe.evaluation
    calibrated = dataclasses.replace(predictions, logits=(predictions.logits / temperature).astype(np.float32))
    return {**score(calibrated, recipe.resamples, recipe.confidence), "temperature": temperature}


def _check_predictions(predictions: Predictions | None, trained: _TrainedNetwork) -> None:
    if predictions is not None and predictions.origin.hashes.get("checkpoint") != trained.hash:
        raise CheckpointError(
            f"the predictions are of another checkpoint than {trained.checkpoint}; predict again with: lesionlens evaluate, "
            "or omit the metrics with --no-scores"
        )


def _facts(trained: _TrainedNetwork, dataset: Dataset, data_licence: str) -> dict[str, Any]:
    info = trained.info
    source, model = dataset.index.source, info.recipe.model
    hashes = {"checkpoint": trained.hash, "index": dataset.index.hash, "split": dataset.split.hash, "store": dataset.store.hash}
    history = trained.checkpoint.with_name(HISTORY_FILE)
    return {
        "name": info.recipe.name,
        "labels": info.labels.to_json(),
        "input": info.spec.to_json(),
        "input_hash": info.spec.hash,
        "opset": OPSET,
        "origin": origin(info.recipe, source, dataset.split, hashes, info.epoch, info.averaged),
        "training": training_time(read_history(history), info.epoch) if history.is_file() else None,
        "versions": {"training": info.versions, "export": _versions()},
        "intended_use": INTENDED_USE,
        "licences": licences(source, model.name, model.weights, data_licence),
    }


def _versions() -> dict[str, str]:
    return {"lesionlens": __version__, **{name: version(name) for name in EXPORTED_WITH}}
