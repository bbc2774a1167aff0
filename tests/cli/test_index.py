"""The commands `index` and `pack`: what they write, print and say."""

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lesionlens.cli.index import index, pack
from lesionlens.core.errors import DataError, ImageError, RecipeError
from lesionlens.data.index import read_index
from lesionlens.data.store import Store

app = typer.Typer()
app.command()(index)
app.command()(pack)


def call(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for number, path in enumerate(("mel/a.jpg", "mel/b.jpg", "nv/c.jpg")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (number, 0, 0)).save(root / path)
    return root


def test_index_then_pack(photos: Path, tmp_path: Path) -> None:
    out, _ = call("index", photos, "--out", tmp_path / "index.csv")
    assert "3 images of unknown lesions (folder); mel 2, nv 1; malignant: mel; 0 masks" in out
    out, _ = call("pack", tmp_path / "index.csv", "--out", tmp_path / "store", "--set", "input.size=48")
    assert "3 images of 48x48 pixels" in out
    assert Store.open(tmp_path / "store").ids == read_index(tmp_path / "index.csv").ids


def test_json_is_one_object_on_stdout(photos: Path, tmp_path: Path) -> None:
    facts = json.loads(call("index", photos, "--out", tmp_path / "index.csv", "--json")[0])
    assert (facts["images"], facts["by_dx"], facts["source"]) == (3, {"mel": 2, "nv": 1}, "folder")
    facts = json.loads(call("pack", tmp_path / "index.csv", "--out", tmp_path / "store", "--json")[0])
    assert (facts["images"], facts["frame"], facts["size_bytes"]) == (3, 224, 3 * 224 * 224 * 3)


def test_columns_and_notes(photos: Path, tmp_path: Path) -> None:
    (photos / "list.csv").write_text("photo,what,of\na,mel,L1\nb,mel,L1\nc,nv,L2\ngone,nv,L3\n")
    columns = ("--image-column", "photo", "--dx-column", "what", "--lesion-column", "of")
    with pytest.raises(DataError, match="1 of 4 listed images"):
        call("index", photos, "--out", tmp_path / "index.csv", *columns)
    assert not (tmp_path / "index.csv").exists()
    out, err = call("index", photos, "--out", tmp_path / "index.csv", *columns, "--allow-missing", "--json")
    assert json.loads(out)["lesions"] == 2
    assert "gone" in err


def test_broken_images(photos: Path, tmp_path: Path) -> None:
    (photos / "mel" / "b.jpg").write_bytes(b"")
    call("index", photos, "--out", tmp_path / "index.csv")
    with pytest.raises(ImageError, match="index --skip-broken"):
        call("pack", tmp_path / "index.csv", "--out", tmp_path / "store")
    assert not (tmp_path / "store").exists()
    out, err = call("pack", tmp_path / "index.csv", "--out", tmp_path / "store", "--skip-broken", "--json")
    assert (json.loads(out)["images"], json.loads(out)["dropped"]) == (2, 1)
    assert "b.jpg" in err
    _, err = call("index", photos, "--out", tmp_path / "index.csv", "--skip-broken")
    assert "left out: " in err
    assert read_index(tmp_path / "index.csv").ids == ("a", "c")


def test_a_wrong_recipe_key(photos: Path, tmp_path: Path) -> None:
    call("index", photos, "--out", tmp_path / "index.csv")
    with pytest.raises(RecipeError, match="did you mean size"):
        call("pack", tmp_path / "index.csv", "--out", tmp_path / "store", "--set", "input.sise=48")
