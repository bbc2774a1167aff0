"""The command `compare`: two models, or several runs of one recipe."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from lesionlens.cli.main import app
from lesionlens.evaluation.predictions import write_predictions


@pytest.fixture
def files(draw, tmp_path):
    paths = []
    for seed in range(3):
        predictions = draw(210, seed=seed)
        path = tmp_path / f"{seed}.npz"
        write_predictions(dataclasses.replace(predictions, origin=dataclasses.replace(predictions.origin, seed=seed)), path)
        paths.append(str(path))
    return paths


def test_hypotheses_are_declared(files):
    options = ("--primary", "macro_auc", "--family", "accuracy, brier", "--resamples", "100", "--json")
    done = CliRunner().invoke(app, ["compare", *files[:2], *options])
    assert done.exit_code == 0, done.output
    hypotheses = json.loads(done.stdout)["hypotheses"]
    assert (hypotheses["primary"], hypotheses["family"]) == ("macro_auc", ["accuracy", "brier"])


def test_runs_are_pooled(files):
    done = CliRunner().invoke(app, ["compare", *files[:2], "--pool", files[2], "--resamples", "100"])
    assert done.exit_code == 0, done.output
    assert "3 runs, 1 fold, 3 repetitions, 210 images of 105 lesions" in done.stdout
