"""The folder of an experiment: what runs share, and whose results it holds."""

from dataclasses import replace

import pytest

from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.experiments.folder import Experiment, Failure, distinct
from lesionlens.experiments.grid import Row
from lesionlens.experiments.points import points_of


def test_runs_share_what_their_settings_have_in_common(small_grid, tmp_path):
    rows = (
        Row("a", {"training.batch_size": 8}),
        Row("b", {"augmentation.offline_fill": 0.5}),
        Row("c", {"input.size": 48}),
        Row("d", {"split.seed": 1}),
    )
    experiment, points = Experiment(tmp_path), points_of(replace(small_grid, rows=rows))
    runs = [experiment.run(point) for point in points]
    assert len({run.index for run in runs}) == len({run.audit for run in runs}) == 1
    assert [len({getattr(run, name) for run in runs[:4]}) for name in ("split", "store", "plan")] == [2, 2, 3]
    assert len({run.plan for run in runs}) == 6, "another seed, another plan"
    assert len({run.training for run in runs}) == 8
    assert [point.row for point in distinct(experiment, points, "split")] == ["a", "d"]


def test_the_store_does_not_depend_on_what_is_cropped_while_training(small_grid, tmp_path):
    rows = (Row("a", {"input.frame": 64}), Row("b", {"input.frame": 64, "input.size": 48}))
    first, second = points_of(replace(small_grid, rows=rows, seeds=(0,)))
    assert Experiment(tmp_path).run(first).store == Experiment(tmp_path).run(second).store


def test_a_folder_belongs_to_a_grid_and_its_images(small_grid, tmp_path):
    experiment = Experiment(tmp_path)
    experiment.check_grid(small_grid)
    experiment.claim(small_grid, "images")
    experiment.claim(replace(small_grid, rows=(*small_grid.rows, Row("adam", {"training.optimizer": "adam"}))), "images")
    experiment.claim(small_grid, "images")
    with pytest.raises(RecipeError, match="results on other images"):
        experiment.claim(small_grid, "others")
    changed = (Row("adam", {"training.optimizer": "nadam"}),)
    with pytest.raises(RecipeError, match="with other settings of row 'adam'"):
        experiment.claim(replace(small_grid, rows=changed), "images")


def test_a_folder_that_is_no_experiment(small_grid, tmp_path):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="has runs and no experiment.json"):
        Experiment(tmp_path).claim(small_grid, "images")
    (tmp_path / "experiment.json").write_text("[]")
    with pytest.raises(ArtifactError, match="not the record of an experiment"):
        Experiment(tmp_path).check_grid(small_grid)


def test_failures_are_kept_until_they_are_forgotten(small_grid, tmp_path):
    experiment, point = Experiment(tmp_path), points_of(small_grid)[0]
    assert experiment.failure(point) is None
    assert experiment.cost(point) == {}
    experiment.write_failure(point, Failure("memory", "out of memory"))
    assert experiment.failure(point) == Failure("memory", "out of memory")
    experiment.forget_failure(point)
    assert experiment.failure(point) is None
