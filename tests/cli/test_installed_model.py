"""Commands without a bundle use the installed model and say so."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lesionlens.bundle import installed
from lesionlens.cli.main import app
from lesionlens.core.errors import BundleError
from lesionlens.data.index import read_index


def call(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


@pytest.fixture
def photo(small_run: Path) -> Path:
    index = read_index(small_run / "index.csv")
    return index.image_path(index.records[0])


@pytest.fixture
def model(small_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A distribution with a model, as pip installs it; the id of its bundle."""
    package = tmp_path / "site" / "model_for_tests"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('finding the bundle must not import its package')")
    shutil.copytree(small_bundle, package / "bundle")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(installed, "MODULE", "model_for_tests")
    return str(json.loads((package / "bundle" / "bundle.json").read_text())["id"])


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "MODULE", "not_installed_anywhere")


def test_predict_names_the_model_and_its_licence(model, photo):
    out, err = call("predict", photo, "--json")
    assert json.loads(out)["bundle"]["id"] == model
    assert f"no bundle is named, so the installed model answers: small ({model[:12]}); its weights: " in err


def test_a_folder_of_images_is_no_bundle(model, photo, tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copyfile(photo, tmp_path / "photos" / "a.jpg")
    rows = [json.loads(line) for line in call("predict", tmp_path / "photos", photo, "--json")[0].splitlines()]
    assert [Path(row["source"]) for row in rows] == [tmp_path / "photos" / "a.jpg", photo]


def test_a_named_bundle_goes_before_the_installed_model(model, small_bundle, photo):
    assert "installed model" not in call("predict", small_bundle, photo)[1]


def test_a_bundle_without_its_facts_is_damaged_and_not_a_folder_of_images(model, small_bundle, photo, tmp_path):
    shutil.copytree(small_bundle, tmp_path / "damaged")
    (tmp_path / "damaged" / "bundle.json").unlink()
    with pytest.raises(BundleError, match="damaged is not a bundle"):
        call("predict", tmp_path / "damaged", photo)


@pytest.mark.slow
def test_inspect_and_benchmark(model):
    out, err = call("inspect", "--json")
    assert json.loads(out)["id"] == model
    assert "so the installed model answers" in err
    out, err = call("benchmark", "--variant", "fp32", "--runtime", "onnxruntime", "--batch", "1", "--rounds", "1", "--json")
    assert [Path(row["bundle"]).parent.name for row in json.loads(out)["rows"]] == ["model_for_tests"]
    assert "so the installed model answers" in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("inspect",), "no bundle is named"),
        (("benchmark",), "no bundle is named"),
        (("serve",), "no bundle is named"),
        (("predict", "lesion.jpg"), "lesion.jpg is not a bundle"),
    ],
)
def test_without_a_model_a_bundle_must_be_named(no_model, arguments, why):
    with pytest.raises(BundleError, match=f"{why}, and no model is installed; name a bundle"):
        call(*arguments)


def test_a_model_without_its_bundle(model, tmp_path):
    shutil.rmtree(tmp_path / "site" / "model_for_tests" / "bundle")
    with pytest.raises(BundleError, match="the installed model has no bundle in"):
        call("inspect")
