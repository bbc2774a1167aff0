"""The history of a training run: its epochs, their file, and early stopping."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lesionlens.core.artifact import write_text
from lesionlens.core.errors import ArtifactError

Finished = TypeVar("Finished")
SEMI_SUPERVISED = ("pseudo_labels", "unlabelled")


@dataclass(frozen=True)
class Epoch:
    """One finished epoch.

    Attributes:
        epoch: number, from 1.
        learning_rate: of its last step.
        training_loss: mean loss over the training images, including augmentation, smoothing and weights.
        training_accuracy: share of training images whose first choice is the label of larger weight, in [0, 1].
        validation: metrics of the validation split, at least the one that the recipe monitors.
        images_per_second: training speed over all processes, without validation.
        seconds: duration of the epoch, including validation.
        waiting_share: share of the training time spent waiting for images, in [0, 1].
        best: whether it beats all earlier epochs.
        pseudo_labels: unlabelled images that got each diagnosis as a pseudo-label; empty without unlabelled images.
        unlabelled: unlabelled images seen.
    """

    epoch: int
    learning_rate: float
    training_loss: float
    training_accuracy: float
    validation: dict[str, float | None]
    images_per_second: float
    seconds: float
    waiting_share: float
    best: bool
    pseudo_labels: dict[str, int] = field(default_factory=dict)
    unlabelled: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict: one line of the history file; it speaks of unlabelled images only where there are any."""
        values = asdict(self)
        return values if self.unlabelled else {name: value for name, value in values.items() if name not in SEMI_SUPERVISED}

    def line(self, epochs: int) -> str:
        """A summary of the epoch, one of `epochs`, in one line."""
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in self.validation.items() if value is not None)
        return (
            f"epoch {self.epoch}/{epochs}  rate {self.learning_rate:.2e}  training loss {self.training_loss:.4f}  "
            f"validation {metrics}  {self.images_per_second:.0f} images/s  {self.seconds:.0f} s{'  best' if self.best else ''}"
            f"{self._pseudo_labels()}"
        )

    def _pseudo_labels(self) -> str:
        if not self.unlabelled:
            return ""
        counts = ", ".join(f"{code} {count}" for code, count in self.pseudo_labels.items())
        return f"  pseudo-labels of {self.unlabelled} unlabelled: {counts}"


def is_better(value: float | None, best: float | None, monitor: str) -> bool:
    """Whether `value` of the metric `monitor` beats `best`; an undefined one (None or NaN) never does."""
    if value is None or math.isnan(value):
        return False
    if best is None:
        return True
    return value < best if monitor == "loss" else value > best


def best_epoch(history: Sequence[Epoch], monitor: str) -> Epoch | None:
    """The best epoch so far, the first among equals; the first epoch while the metric is undefined."""
    best = history[0] if history else None
    for epoch in history[1:]:
        if best is None or is_better(epoch.validation[monitor], best.validation[monitor], monitor):
            best = epoch
    return best


def out_of_patience(history: Sequence[Epoch], monitor: str, patience: int) -> bool:
    """Whether the last `patience` epochs brought no improvement; never with a patience of 0."""
    best = best_epoch(history, monitor)
    return bool(patience and best is not None and history[-1].epoch - best.epoch >= patience)


def training_time(history: Sequence[Epoch], epoch: int | None = None) -> dict[str, Any]:
    """How long a training took, JSON-ready: `epochs`, `seconds` with validation, and the `epoch` of the weights.

    Raises:
        ArtifactError: if a duration is not a finite number.
    """
    seconds = sum(each.seconds for each in history)
    if not math.isfinite(seconds):
        raise ArtifactError("the history of the training has a duration that is no finite number; train again")
    return {"epochs": len(history), "epoch": epoch, "seconds": round(seconds, 3)}


def write_history(history: Sequence[Epoch], path: Path) -> None:
    """Write one JSON line per epoch, atomically."""
    write_text(path, "".join(json.dumps(epoch.to_json(), allow_nan=False) + "\n" for epoch in history))


def read_history(path: Path) -> tuple[Epoch, ...]:
    """Read a file of `write_history`.

    Raises:
        ArtifactError: if the file is missing or damaged.
    """
    return read_epochs(path, Epoch, "train again with: lesionlens train RECIPE")


def read_epochs(path: Path, kind: type[Finished], remedy: str) -> tuple[Finished, ...]:
    """Epochs of one kind, one JSON line for each.

    Args:
        path: of the file.
        kind: dataclass of a finished epoch.
        remedy: how it is made again.

    Raises:
        ArtifactError: if the file is missing or damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(kind(**json.loads(line)) for line in lines)
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(f"history {path} is missing or damaged ({error}); {remedy}") from error
