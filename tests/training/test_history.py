"""Records of epochs: the best one, patience, and the file."""

import dataclasses

import pytest

from lesionlens.core.errors import ArtifactError
from lesionlens.training.history import Epoch, best_epoch, is_better, out_of_patience, read_history, training_time, write_history


def epochs(*values, name="balanced_accuracy"):
    return [Epoch(n + 1, 1e-3, 1.0, 0.5, {name: value}, 100.0, 1.0, 0.01, n == 0) for n, value in enumerate(values)]


def test_the_first_of_equals_is_best():
    assert best_epoch(epochs(0.5, 0.7, 0.7, 0.6), "balanced_accuracy").epoch == 2


def test_a_loss_is_best_when_small():
    assert best_epoch(epochs(0.5, 0.4, 0.7, name="loss"), "loss").epoch == 2


def test_an_undefined_metric_is_never_better():
    assert best_epoch(epochs(0.5, None), "balanced_accuracy").epoch == 1
    assert best_epoch(epochs(None, 0.5, 0.4), "balanced_accuracy").epoch == 2
    assert not is_better(float("nan"), 0.1, "loss")


def test_no_history_has_no_best():
    assert best_epoch([], "loss") is None
    assert not out_of_patience([], "loss", 3)


@pytest.mark.parametrize(
    ("values", "over"), [((0.5,), False), ((0.5, 0.4), False), ((0.5, 0.4, 0.3), True), ((0.5, 0.4, 0.6), False)]
)
def test_patience_of_two(values, over):
    assert out_of_patience(epochs(*values), "balanced_accuracy", 2) == over


def test_patience_of_zero_never_ends():
    assert not out_of_patience(epochs(*[0.5] * 50), "balanced_accuracy", 0)


def test_round_trip(tmp_path):
    written = epochs(0.5, None, 0.7)
    write_history(written, tmp_path / "history.jsonl")
    assert read_history(tmp_path / "history.jsonl") == tuple(written)
    assert (tmp_path / "history.jsonl").read_text().count("\n") == 3


@pytest.mark.parametrize("content", ["{", '{"epoch": 1}\n', None])
def test_a_damaged_file_is_an_error(tmp_path, content):
    path = tmp_path / "history.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArtifactError, match="history"):
        read_history(path)


def test_the_time_of_a_training_is_the_sum_of_its_epochs():
    history = epochs(0.5, 0.6)
    time = training_time(history, epoch=2)
    assert time == {"epochs": 2, "epoch": 2, "seconds": sum(each.seconds for each in history)}
    assert training_time([]) == {"epochs": 0, "epoch": None, "seconds": 0}
    with pytest.raises(ArtifactError, match="no finite number"):
        training_time([dataclasses.replace(history[0], seconds=float("nan"))])
