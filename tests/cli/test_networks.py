"""The command `networks`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.cli.main import main
from lesionlens.cli.networks import networks
from lesionlens.core.errors import ModelError
from lesionlens.pipeline.network_trial import Trial

app = typer.Typer()
app.command()(networks)


def call(*words):
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_table_that_says_how_many_it_left_out():
    lines = call("test_conv*", "--limit", "2").splitlines()
    assert lines[0].split() == ["network", "parameters", "input", "normalise", "weights", "heat", "map"]
    assert lines[1].split() == ["test_convnext", "0.2", "M", "160", "any", "half", "1", "grad-cam", "(closed", "form)"]
    assert lines[-1] == "1 more fit 'test_conv*', from test_convnext3 to test_convnext3; list them with: --limit 3"


def test_json():
    content = json.loads(call("test_convnext", "--limit", "1", "--json"))
    assert (content["fitting"], content["not_listed"], content["left_out"]) == (3, 2, {})
    assert content["networks"] == [
        {
            "name": "test_convnext",
            "parameters": content["networks"][0]["parameters"],
            "input_size": 160,
            "any_size": True,
            "normalise": "half",
            "weights": 1,
            "heat_map": "grad-cam (closed form)",
        }
    ]


def test_an_unknown_network_is_one_line_with_near_ones(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["networks", "resnt50"])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (4, "", 1)
    assert "no network of timm fits 'resnt50'; near are resnet50" in err


def test_what_timm_does_not_have_is_listed_too():
    assert call("--limit", "1").splitlines()[-1].startswith("not of timm: alexnet, shufflenet_v2_x0_5")
    lines = call("shufflenet_v2_x0*").splitlines()
    assert lines[1].split()[:6] == ["shufflenet_v2_x0_5", "0.3", "M", "224", "any", "imagenet"]


def test_a_trial(monkeypatch):
    found = Trial(
        "test_convnext", 96, 1, 2, 1.9, "grad-cam (closed form)", True, {"onnxruntime": {"maps": 2e-6, "features": 1e-7}}
    )
    monkeypatch.setattr("lesionlens.pipeline.network_trial.try_network", lambda recipe: found)
    content = json.loads(call("test_convnext", "--limit", "1", "--check", "--json"))
    assert content["checked"] == {"test_convnext": found.to_json()}
    assert call("test_convnext", "--limit", "1", "--check").splitlines()[-1] == (
        "test_convnext: takes a training step at 96 px, grad-cam (closed form), bundle with heat maps, same as torch "
        "on onnxruntime (largest difference 2.0e-06)"
    )


def test_a_trial_that_fails(monkeypatch):
    def refuse(recipe):
        raise ModelError("its graph computes something else")

    monkeypatch.setattr("lesionlens.pipeline.network_trial.try_network", refuse)
    result = CliRunner().invoke(app, ["test_convnext", "--limit", "1", "--check"])
    assert result.exit_code == 4
    assert result.stdout.splitlines()[-1] == "test_convnext: cannot be used: its graph computes something else"
