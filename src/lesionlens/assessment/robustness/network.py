"""The network under stress: a checkpoint in torch, or a bundle as a clinic runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lesionlens.assessment.robustness.responses import Predict
from lesionlens.assessment.robustness.settings import StressSettings
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import BundleError, CheckpointError
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec, centre_crop
from lesionlens.evaluation.evaluate import check_belongs
from lesionlens.evaluation.predict import predict_logits
from lesionlens.training.checkpoint import load_network
from lesionlens.training.distributed import choose_device
from lesionlens.training.precision import resolve_precision

LEAST_PROBABILITY = 1e-30  # a softmax in float32 may give 0, whose logarithm is no number


@dataclass(frozen=True, eq=False)
class StressedNetwork:
    """A network that predicts frames of a data set.

    Attributes:
        name: of its recipe, with the variant of a bundle.
        predict: takes frames, uint8 (N, F, F, 3) or cropped to `spec.size`; returns logits (N, K).
        spec: how its pixels are prepared.
        precision: number format.
        seed: of its recipe; 0 for a bundle, which does not state it.
        checkpoint_hash: SHA-256 of the checkpoint that it is or was exported from.
        hashes: of what else it is.
    """

    name: str
    predict: Predict
    spec: InputSpec
    precision: str
    seed: int
    checkpoint_hash: str
    hashes: dict[str, str]


def open_network(path: Path, dataset: Dataset, settings: StressSettings) -> StressedNetwork:
    """Open a checkpoint or a bundle that belongs to a data set.

    Args:
        path: best.safetensors of a run, or the folder of a bundle.
        dataset: that it was trained with.
        settings: device, precision and batch size; a bundle runs as it is, on the CPU.

    Raises:
        CheckpointError: if a checkpoint is damaged, or was trained with another split, other pixels or diagnoses.
        BundleError: if a bundle is damaged, or the same holds for it.
    """
    return _bundle(path, dataset, settings) if path.is_dir() else _checkpoint(path, dataset, settings)


def _checkpoint(path: Path, dataset: Dataset, settings: StressSettings) -> StressedNetwork:
    if not path.is_file():
        raise CheckpointError(
            f"{path} is neither a checkpoint nor a bundle; give one of them, such as run/train/best.safetensors or run/bundle"
        )
    network, info = load_network(path)
    check_belongs(path, info, dataset)
    device = choose_device(settings.device)
    precision = resolve_precision(settings.precision, device)
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def predict(frames: np.ndarray) -> np.ndarray:
        return predict_logits(network, frames, info.spec, batch_size=settings.batch_size, precision=precision)

    return StressedNetwork(info.recipe.name, predict, info.spec, precision, info.recipe.seed, hash_file(path), {})


def _bundle(path: Path, dataset: Dataset, settings: StressSettings) -> StressedNetwork:
    predictor = Predictor(path, batch_size=settings.batch_size)
    bundle, hashes = predictor.bundle, predictor.bundle.facts["origin"]["hashes"]
    own = {
        "split": (hashes.get("split"), dataset.split.hash),
        "frames": (bundle.spec.frame_hash, dataset.store.frame_hash),
        "diagnoses": (bundle.labels.codes, dataset.index.labels.codes),
    }
    for name, (stated, given) in own.items():
        if stated != given:
            raise BundleError(
                f"bundle {path} was made with another {name.removesuffix('s')} ({_short(stated)}, not {_short(given)}); "
                "its images may have been trained on, or not be prepared as it expects. Give the data set of its own run"
            )

    def predict(frames: np.ndarray) -> np.ndarray:
        images = np.ascontiguousarray(centre_crop(frames, bundle.spec.size))
        return np.asarray(np.log(np.maximum(predictor.run(images).probabilities, LEAST_PROBABILITY)))

    name = f"{bundle.name}, {predictor.variant.name} in {predictor.runtime}"
    return StressedNetwork(
        name, predict, bundle.spec, predictor.variant.precision, 0, hashes.get("checkpoint", ""), {"bundle": bundle.id}
    )


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else " ".join(value) if isinstance(value, tuple) else "unknown"
