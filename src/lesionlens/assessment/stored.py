"""The stored predictions of a run, which every assessment reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import ArtifactError, CheckpointError
from lesionlens.core.run import Run
from lesionlens.evaluation.predictions import Predictions, read_predictions

REMEDY = "predict again with: lesionlens evaluate CHECKPOINT"


@dataclass(frozen=True, eq=False)
class StoredPredictions:
    """What a checkpoint predicted for two splits of its run.

    Attributes:
        test: of the test split; everything is reported on it.
        validation: of the validation split; everything is chosen on it.
        hashes: of the checkpoint and what it was trained with, and of both files.
        run: that they lie in.
    """

    test: Predictions
    validation: Predictions
    hashes: dict[str, str]
    run: Run


def run_of(path: Path) -> Run:
    """The run of a checkpoint or of a run folder.

    Raises:
        CheckpointError: if there is neither.
    """
    if path.is_dir():
        return Run.at(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is neither a run folder nor a checkpoint; give one, such as run/train/best.safetensors")
    return Run.of_checkpoint(path)


def read_stored(run: Run) -> StoredPredictions:
    """Read predictions.npz and validation.npz of a run, which must be of one checkpoint.

    Raises:
        ArtifactError: if one is missing, damaged or of another split, or they do not belong together.
    """
    test, validation = read_predictions(run.predictions), read_predictions(run.validation_predictions)
    for predictions, path, split in ((test, run.predictions, "test"), (validation, run.validation_predictions, "validation")):
        if predictions.split != split:
            raise ArtifactError(
                f"{path} is of the {predictions.split} split; what is chosen on validation is reported on test. "
                "Predict again with: lesionlens evaluate CHECKPOINT --split test"
            )
    _check_together(test, validation, run)
    files = {"predictions": hash_file(run.predictions), "validation_predictions": hash_file(run.validation_predictions)}
    return StoredPredictions(test, validation, {**test.origin.hashes, **files}, run)


def _check_together(test: Predictions, validation: Predictions, run: Run) -> None:
    stated = [(each.origin.hashes.get("checkpoint"), each.origin.views, each.codes) for each in (test, validation)]
    for name, first, second in zip(("checkpoints", "views", "diagnoses"), *stated, strict=True):
        if first != second:
            raise ArtifactError(
                f"{run.predictions} and {run.validation_predictions.name} are of different {name} ({first}, {second}); {REMEDY}"
            )
    if run.best.is_file() and stated[0][0] not in (None, hash_file(run.best)):
        raise ArtifactError(f"{run.predictions} was made by another checkpoint than {run.best}; {REMEDY}")
    shared = set(test.lesion_ids.tolist()) & set(validation.lesion_ids.tolist())
    if shared and not test.origin.leaks:
        raise ArtifactError(
            f"lesion {min(shared)} is in {run.predictions.name} and in {run.validation_predictions.name}; thresholds would be "
            "tested on the lesions that they were chosen on. Make a new split with: lesionlens split INDEX"
        )
