"""The command `networks`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.cli.main import main
from lesionlens.cli.networks import networks

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
