"""A checkpoint as a frozen model: temperature, threshold and gate come from its own validation split, or its bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lesionlens.assessment.external.frozen_model import FrozenModel, model_settings
from lesionlens.bundle.bundle import FACTS_FILE, read_bundle
from lesionlens.bundle.decision import Decision
from lesionlens.bundle.gate import Gate
from lesionlens.bundle.outputs import Outputs
from lesionlens.bundle.reference import Reference, read_reference
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import ArtifactError, CheckpointError, SplitError
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.evaluate import PredictionSettings, check_belongs, predict_split
from lesionlens.evaluation.predict import square_views
from lesionlens.evaluation.predictions import Predictions, read_predictions
from lesionlens.evaluation.temperature import fit_temperature
from lesionlens.export.decision_fit import SENSITIVITY, fit_decision
from lesionlens.export.gate_fit import REJECTION_RATE
from lesionlens.export.gate_images import fit_gate_on_dataset, gate_counts
from lesionlens.export.graph import GraphNetwork
from lesionlens.export.reference import reference_of
from lesionlens.training.checkpoint import CheckpointInfo, load_info, load_network
from lesionlens.training.distributed import choose_device
from lesionlens.training.precision import autocast, resolve_precision

SMALLEST_PROBABILITY = 1e-38
RAW = "raw: no temperature, threshold or gate, because "

Forward = Callable[[np.ndarray], Outputs]


@dataclass(frozen=True, eq=False)
class _Frozen:
    temperature: float
    decision: Decision | None
    gate: Gate | None
    reference: Reference | None
    source: str


def checkpoint_model(
    checkpoint: Path,
    run: Run,
    settings: PredictionSettings | None = None,
    gate_images: int = 2000,
    reporter: Reporter = SILENT,
) -> FrozenModel:
    """A checkpoint with temperature, threshold and gate from its bundle, else from its validation split, else without.

    Args:
        checkpoint: best.safetensors of a run.
        run: the paths of that run; whatever is there is read, nothing is written.
        settings: views, batch size, precision, device.
        gate_images: images of each split that the gate is fitted on, as at `export`; 0 leaves it out.
        reporter: told of progress.

    Raises:
        CheckpointError: if the checkpoint is damaged.
        BundleError: if the run's bundle is.
    """
    settings = settings or PredictionSettings()
    network, info = load_network(checkpoint)
    recipe = settings.resolved(info.recipe.evaluation)
    device = choose_device(settings.device)
    precision = resolve_precision(settings.precision, device)
    graph, checkpoint_hash = GraphNetwork(network, info.spec).to(device), hash_file(checkpoint)
    frozen = _from_bundle(run, checkpoint_hash) if recipe.views == 1 else None  # a bundle is fitted on one view
    if frozen is None:
        upright = _Gated(_forward(graph, 1, precision), gate_images)
        frozen = _from_validation(checkpoint, run, info, settings, upright, reporter)
    model = model_settings(frozen.temperature, frozen.decision, frozen.gate, frozen.source)
    return FrozenModel(
        name=info.recipe.name,
        kind="checkpoint",
        labels=info.labels,
        spec=info.spec,
        run=_calibrated(_forward(graph, recipe.views, precision), frozen.temperature),
        gate=frozen.gate,
        decision=frozen.decision,
        reference=frozen.reference,
        settings=model,
        hashes={"checkpoint": checkpoint_hash, "index": info.index_hash, "split": info.split_hash},
        seed=info.recipe.seed,
        views=recipe.views,
        precision=precision,
        batch_size=settings.batch_size,
        resamples=recipe.resamples,
        confidence=recipe.confidence,
    )


def dataset_of(checkpoint: Path, run: Run, info: CheckpointInfo) -> Dataset:
    """The data set that a checkpoint was trained with.

    Raises:
        ArtifactError, CheckpointError, SplitError: if it is not in the run folder, or not the one.
    """
    dataset = Dataset.of_run(run)
    check_belongs(checkpoint, info, dataset)
    return dataset


def _forward(graph: GraphNetwork, views: int, precision: str) -> Forward:
    """Mean probabilities over views of prepared images, uint8 (N, S, S, 3), and features of the upright one."""
    device = next(graph.parameters()).device

    def forward(pixels: np.ndarray) -> Outputs:
        images = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
        flat = images.permute(0, 3, 1, 2)
        each = [view.permute(0, 2, 3, 1) for view in square_views(flat)] if views > 1 else [images]
        with torch.inference_mode(), autocast(device, precision):
            outputs = [graph(view)[:2] for view in each]
        mean = torch.stack([probabilities.float() for probabilities, _ in outputs]).mean(0)
        return Outputs(mean.cpu().numpy(), outputs[0][1].float().cpu().numpy(), None)

    return forward


def _calibrated(forward: Forward, temperature: float) -> Forward:
    def calibrated(pixels: np.ndarray) -> Outputs:
        outputs = forward(pixels)
        logits = np.log(np.maximum(outputs.probabilities, SMALLEST_PROBABILITY)) / temperature
        return Outputs(softmax(logits).astype(np.float32), outputs.features, None)

    return calibrated


def _from_bundle(run: Run, checkpoint_hash: str) -> _Frozen | None:
    """What the run's bundle fixed, if it is of this checkpoint."""
    if not (run.bundle / FACTS_FILE).is_file():
        return None
    bundle = read_bundle(run.bundle)
    if bundle.checkpoint_hash != checkpoint_hash:
        return None
    temperature = float(bundle.facts["temperature"]["value"])
    gate, decision = Gate.from_bundle(bundle), Decision.from_bundle(bundle)
    return _Frozen(temperature, decision, gate, read_reference(bundle), f"the run's bundle {run.bundle}")


