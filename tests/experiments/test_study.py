"""A search: on validation only, trials that are stopped early, and resuming."""

import json
import threading
from dataclasses import replace

import pytest
from tests.experiments.in_this_process import in_this_process

from lesionlens.core.errors import ClusterError, ModelError, RecipeError
from lesionlens.core.recipe_file import load_recipe
from lesionlens.experiments import study
from lesionlens.experiments.folder import Failure
from lesionlens.experiments.launch import Stopped
from lesionlens.experiments.space import Range, Space
from lesionlens.experiments.study import Budget, require_optuna, search
from lesionlens.pipeline.job import ImageSource
from lesionlens.training.history import Epoch, read_history, write_history

pytestmark = pytest.mark.slow  # many small trainings

AXES = {"training.learning_rate": Range(1e-4, 1e-2, True, False), "training.batch_size": (8, 16)}


@pytest.fixture(scope="module")
def space(small_grid) -> Space:
    base = replace(small_grid.base, training=replace(small_grid.base.training, warmup_learning_rate=1e-5, epochs=3))
    return Space("small", base, AXES, {})


def pretend(task, reporter, limits):
    """Write the history that a training of these settings would have: the higher the rate, the better."""
    epochs = []
    for number in range(1, task.recipe.training.epochs + 1):
        score = min(1.0, task.recipe.training.learning_rate * 50 + number / 100)
        validation = {"balanced_accuracy": score, "loss": 1 - score}
        epochs.append(Epoch(number, 0.1, 1.0, 0.5, validation, 10.0, 1.0, 0.0, True))
        write_history(epochs, task.run.history)
        reporter.note(f"epoch {number}/{task.recipe.training.epochs}")
    return None


def test_trials_that_do_badly_are_stopped_early(space, synthetic_root, here, notes, tmp_path):
    content = search(space, ImageSource(synthetic_root), tmp_path, Budget(12), replace(here, launch=pretend), notes.reporter)
    assert len(content["trials"]) == 12
    states = [trial["state"] for trial in content["trials"]]
    assert {"complete", "pruned"} == set(states)
    assert all(trial["epochs"] < 3 for trial in content["trials"] if trial["state"] == "pruned")
    best = max(content["trials"], key=lambda trial: trial["settings"]["training.learning_rate"])
    complete = [trial for trial in content["trials"] if trial["state"] == "complete"]
    assert content["best"]["value"] == max(trial["value"] for trial in complete)
    assert content["best"]["number"] == best["number"]
    assert (content["split"], content["metric"], content["direction"]) == ("validation", "balanced_accuracy", "maximise")
    recipe = load_recipe(tmp_path / "best.toml")
    assert recipe.training.learning_rate == best["settings"]["training.learning_rate"]
    assert json.loads((tmp_path / "search.json").read_text()) == content
    assert "train best.toml" in (tmp_path / "search.md").read_text().lower()


def test_trials_side_by_side(space, synthetic_root, here, notes, tmp_path):
    """Three at one time, none more than asked for, and never two in one folder, though four settings are drawn ten times."""
    both, folders, busiest = threading.Barrier(3), [], 0

    def launch(task, reporter, limits):
        nonlocal busiest
        assert task.run.folder not in folders
        folders.append(task.run.folder)
        busiest = max(busiest, len(folders))
        if busiest < 3:  # a trial whose folder is in use comes later, so three may not be there at first
            try:
                both.wait(5)
            except threading.BrokenBarrierError:
                both.reset()
        pretend(task, reporter, limits)
        folders.remove(task.run.folder)

    few = replace(space, axes={"training.batch_size": (8, 16, 24, 32)})
    options = replace(here, launch=launch, at_once=lambda: 3)
    content = search(few, ImageSource(synthetic_root), tmp_path, Budget(10), options, notes.reporter)
    assert len(content["trials"]) == 10
    assert {trial["state"] for trial in content["trials"]} <= {"complete", "pruned"}
    assert busiest == 3


def test_an_error_of_one_trial_stops_the_others(space, synthetic_root, here, notes, tmp_path):
    first = threading.Lock()

    def launch(task, reporter, limits):
        if first.acquire(blocking=False):
            raise ClusterError("the head node does not answer")
        assert limits.stop.wait(60)
        raise Stopped

    options = replace(here, launch=launch, at_once=lambda: 2)
    with pytest.raises(ClusterError, match="head node"):
        search(space, ImageSource(synthetic_root), tmp_path, Budget(10), options, notes.reporter)


