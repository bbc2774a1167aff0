"""The command `download`: its words and its errors; what it does is tested in tests/data."""

import json

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.cli.download import download
from lesionlens.core.errors import RecipeError
from lesionlens.data.sources import download as download_module
from lesionlens.data.sources.download import Dataset, RemoteFile

app = typer.Typer()
app.command()(download)


def test_what_is_complete_is_listed_and_not_fetched(tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_text("12345")
    files = (RemoteFile("table.csv", "1", 5),)
    monkeypatch.setitem(download_module.DATASETS, "small", Dataset("Small set", "CC0", ("http://127.0.0.1:1/",), files))
    result = CliRunner().invoke(app, ["small", "--root", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["files"] == [str(tmp_path / "table.csv")]
    assert "Small set\nLicence: CC0" in result.stderr


def test_an_unknown_name_is_an_error():
    result = CliRunner().invoke(app, ["ham1000"])
    assert isinstance(result.exception, RecipeError)
    with pytest.raises(RecipeError, match="known are ham10000"):
        raise result.exception
