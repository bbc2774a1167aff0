"""The folder of an experiment: what all runs share, one folder for each run, and the tables.

OUT/experiment.json         which grid, and on which images
OUT/shared/index.csv        and audit.json; images, if they are drawn
OUT/shared/splits/HASH/     one split.json for each [split] section
OUT/shared/plans/HASH/      one plan.csv for each split, seed and share of copies
OUT/shared/stores/HASH/     packed images, once for each way to prepare pixels
OUT/runs/NAME/              checkpoints, history, predictions, scores, cost.json or failure.json
OUT/table.md .csv .html .json
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import hash_value, read_json, storage_errors, write_json
from lesionlens.core.errors import ArtifactError, RecipeError, StorageError
from lesionlens.core.recipe import Recipe
from lesionlens.core.run import FILES, Run
from lesionlens.data.image import frame_spec
from lesionlens.experiments.grid import Grid
from lesionlens.experiments.points import DECISIVE, Point

RECORD = "experiment.json"
LOCK = "experiment.lock"
COST = "cost.json"
FAILURE = "failure.json"
KILLED = "killed"
LOCK_PATIENCE_S = 15.0  # a run whose experiment was killed notices it and ends
KEY_LENGTH = 12


@dataclass(frozen=True)
class Failure:
    """Why a run failed.

    Attributes:
        kind: `memory`, `killed` or `error`.
        reason: one line.
    """

    kind: str
    reason: str


@dataclass(frozen=True)
class Experiment:
    """Paths of an experiment."""

    folder: Path

    @property
    def record(self) -> Path:
        """Which grid the folder belongs to."""
        return self.folder / RECORD

    def table(self, ending: str) -> Path:
        """The table in one format: `md`, `csv`, `html` or `json`."""
        return self.folder / f"table.{ending}"

    def run(self, point: Point) -> Run:
        """Paths of one run; index, audit, split, plan and store are shared."""
        shared, recipe = self.folder / "shared", point.recipe
        split = recipe.hash("split")[:KEY_LENGTH]
        return Run.at(
            self.folder / "runs" / point.folder,
            images=shared / FILES["images"],
            index=shared / FILES["index"],
            audit=shared / FILES["audit"],
            split=shared / "splits" / split / FILES["split"],
            plan=shared / "plans" / hash_value([split, *plan_settings(recipe)])[:KEY_LENGTH] / FILES["plan"],
            store=shared / "stores" / frame_spec(recipe.input).frame_hash[:KEY_LENGTH],
        )

    def cost(self, point: Point) -> dict[str, Any]:
        """What a finished run cost, see `point_run.cost`; {} if nothing is known."""
        path = self.run(point).folder / COST
        return dict(read_json(path)) if path.is_file() else {}

    def failure(self, point: Point) -> Failure | None:
        """Why the run of a point failed; None if it did not."""
        path = self.run(point).folder / FAILURE
        return Failure(**read_json(path)) if path.is_file() else None

    def write_failure(self, point: Point, failure: Failure) -> None:
        """Record a failure; the run's checkpoints stay."""
        write_json(self.run(point).folder / FAILURE, {"kind": failure.kind, "reason": failure.reason})

    def forget_failure(self, point: Point) -> None:
        """Let the run of a point be tried again."""
        (self.run(point).folder / FAILURE).unlink(missing_ok=True)

    def claim(self, grid: Grid, index_hash: str) -> None:
        """Make sure that the folder holds results of this grid on these images, or none yet, and record both.

        Rows, seeds and folds may be added to a grid; a row that is there must have the settings that it had.

        Raises:
            RecipeError: if it holds results of another grid, of other settings, or on other images.
        """
        rows = {row.name: grid.recipe(row).hash(*DECISIVE) for row in grid.rows}
        if self.record.is_file():
            record = read_json(self.record)
            self._check(grid, rows, record)
            if record["index"] != index_hash:
                raise RecipeError(
                    f"{self.folder} holds results on other images (index {record['index'][:12]}, not {index_hash[:12]}); "
                    "choose another --out"
                )
            rows = {**record["rows"], **rows}
        elif self.folder.is_dir() and any((self.folder / "runs").glob("*")):
            raise ArtifactError(f"{self.folder} has runs and no {RECORD}; choose another --out")
        write_json(self.record, {"format": 1, "grid": grid.name, "rows": rows, "index": index_hash})

    def check_grid(self, grid: Grid) -> None:
        """Refuse a folder with results of another grid, before anything is read or written.

        Raises:
            RecipeError: naming the difference.
        """
        if self.record.is_file():
            self._check(grid, {row.name: grid.recipe(row).hash(*DECISIVE) for row in grid.rows}, read_json(self.record))

    def _check(self, grid: Grid, rows: dict[str, str], record: Any) -> None:
        if not isinstance(record, dict) or not {"grid", "rows", "index"} <= record.keys():
            raise ArtifactError(f"{self.record} is not the record of an experiment; choose another --out")
        if record["grid"] != grid.name:
            raise RecipeError(
                f"{self.folder} holds results of grid {record['grid']!r}, not of {grid.name!r}; choose another --out"
            )
        for name, settings in rows.items():
            if record["rows"].get(name, settings) != settings:
                row = f"row {name!r}" if name else "the recipe"
                raise RecipeError(
                    f"{self.folder} holds results of grid {grid.name!r} with other settings of {row}; choose another --out, or "
                    "give the same base and --set as before"
                )

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep other processes from working in the folder; yields the file descriptor of the lock, which runs inherit.

        Raises:
            StorageError: if another process works in it.
        """
        with held(self.folder / LOCK, LOCK_PATIENCE_S, "choose another --out") as lock:
            yield lock


@contextmanager
def held(path: Path, patience_s: float, remedy: str) -> Iterator[int]:
    """Hold a lock file while the block runs; yields its file descriptor, and whoever inherits that holds it too.

    Args:
        path: of the lock; it is created with its folder.
        patience_s: how long to wait for whoever holds it.
        remedy: what else to do than wait.

    Raises:
        StorageError: if another process holds it for longer.
    """
    import fcntl

    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StorageError(f"another process works in {path.parent}; wait until it ends, or {remedy}") from None
                time.sleep(0.2)
        yield lock
    finally:
        os.close(lock)


def plan_settings(recipe: Recipe) -> list[Any]:
    """What a plan of copies depends on besides the split."""
    return [recipe.seed, recipe.augmentation.offline_fill]


def distinct(experiment: Experiment, points: Sequence[Point], *names: str) -> list[Point]:
    """The first point for each combination of the paths `names`, such as split and store."""
    first: dict[tuple[Path, ...], Point] = {}
    for point in points:
        run = experiment.run(point)
        first.setdefault(tuple(getattr(run, name) for name in names), point)
    return list(first.values())
