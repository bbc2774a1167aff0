"""A grid from its file to its tables: shared artifacts, what is skipped, failures, budget, and foreign folders."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.experiments.in_this_process import in_this_process

from lesionlens.core.artifact import read_json
from lesionlens.core.errors import ModelError, RecipeError, SplitError, StorageError, TrainingError
from lesionlens.core.recipe_file import load_recipe
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.pooling import pool
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.experiments.execution import DONE, FAILED, STARTED, TO_DO
from lesionlens.experiments.experiment import ablate, planned
from lesionlens.experiments.folder import Experiment, Failure
from lesionlens.experiments.grid import Row, single
from lesionlens.experiments.launch import Limits
from lesionlens.experiments.point_run import Task
from lesionlens.experiments.points import points_of
from lesionlens.experiments.table import build_table
from lesionlens.pipeline.job import ImageSource
from lesionlens.training.history import read_history


def run(grid, images, folder, options, notes):
    notes.clear()
    return ablate(grid, ImageSource(images), folder, options, reporter=notes.reporter)


def test_every_run_is_done_and_shares_what_it_can(finished, small_grid):
    folder, outcome = finished
    assert [each.state for each in outcome.states] == [DONE] * 4
    assert (outcome.failed, outcome.left) == (0, 0)
    assert len(list((folder / "shared").rglob("split.json"))) == 1
    assert len(list((folder / "shared").rglob("images.npy"))) == 1
    assert len(list((folder / "shared").rglob("plan.csv"))) == 2, "one for each seed"
    assert not list((folder / "runs").rglob("images.npy"))
    assert not list((folder / "runs").rglob("last.safetensors")), "nothing is left to resume"
    assert not list(folder.rglob("*.part"))
    for point in points_of(small_grid):
        run = Experiment(folder).run(point)
        assert load_recipe(run.recipe) == point.recipe
        assert read_predictions(run.predictions).split == "test"


def test_the_table_pools_the_runs_of_a_row(finished, small_grid):
    """Parity with the functions that `lesionlens compare` calls."""
    folder, outcome = finished
    table = json.loads((folder / "table.json").read_text())
    assert table == outcome.table
    runs = {}
    for point in points_of(small_grid):
        runs.setdefault(point.row, []).append(read_predictions(Experiment(folder).run(point).predictions))
    first, second = table["rows"]
    assert first["metrics"] == pool(runs["adamw"], 0.95, 100)["metrics"]
    assert second["metrics"] == pool(runs["sgd"], 0.95, 100)["metrics"]
    pairs = [compare(new, old, 100, 0.95)["metrics"]["accuracy"] for new, old in zip(runs["sgd"], runs["adamw"], strict=True)]
    assert second["differences"]["accuracy"]["values"] == [pair["difference"] for pair in pairs]
    assert second["differences"]["accuracy"]["seeds"] == [0, 1]
    assert first["differences"] == {}
    assert set(second["holm"]) == {"balanced_accuracy", "accuracy"}
    assert second["paper"]["accuracy"] == {"value": 0.8673, "printed": None}
    assert second["cost"]["parameters"] > 100_000
    assert second["cost"]["training_s"] > 0
    assert second["cost"]["energy_kwh"] is None


def test_the_tables_in_every_format(finished):
    folder, outcome = finished
    lines = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [line["row"] for line in lines] == ["adamw", "sgd"]
    assert float(lines[1]["balanced_accuracy_value"]) == outcome.table["rows"][1]["metrics"]["balanced_accuracy"]["value"]
    assert lines[1]["paper_accuracy"] == "0.8673"
    text = (folder / "table.md").read_text()
    assert "| training.optimizer | runs | Balanced accuracy" in text
    assert "86.73" in text
    assert "38.6 %" in text
    page = (folder / "table.html").read_text()
    assert page.count('<svg class="figure"') == 5, "the intervals of all rows, and loss and accuracy of both"
    assert "Two optimizers" in page
    assert "not a medical device" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_table_names_no_folder_of_this_machine(copied, small_grid):
    grid = replace(
        small_grid, base=replace(small_grid.base, model=replace(small_grid.base.model, weights="/home/me/net.safetensors"))
    )
    text = json.dumps(build_table(Experiment(copied), grid, points_of(small_grid)))
    assert "net.safetensors" in text
    assert "/home/me" not in text
    assert str(copied) not in text


def test_a_second_call_runs_nothing(copied, small_grid, synthetic_root, here, notes):
    def refuse(task, reporter, limits):
        raise AssertionError("nothing is missing")

    outcome = run(small_grid, synthetic_root, copied, replace(here, launch=refuse), notes)
    assert "4 runs: 4 done, 0 failed before, 0 to do" in notes
    assert outcome.table["rows"] == read_json(copied / "table.json")["rows"]


@pytest.mark.slow
def test_what_is_missing_or_damaged_is_run_again(copied, small_grid, synthetic_root, here, notes):
    before = read_json(copied / "table.json")
    points = points_of(small_grid)
    shutil.rmtree(Experiment(copied).run(points[1]).folder)
    scores = Experiment(copied).run(points[2]).scores
    scores.write_text(scores.read_text() + " ")
    states = planned(small_grid, ImageSource(synthetic_root), copied)
    assert [each.state for each in states] == [DONE, TO_DO, STARTED, DONE]
    outcome = run(small_grid, synthetic_root, copied, here, notes)
    assert "4 runs: 2 done, 0 failed before, 2 to do" in notes
    assert numbers(outcome.table) == numbers(before)


def numbers(table):
    """What a repetition must give again: all but times and memory."""
    return [{**row, "cost": {key: row["cost"][key] for key in ("parameters", "macs", "epochs")}} for row in table["rows"]]


@pytest.mark.slow
def test_a_seed_more_keeps_what_is_done(copied, small_grid, synthetic_root, here, notes):
    outcome = run(replace(small_grid, seeds=(0, 1, 2), rows=small_grid.rows[:1]), synthetic_root, copied, here, notes)
    assert "3 runs: 2 done, 0 failed before, 1 to do" in notes
    assert len(outcome.table["rows"][0]["metrics"]["accuracy"]["values"]) == 3


def out_of_memory(task: Task, reporter, limits):
    if task.recipe.training.optimizer == "sgd":
        return Failure("memory", "out of memory (tried to allocate 900 GB)")
    return in_this_process(task, reporter, limits)


@pytest.mark.slow
def test_a_failure_is_a_row_and_the_grid_goes_on(copied, small_grid, synthetic_root, here, notes):
    shutil.rmtree(copied / "runs")
    outcome = run(replace(small_grid, seeds=(0,)), synthetic_root, copied, replace(here, launch=out_of_memory), notes)
    assert [each.state for each in outcome.states] == [DONE, FAILED]
    assert outcome.failed == 1
    row = outcome.table["rows"][1]
    assert row["metrics"] == {}
    assert "failed: out of memory (tried to allocate 900 GB)" in row["reason"]
    assert "out of memory" in (copied / "table.md").read_text()
    assert "out of memory" in (copied / "table.html").read_text()
    assert any(line.startswith("[2/2] sgd, seed 0: failed: out of memory") for line in notes)
    again = run(replace(small_grid, seeds=(0,)), synthetic_root, copied, here, notes)
    assert again.failed == 1, "a failure is not tried again unasked"
    assert "run them again with --retry" in notes
    mended = run(replace(small_grid, seeds=(0,)), synthetic_root, copied, replace(here, retry=True), notes)
    assert (mended.failed, mended.left) == (0, 0)
    assert mended.table["rows"][1]["reason"] == ""


@pytest.mark.slow
def test_errors_of_a_run_are_recorded(copied, small_grid, synthetic_root, here, notes):
    """A network that does not take the size, and one that does not exist; the message names sizes and names."""
    small = {"input.size": 48, "training.epochs": 1, "training.warmup_epochs": 0}
    rows = (Row("inception", {"model.name": "inception_v3", **small}), Row("typo", {"model.name": "resnet5", **small}))
    outcome = run(replace(small_grid, name="nets", seeds=(0,), rows=rows), synthetic_root, copied / "nets", here, notes)
    first, second = (row["reason"] for row in outcome.table["rows"])
    assert "inception_v3 does not take images of 48 pixels" in first
    assert "of 32 to 512 it takes 96, 128" in first
    assert "timm knows no network 'resnet5'" in second
    assert outcome.failed == 2
    with pytest.raises(ModelError, match="inception_v3 does not take images of 48 pixels"):
        planned(replace(small_grid, name="nets", rows=rows), ImageSource(synthetic_root), copied / "nets")


def test_bugs_are_not_recorded_as_failures(copied, small_grid, synthetic_root, here, notes, monkeypatch):
    def broken(task, reporter):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("tests.experiments.in_this_process.run_point", broken)
    shutil.rmtree(copied / "runs")
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(small_grid, synthetic_root, copied, here, notes)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"), "memory"),
        (TrainingError("the loss is nan"), "error"),
    ],
)
def test_kinds_of_failures(copied, small_grid, synthetic_root, here, notes, monkeypatch, error, kind):
    def fail(task, reporter):
        raise error

    monkeypatch.setattr("tests.experiments.in_this_process.run_point", fail)
    shutil.rmtree(copied / "runs")
    run(replace(small_grid, seeds=(0,)), synthetic_root, copied, here, notes)
    failures = [Experiment(copied).failure(point) for point in points_of(replace(small_grid, seeds=(0,)))]
    assert [failure.kind for failure in failures] == [kind, kind]
    assert all("\n" not in failure.reason for failure in failures)


def test_a_folder_of_another_grid_is_refused(copied, small_grid, synthetic_root, here, notes):
    with pytest.raises(RecipeError, match="holds results of grid 'small', not of 'other'; choose another --out"):
        run(replace(small_grid, name="other"), synthetic_root, copied, here, notes)
    other = replace(small_grid, base=replace(small_grid.base, seed=3, training=replace(small_grid.base.training, epochs=3)))
    with pytest.raises(RecipeError, match="with other settings of row 'adamw'"):
        run(other, synthetic_root, copied, here, notes)
    assert not notes, "nothing was read or written"


def test_other_images_are_refused(copied, small_grid, two_sources, here, notes):
    rows = (two_sources / "HAM10000_metadata.csv").read_text().splitlines()
    (two_sources / "HAM10000_metadata.csv").write_text("\n".join(rows[:-3]) + "\n")
    with pytest.raises(RecipeError, match="holds results on other images"):
        run(small_grid, two_sources, copied, here, notes)


def test_two_processes_do_not_share_a_folder(copied, small_grid, synthetic_root, here, notes, monkeypatch):
    monkeypatch.setattr("lesionlens.experiments.folder.LOCK_PATIENCE_S", 0.1)
    with Experiment(copied).locked(), pytest.raises(StorageError, match="another process works in"):
        run(small_grid, synthetic_root, copied, here, notes)


@pytest.mark.slow  # several trainings
def test_the_budget_stops_between_epochs_and_the_run_resumes(copied, small_grid, synthetic_root, here, notes):
    before = read_json(copied / "table.json")
    shutil.rmtree(copied / "runs")
    stopped = run(replace(small_grid, hours=1e-9), synthetic_root, copied, here, notes)
    assert stopped.left == 4
    assert any("the budget of this grid is spent; 4 runs are left" in line for line in notes)

    def late(task, reporter, limits):
        return in_this_process(task, reporter, Limits(deadline=0.0))

    with_deadline = run(small_grid, synthetic_root, copied, replace(here, launch=late), notes)
    assert with_deadline.left == 4
    history = Experiment(copied).run(points_of(small_grid)[0]).history
    assert len(read_history(history)) == 1
    resumed = run(small_grid, synthetic_root, copied, here, notes)
    assert any("adamw, seed 0: resuming after epoch 1" in line for line in notes)
    assert numbers(resumed.table) == numbers(before)


@pytest.mark.slow
def test_the_time_that_is_left_is_shown(finished, small_grid, synthetic_root, here, notes, tmp_path):
    run(replace(small_grid, seeds=(0,)), synthetic_root, tmp_path / "again", here, notes)
    assert any(line.startswith("[1/2] adamw, seed 0: epoch 1/2") and "left in all" in line for line in notes)
    assert any(line.startswith("2 runs share 1 index, 1 split, 1 store, 1 plan") for line in notes)


@pytest.mark.slow
def test_folds_predict_every_image_once(synthetic_root, small_grid, here, notes, tmp_path):
    grid = replace(single(small_grid.recipe(small_grid.rows[0]), "2 folds"), folds=2)
    outcome = run(grid, synthetic_root, tmp_path / "folds", here, notes)
    (row,) = outcome.table["rows"]
    assert row["n_images"] == 120
    assert [each["label"] for each in row["runs"]] == ["fold 0, seed 0", "fold 1, seed 0"]
    text = (tmp_path / "folds" / "table.md").read_text()
    assert "## Single runs" in text
    assert "| fold 1, seed 0 |" in text
    assert "fold 1, seed 0" in (tmp_path / "folds" / "table.html").read_text()


@pytest.mark.slow
def test_each_source_is_tested_by_networks_that_never_saw_it(two_sources, small_grid, here, notes, tmp_path):
    grid = replace(single(small_grid.recipe(small_grid.rows[0]), "sources"), sources=True)
    outcome = run(grid, two_sources, tmp_path / "sources", here, notes)
    (row,) = outcome.table["rows"]
    assert row["n_images"] == 120
    assert {each["fold"] for each in row["runs"]} == {"north", "south"}
    assert outcome.table["protocol"] == "source"
    assert planned(grid, ImageSource(two_sources), tmp_path / "new") != ()
    assert not (tmp_path / "new").exists(), "a plan writes nothing"


@pytest.mark.slow
def test_a_source_that_cannot_be_left_out_is_a_failure_of_its_runs(two_sources, small_grid, here, notes, tmp_path):
    """The only images of a diagnosis are in one source: no network can learn it from the other."""
    path = two_sources / "HAM10000_metadata.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    for row in rows:
        row["dataset"] = "south" if row["dx"] == "vasc" else row["dataset"]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    grid = replace(single(small_grid.recipe(small_grid.rows[0]), "sources"), sources=True)
    outcome = run(grid, two_sources, tmp_path / "sources", here, notes)
    states = {each.point.fold: each.state for each in outcome.states}
    assert states == {"north": DONE, "south": FAILED}
    (row,) = outcome.table["rows"]
    assert row["metrics"] == {}, "one of two sources is no estimate over both"
    assert "vasc has" in row["reason"]


def test_one_source_is_no_experiment(synthetic_root, small_grid, here, notes, tmp_path):
    grid = replace(single(small_grid.base, "sources"), sources=True)
    with pytest.raises(SplitError, match="names synthetic; leaving one source out needs two or more"):
        run(grid, synthetic_root, tmp_path / "sources", here, notes)


@pytest.mark.slow
def test_rows_on_other_images_are_not_compared(copied, small_grid, synthetic_root, here, notes):
    rows = (Row("a", {"split.seed": 1}), Row("b", {"split.seed": 2}))
    grid = replace(small_grid, name="splits", rows=rows, seeds=(0,), paper="")
    outcome = run(grid, synthetic_root, copied / "splits", here, notes)
    assert "not compared" in outcome.table["rows"][1]["reason"]
    assert "images are in one file only" in outcome.table["rows"][1]["reason"]
    assert outcome.table["rows"][1]["holm"] == dict.fromkeys(("balanced_accuracy", "accuracy"))


def test_latency_is_measured_only_if_asked(copied, small_grid, synthetic_root, here, monkeypatch):
    monkeypatch.setattr("lesionlens.experiments.latency.ROUNDS", 1)
    assert read_json(copied / "table.json")["rows"][0]["cost"]["latency"] is None
    measured = ablate(small_grid, ImageSource(synthetic_root), copied, here, measure=True)
    assert all(row["cost"]["latency"]["median_ms"] > 0 for row in measured.table["rows"])
    assert read_json(copied / "latency.json")["batch"] == 1


def test_energy_is_an_estimate_from_a_stated_power(copied, small_grid, synthetic_root, here):
    outcome = ablate(replace(small_grid, watts=360.0), ImageSource(synthetic_root), copied, here)
    cost = outcome.table["rows"][0]["cost"]
    assert cost["energy_kwh"] == pytest.approx(cost["training_s"] * 360 / 3.6e6)
    assert "360 W" in (copied / "table.md").read_text()
    assert Path(copied / "table.html").is_file()