def test_the_test_split_is_never_predicted(space, synthetic_root, here, notes, tmp_path):
    content = search(space, ImageSource(synthetic_root), tmp_path, Budget(1), here, notes.reporter)
    assert content["best"]["epochs"] == 3
    assert not list(tmp_path.rglob("predictions.npz"))
    assert not list(tmp_path.rglob("scores.json"))
    assert list(tmp_path.rglob("best.safetensors"))


def test_a_search_resumes_in_the_middle_of_a_trial(space, synthetic_root, here, notes, tmp_path):
    def killed(task, reporter, limits):
        def note(text):
            reporter.note(text)
            if text.startswith("epoch 1/"):
                raise KeyboardInterrupt

        return in_this_process(task, replace(reporter, note=note), limits)

    with pytest.raises(KeyboardInterrupt):
        search(space, ImageSource(synthetic_root), tmp_path, Budget(1), replace(here, launch=killed), notes.reporter)
    (history,) = tmp_path.rglob("history.jsonl")
    assert len(read_history(history)) == 1
    content = search(space, ImageSource(synthetic_root), tmp_path, Budget(1), here, notes.reporter)
    assert list(tmp_path.rglob("history.jsonl")) == [history]
    assert any("resuming after epoch 1" in line for line in notes)
    assert [trial["state"] for trial in content["trials"]] == ["fail", "complete"]
    again = search(space, ImageSource(synthetic_root), tmp_path, Budget(1), here, notes.reporter)
    assert again == content, "one trial was asked for and is there"


def test_a_failed_trial_is_counted_and_named(space, synthetic_root, here, notes, tmp_path):
    def fail(task, reporter, limits):
        return Failure("memory", "out of memory")

    content = search(space, ImageSource(synthetic_root), tmp_path, Budget(2), replace(here, launch=fail), notes.reporter)
    assert [trial["reason"] for trial in content["trials"]] == ["out of memory"] * 2
    assert content["best"] is None
    assert not (tmp_path / "best.toml").exists()
    assert "failed: out of memory" in (tmp_path / "search.md").read_text()


def test_the_loss_is_minimised(space, synthetic_root, here, notes, tmp_path):
    by_loss = replace(space, base=replace(space.base, training=replace(space.base.training, monitor="loss")))
    content = search(by_loss, ImageSource(synthetic_root), tmp_path, Budget(4), replace(here, launch=pretend), notes.reporter)
    assert content["direction"] == "minimise"
    assert content["best"]["value"] == min(trial["value"] for trial in content["trials"] if trial["state"] == "complete")


def test_a_folder_of_another_search_is_refused(space, synthetic_root, here, notes, tmp_path):
    search(space, ImageSource(synthetic_root), tmp_path, Budget(1), replace(here, launch=pretend), notes.reporter)
    with pytest.raises(RecipeError, match="holds results of grid 'search small', not of 'search other'"):
        search(replace(space, name="other"), ImageSource(synthetic_root), tmp_path, Budget(1), here, notes.reporter)
    wider = replace(space, axes={**AXES, "training.batch_size": (8, 16, 32)})
    with pytest.raises(RecipeError, match="holds a search of other axes or arms"):
        search(wider, ImageSource(synthetic_root), tmp_path, Budget(2), here, notes.reporter)


def test_wrong_axes_are_found_before_the_first_trial(space, synthetic_root, here, notes, tmp_path):
    wrong = replace(space, axes={"training.learnin_rate": Range(1e-4, 1e-2, True, False)})
    with pytest.raises(RecipeError, match="did you mean learning_rate"):
        search(wrong, ImageSource(synthetic_root), tmp_path, Budget(1), here, notes.reporter)
    beyond = replace(space, axes={"model.drop_rate": Range(0.0, 2.0, False, False)})
    with pytest.raises(RecipeError, match="model.drop_rate = 2.0; it must be from 0 to below 1"):
        search(beyond, ImageSource(synthetic_root), tmp_path, Budget(1), here, notes.reporter)
    with pytest.raises(RecipeError, match="there must be 1 trial or more"):
        Budget(0)


def test_without_optuna(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ModelError, match=r"pip install 'lesionlens\[search\]'"):
        require_optuna()
    assert study.REDUCTION == 3
