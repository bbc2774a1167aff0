"""The command `convert`: what it prints, and that training reads what it wrote."""

import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from lesionlens.cli.convert import convert
from lesionlens.cli.main import main
from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.build import build_network

NAME = "test_convnext"
app = typer.Typer()
app.command()(convert)


@pytest.fixture
def pickled(tmp_path):
    """A file as a training program writes it."""
    torch.manual_seed(1)
    tensors = build_network(ModelRecipe(NAME, weights="none"), 7).state_dict()
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}, "epoch": 3}, tmp_path / "w.pth")
    return tmp_path / "w.pth", tensors


def call(*words):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_it_says_what_it_took_and_what_it_dropped(pickled, tmp_path):
    source, tensors = pickled
    out = tmp_path / "w.safetensors"
    lines = call(source, out, "--network", NAME).splitlines()
    assert lines == [
        f"{out}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values()):,} values, from {source} "
        "(entry state_dict, prefix module. removed)",
        "dropped 1: epoch",
        "fits test_convnext: every name and shape is the network's",
        f"use it with: --set model.name=test_convnext --set model.weights={out}",
    ]
    read = build_network(ModelRecipe(NAME, weights=str(out)), 7).state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert json.loads(call(source, out, "--json")) == {
        "weights": str(out),
        "tensors": len(tensors),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
        "entry": "state_dict",
        "prefix": "module.",
        "dropped": ["epoch"],
        "network": None,
        "matched": None,
    }


def test_a_match_by_order_asks_for_a_check(tmp_path):
    tensors = build_network(ModelRecipe(NAME, weights="none"), 7).state_dict()
    torch.save({f"layer{number}": tensor for number, tensor in enumerate(tensors.values())}, tmp_path / "w.pth")
    assert "fits test_convnext by order: the names differ" in call(
        tmp_path / "w.pth", tmp_path / "w.safetensors", "--network", NAME
    )


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("none.pth", "w.safetensors"), 4, "none.pth is no file"),
        (("w.pth", "w.pth"), 2, "must end with .safetensors"),
        (("w.pth", "w.safetensors", "--network", "test_resnet"), 4, "does not fit test_resnet"),
        (("w.pth", "w.safetensors", "--network", "test_convnet"), 4, "near are"),
        (("w.pth", "folder.safetensors"), 1, "is a folder"),
    ],
)
def test_mistakes_are_one_line(pickled, tmp_path, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(SystemExit) as stopped:
        main(["convert", *words])
    assert stopped.value.code == code
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_run_names_the_command_before_any_stage(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["run", "demo", "--data", "synthetic", "--set", "model.weights=w.pth"])
    assert stopped.value.code == 2
    assert "lesionlens convert w.pth w.safetensors" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
