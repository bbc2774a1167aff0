"""Stored predictions are read only where they belong together."""

from dataclasses import replace

import pytest

from lesionlens.assessment.stored import read_stored, run_of
from lesionlens.core.errors import ArtifactError, CheckpointError
from lesionlens.core.run import Run
from lesionlens.evaluation.predictions import write_predictions


@pytest.fixture
def write(draw, tmp_path):
    """Writes both files of a run, changed as told, and gives the run."""

    def write_run(changed_split="", **origin):
        run = Run.at(tmp_path)
        for path, split in ((run.predictions, "test"), (run.validation_predictions, "validation")):
            predictions = draw(60, split=split)
            changes = origin if split == changed_split else {}
            write_predictions(replace(predictions, origin=replace(predictions.origin, **changes)), path)
        return run

    return write_run


def test_both_splits_with_their_hashes(write):
    stored = read_stored(write())
    assert (stored.test.split, stored.validation.split) == ("test", "validation")
    assert stored.hashes.keys() == {"split", "checkpoint", "predictions", "validation_predictions"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "train"}, r"predictions.npz is of the train split.*lesionlens evaluate CHECKPOINT --split test"),
        ({"hashes": {"checkpoint": "other"}}, r"of different checkpoints \(other, c\)"),
        ({"views": 8}, r"of different views \(8, 1\)"),
    ],
)
def test_predictions_that_do_not_belong_together(write, changes, message):
    with pytest.raises(ArtifactError, match=message):
        read_stored(write("test", **changes))


def test_a_missing_validation_file(write):
    run = write()
    run.validation_predictions.unlink()
    with pytest.raises(ArtifactError, match=r"validation.npz does not exist; make it with: lesionlens evaluate CHECKPOINT"):
        read_stored(run)


def test_another_checkpoint_beside_them(write):
    run = write()
    run.best.parent.mkdir()
    run.best.write_bytes(b"another")
    with pytest.raises(ArtifactError, match="was made by another checkpoint than"):
        read_stored(run)


def test_lesions_in_both_splits_are_refused_unless_the_split_says_so(write, draw):
    run = write()
    validation, test = draw(60, split="validation"), draw(60)
    lesion_ids = test.lesion_ids.astype(object)
    lesion_ids[0] = validation.lesion_ids[0]
    shared = replace(test, lesion_ids=lesion_ids.astype(str))
    write_predictions(shared, run.predictions)
    with pytest.raises(ArtifactError, match="thresholds would be tested on the lesions that they were chosen on"):
        read_stored(run)
    write_predictions(replace(shared, origin=replace(shared.origin, leaks=True)), run.predictions)
    assert read_stored(run).test.origin.leaks


def test_the_run_of_a_folder_a_checkpoint_and_nothing(tmp_path):
    checkpoint = tmp_path / "run" / "train" / "best.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert run_of(tmp_path / "run").folder == run_of(checkpoint).folder == tmp_path / "run"
    with pytest.raises(CheckpointError, match="is neither a run folder nor a checkpoint"):
        run_of(tmp_path / "nowhere")
