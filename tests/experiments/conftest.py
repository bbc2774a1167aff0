"""A grid of four runs on the synthetic images, trained in this process; copy it before changing it."""

import csv
import shutil
from pathlib import Path

import pytest
from tests.experiments.in_this_process import in_this_process

from lesionlens.core.progress import Reporter
from lesionlens.experiments.execution import Options
from lesionlens.experiments.experiment import Outcome, ablate
from lesionlens.experiments.grid import Grid, load_grid
from lesionlens.pipeline.job import ImageSource

SMALL = """
name = "small"
title = "Two optimizers"
base = "demo"
paper = "table14"
seeds = 2
family = ["accuracy"]

[set]
input.size = 32
split.test = 0.4
augmentation.offline_fill = 0.0
model.name = "test_convnext"
training.epochs = 2
training.warmup_epochs = 1
training.batch_size = 16
evaluation.views = 1
evaluation.resamples = 100

[axes]
training.optimizer = ["adamw", "sgd"]
"""


class Notes(list):
    """Messages of a run."""

    @property
    def reporter(self) -> Reporter:
        return Reporter(note=self.append)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture(scope="session")
def grid_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="session")
def small_grid(grid_file: Path) -> Grid:
    return load_grid(grid_file)


@pytest.fixture(scope="session")
def here() -> Options:
    """Runs in this process, without an audit, which takes longer than these runs."""
    return Options(device="cpu", audit=False, launch=in_this_process)


@pytest.fixture(scope="session")
def finished(
    small_grid: Grid, synthetic_root: Path, here: Options, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome]:
    """Folder and outcome of the finished grid."""
    folder = tmp_path_factory.mktemp("experiment") / "small"
    return folder, ablate(small_grid, ImageSource(synthetic_root), folder, here)


@pytest.fixture
def copied(finished: tuple[Path, Outcome], tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished[0], tmp_path / "small"))


@pytest.fixture
def two_sources(synthetic_root: Path, tmp_path: Path) -> Path:
    """The synthetic images with lesions from two clinics, in turn, and one lesion that both photographed."""
    root = Path(shutil.copytree(synthetic_root, tmp_path / "images"))
    path = root / "HAM10000_metadata.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    lesions: dict[str, dict[str, int]] = {}
    for row in rows:
        of_dx = lesions.setdefault(row["dx"], {})
        row["dataset"] = ("north", "south")[of_dx.setdefault(row["lesion_id"], len(of_dx)) % 2]
    shared = next(row for row in rows if row["dx"] == "nv" and sum(other["lesion_id"] == row["lesion_id"] for other in rows) > 1)
    shared["dataset"] = {"north": "south", "south": "north"}[shared["dataset"]]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return root
