"""The commands `export` and `inspect`: from a run folder to a bundle that says what it is."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.bundle.bundle import open_bundle, write_facts
from lesionlens.bundle.outputs import Outputs
from lesionlens.bundle.selftest import SelfTest, read_selftest, write_selftest
from lesionlens.cli.export import export
from lesionlens.cli.inspect_bundle import inspect
from lesionlens.core.errors import BundleError, CheckpointError

app = typer.Typer()
app.command()(export)
app.command()(inspect)


def call(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder without a bundle."""
    return Path(shutil.copytree(small_run, tmp_path_factory.mktemp("copy") / "run", ignore=shutil.ignore_patterns("bundle")))


@pytest.mark.slow
def test_a_run_folder_is_all_that_export_needs(run):
    out, err = call("export", run / "train" / "best.safetensors", "--compared-images", 4, "--data-licence", "CC0")
    assert "compared with torch on 4 images" in out
    assert "accuracy 0." in out
    assert err == ""
    bundle = open_bundle(run / "bundle")
    assert bundle.facts["licences"]["data"] == "CC0"
    assert bundle.facts["scores"]["split"] == "test"


@pytest.mark.slow
def test_without_scores(run, small_bundle, tmp_path, monkeypatch):
    from lesionlens.export import export as made_by

    monkeypatch.setattr(made_by, "write_graph", lambda graph, path: shutil.copyfile(small_bundle / "model.onnx", path))
    arguments = ("--no-scores", "--compared-images", 1, "--out", tmp_path / "bundle", "--json")
    out, err = call("export", run / "train" / "best.safetensors", *arguments)
    assert json.loads(out)["scores"] is None
    assert "no metrics of the test split" in err


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="is no file"):
        call("export", tmp_path / "best.safetensors")


def test_inspect(small_bundle):
    out, _ = call("inspect", small_bundle)
    assert "passed" in out
    inspection = json.loads(call("inspect", small_bundle, "--json")[0])
    assert inspection["name"] == "small"
    assert {check["result"] for check in inspection["selftest"]} <= {"passed", "not installed"}


def test_inspect_fails_with_the_bundle(small_bundle, tmp_path):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    selftest = read_selftest(open_bundle(copy))
    expected = selftest.expected["fp32"]
    write_selftest(
        SelfTest(selftest.images, {"fp32": Outputs(1 - expected.probabilities, expected.features, expected.maps)}), copy
    )
    facts = json.loads((copy / "bundle.json").read_text())
    write_facts(copy, {key: value for key, value in facts.items() if key not in ("id", "files")})
    with pytest.raises(BundleError, match="fails its self-test: fp32 on ") as raised:
        call("inspect", copy)
    assert raised.value.exit_code == 4
