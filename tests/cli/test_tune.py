"""The command `tune`, and what `predict` says and does about it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.bundle import tuning
from lesionlens.cli import predict as predict_module
from lesionlens.cli.predict import predict
from lesionlens.cli.tune import tune
from lesionlens.data.index import read_index

app = typer.Typer()
app.command()(tune)
app.command()(predict)


def call(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout, result.stderr


@pytest.fixture
def photo(small_run):
    index = read_index(small_run / "index.csv")
    return index.image_path(index.records[0])


def test_tune_then_predict(small_bundle, photo, user_cache):
    out, err = call("tune", small_bundle, "--seconds", "0.01", "--json")
    found = json.loads(out)
    assert {row["variant"] for row in found["rows"]} == {"fp32"}
    assert found["machine"]["cores"] >= 1
    assert "measuring fp32 on onnxruntime" in err
    assert f"remembered in {user_cache}" in err
    assert "measured on this machine" in call("predict", small_bundle, photo)[1]
    assert call("predict", small_bundle, photo, "--variant", "fp32", "--runtime", "onnxruntime")[1] == ""


@pytest.mark.slow
def test_a_table_for_people_and_no_cache(small_bundle):
    out, err = call("tune", small_bundle, "--seconds", "0.01")
    assert "ms per image" in out
    assert "images per second by streams" in out
    assert "LESIONLENS_CACHE is off, so this is not remembered" in err


@pytest.mark.parametrize(("images", "options", "expected"), [(2, (), 0), (3, (), 1), (4, (), 1), (3, ("--no-tune",), 0)], ids=str)
def test_only_many_images_are_worth_a_measurement(small_bundle, photo, monkeypatch, images, options, expected):
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(predict_module, "MANY", 3)
    monkeypatch.setattr(tuning, "tune_if_new", lambda *arguments: asked.append(arguments[:3]))
    out, _ = call("predict", small_bundle, *[photo] * images, "--json", *options)
    assert len(out.splitlines()) == images
    assert asked == [(small_bundle, "auto", "auto")] * expected
