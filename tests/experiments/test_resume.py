"""A grid that is killed at any moment and run again ends with the table of one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lesionlens.core.artifact import read_json
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.experiments.experiment import Outcome
from lesionlens.experiments.folder import Experiment
from lesionlens.experiments.points import points_of

MOMENTS = {
    "while images are prepared": "audit:",
    "in a training, after its first epoch": "[1/4] adamw, seed 0: epoch 1/2",
    "in the last run of a seed": "[2/4] sgd, seed 0: starts",
}
SECONDS = 300


def start(grid_file: Path, images: Path, out: Path) -> subprocess.Popen[str]:
    words = ["ablate", str(grid_file), "--data", str(images), "--out", str(out), "--device", "cpu"]
    command = [sys.executable, "-m", "lesionlens", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)


def kill_at(process: subprocess.Popen[str], words: str) -> None:
    """Kill the process, and nothing else, as soon as it prints these words; its run has to end by itself."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(words):
            process.send_signal(signal.SIGKILL)
            process.wait(SECONDS)
            process.stderr.close()
            return
    raise AssertionError(f"never printed {words!r}: {''.join(lines)}")


@pytest.mark.slow
def test_three_kills_change_nothing(
    finished: tuple[Path, Outcome], small_grid, grid_file: Path, synthetic_root: Path, tmp_path: Path
) -> None:
    unbroken, out = finished[0], tmp_path / "killed"
    for words in MOMENTS.values():
        kill_at(start(grid_file, synthetic_root, out), words)
        assert not (out / "table.json").is_file()
        time.sleep(0.5)
    last = start(grid_file, synthetic_root, out)
    _, messages = last.communicate(timeout=SECONDS)
    assert last.returncode == 0, messages
    assert "resuming after epoch 1" in messages or "1 done" in messages
    assert not list(out.rglob("*.part"))
    for point in points_of(small_grid):
        ours, theirs = (read_predictions(Experiment(folder).run(point).predictions) for folder in (out, unbroken))
        assert np.array_equal(ours.image_ids, theirs.image_ids)
        np.testing.assert_array_equal(ours.logits, theirs.logits)
    assert rows(out) == rows(unbroken)


def rows(folder: Path) -> list[dict[str, object]]:
    """Rows of the table without times, memory and the names of folders."""
    kept = ("name", "metrics", "differences", "holm", "seeds", "reason", "paper", "settings")
    return [{key: row[key] for key in kept} for row in read_json(folder / "table.json")["rows"]]