@dataclass(frozen=True)
class _Gated:
    forward: Forward
    images: int


def _from_validation(
    checkpoint: Path, run: Run, info: CheckpointInfo, settings: PredictionSettings, gated: _Gated, reporter: Reporter
) -> _Frozen:
    """Temperature, threshold and gate fitted as `export` fits them; none of them without the data set of the run."""
    try:
        dataset = dataset_of(checkpoint, run, info)
    except (ArtifactError, CheckpointError, SplitError) as error:
        return _Frozen(1.0, None, None, None, f"{RAW}the checkpoint's validation split is not at hand ({error})")
    if not dataset.split.ids["validation"]:
        return _Frozen(1.0, None, None, None, f"{RAW}the checkpoint's validation split holds no images")
    validation = _validation_predictions(checkpoint, run, dataset, settings, reporter)
    temperature = fit_temperature(validation.logits, validation.labels)
    probabilities = softmax(validation.logits / temperature)
    decision = fit_decision(probabilities, validation.labels, validation.lesion_ids, validation.label_set, SENSITIVITY)
    gate, distances = _gate(gated, dataset, info, reporter) if gated.images else (None, None)
    reference = reference_of(dataset, distances)
    source = f"the checkpoint's validation split, {len(validation)} images"
    return _Frozen(temperature, decision, gate, reference, source)


def _validation_predictions(
    checkpoint: Path, run: Run, dataset: Dataset, settings: PredictionSettings, reporter: Reporter
) -> Predictions:
    """Predictions of the validation split: those of the run if they were made so, else made now."""
    validation = PredictionSettings(
        "validation", settings.views, 0, 0.0, settings.batch_size, settings.precision, settings.device, metadata=False
    )  # of the images alone, as the other data set is predicted
    if run.validation_predictions.is_file():
        predictions = read_predictions(run.validation_predictions)
        views = settings.resolved(load_info(checkpoint).recipe.evaluation).views
        same = predictions.origin.hashes.get("checkpoint") == hash_file(checkpoint) and predictions.split == "validation"
        same = same and not predictions.origin.metadata
        if same and predictions.origin.views == views and predictions.origin.hashes.get("split") == dataset.split.hash:
            return predictions
    with reporter.bar("Predicting validation", len(dataset.split.ids["validation"])) as advance:
        return predict_split(checkpoint, dataset, validation, advance)


def _gate(gated: _Gated, dataset: Dataset, info: CheckpointInfo, reporter: Reporter) -> tuple[Gate, np.ndarray]:
    """The gate, and its distances of the validation images."""
    sizes = {split: len(dataset.ids(split)) for split in ("train", "validation")}
    with reporter.bar("Fitting the gate", sum(gate_counts(sizes, gated.images).values())) as advance:
        gate = fit_gate_on_dataset(gated.forward, dataset, info.spec, gated.images, REJECTION_RATE, advance)
    return Gate(gate.gaussian, gate.facts["thresholds"], gate.photographs), gate.distances
