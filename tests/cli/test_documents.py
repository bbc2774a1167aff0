import json
import shutil

import pytest
from tests.reporting.conftest import made_up_history

from lesionlens.cli.main import main
from lesionlens.core.artifact import write_text
from lesionlens.core.recipe_file import recipe_to_toml
from lesionlens.training.checkpoint import load_network
from lesionlens.training.history import write_history


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory):
    """A run with its checkpoint, to be read; documents go elsewhere."""
    folder = shutil.copytree(small_run, tmp_path_factory.mktemp("documents") / "run")
    write_text(folder / "recipe.toml", recipe_to_toml(load_network(folder / "train" / "best.safetensors")[1].recipe))
    write_history(made_up_history(), folder / "train" / "history.jsonl")
    return folder


def call(*words):
    try:
        main(["documents", *map(str, words)])
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_documents_are_written_and_summed_up(run, tmp_path, capsys):
    assert call(run, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'out'}: 11 files" in printed
    assert "most important limits:" in printed
    assert (tmp_path / "out" / "card.md").read_text().startswith("---\nlicense:")


def test_options_count(run, tmp_path, capsys):
    options = ["--watts", "200", "--grams-co2", "400", "--data-licence", "CC BY 4.0", "--json"]
    assert call(run, "--out", tmp_path / "out", *options) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["stated"] == {"data_licence": "CC BY 4.0", "watts": 200.0, "grams_co2_per_kwh": 400.0}
    training = content["card"]["training"]
    assert training["grams_co2"] == pytest.approx(400 * 200 * training["seconds"] / 3.6e6)
    assert "CC BY 4.0" in content["card"]["licences"]["data"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--watts", "-3"], 2, "watts = -3.0; it must be a number above 0"),
        (["--grams-co2", "3"], 2, "state it as well: --watts"),
        (["--stated", "nowhere.toml"], 2, "nowhere.toml cannot be read"),
    ],
)
def test_wrong_statements_are_one_line(run, tmp_path, capsys, options, code, words):
    assert call(run, "--out", tmp_path / "out", *options) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_run_is_one_line(tmp_path, capsys):
    assert call(tmp_path / "nowhere") == 3
    assert "run folder" in capsys.readouterr().err
    assert call(tmp_path) == 3
    assert "recipe.toml is missing" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_one_line(run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert call(run, "--out", tmp_path / "file" / "out") == 1
    error = capsys.readouterr().err
    assert str(tmp_path / "file") in error
    assert error.count("\n") == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    assert call(run, "--out", tmp_path / "other") == 1
    assert "choose another --out" in capsys.readouterr().err
