"""The commands `ablate` and `crossvalidate`: what they print, and their exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lesionlens.cli.main import app, main
from lesionlens.experiments.folder import Failure

SMALL = """
name = "small"
base = "demo"
[set]
input.size = 32
split.test = 0.4
augmentation.offline_fill = 0.0
model.name = "test_convnext"
training.epochs = 1
training.warmup_epochs = 0
training.batch_size = 16
evaluation.views = 1
evaluation.resamples = 100
[axes]
training.optimizer = ["adamw", "sgd"]
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_the_plan_lists_every_run(grid, synthetic_root, tmp_path):
    words = ["ablate", str(grid), "--data", str(synthetic_root), "--out", str(tmp_path / "out"), "--seeds", "2", "--plan"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert [line.split("  ")[0] for line in shown.stdout.splitlines()] == [
        *("adamw, seed 0", "sgd, seed 0"),
        *("adamw, seed 1", "sgd, seed 1"),
    ]
    assert not (tmp_path / "out").exists()
    printed = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [run["state"] for run in printed["runs"]] == ["to do"] * 4


def out_of_memory(task, reporter, limits):
    return Failure("memory", "out of memory")


@pytest.mark.slow
def test_a_failed_run_gives_exit_code_1_and_a_table(grid, synthetic_root, tmp_path, monkeypatch):
    monkeypatch.setattr("lesionlens.experiments.execution.in_own_process", out_of_memory)
    words = ["ablate", str(grid), "--data", str(synthetic_root), "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 1
    assert "failed: out of memory" in shown.stdout
    assert "2 runs failed, 0 are left" in shown.stderr
    assert "Traceback" not in shown.output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["ablate", "table8", "--data", "synthetic"], 2, "grid table8 does not exist"),
        (["ablate", "table14", "--data", "synthetic", "--set", "training.optimizer=sgd"], 2, "set training.optimizer themselves"),
        (["ablate", "table14", "--data", "synthetic", "--set", "training.optimiser=sgd"], 2, "did you mean optimizer"),
        (["ablate", "table14", "--data", " "], 3, "--data is empty"),
        (["crossvalidate", "lihgt", "--data", "synthetic"], 2, "recipe lihgt does not exist"),
    ],
)
def test_mistakes_are_one_line(words, code, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--out", str(tmp_path / "out")])
    assert stopped.value.code == code
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_folds_and_sources_are_planned(synthetic_root, tmp_path):
    words = ["crossvalidate", "demo", "--data", str(synthetic_root), "--out", str(tmp_path / "out"), "--plan"]
    shown = CliRunner().invoke(app, [*words, "--folds", "3", "--seeds", "2"])
    assert shown.exit_code == 0, shown.output
    assert len(shown.stdout.splitlines()) == 6
    assert shown.stdout.splitlines()[0].startswith("fold 0, seed 0")
