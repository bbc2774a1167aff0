"""Sources: each layout is recognised, and a wrong name is met with the known ones."""

from pathlib import Path

import pytest
from PIL import Image

from lesionlens.core.errors import DataError, RecipeError
from lesionlens.data.sources.source import SOURCES, read_source

HAM = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\nL,a,mel,histo,1,male,back,x\nL,b,nv,histo,1,male,back,x\n"


def add(root: Path, *paths: str) -> Path:
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + number, 40)).save(root / path)
    return root


def ham10000(root: Path) -> Path:
    add(root, "images/a.jpg", "images/b.jpg")
    (root / "HAM10000_metadata.csv").write_text(HAM)
    return root


def isic(root: Path) -> Path:
    add(root, "in/a.jpg", "in/b.jpg")
    (root / "ISIC_2019_Training_GroundTruth.csv").write_text("image,MEL,NV\na,1,0\nb,0,1\n")
    return root


def table(root: Path) -> Path:
    add(root, "images/a.jpg", "images/b.jpg")
    (root / "metadata.csv").write_text("image_id,dx,split\na,mel,training\nb,nv,test\n")
    (root / "pairs.csv").write_text("image_id_a,image_id_b\na,b\n")
    return root


def folder(root: Path) -> Path:
    return add(root, "mel/a.jpg", "nv/b.jpg")


LAYOUTS = {"ham10000": ham10000, "isic": isic, "table": table, "folder": folder}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("source", ["auto", "named"])
def test_each_layout(tmp_path: Path, name: str, source: str) -> None:
    index = read_source(LAYOUTS[name](tmp_path), name if source == "named" else source)
    assert index.source.startswith(name)
    assert [(record.image_id, record.dx) for record in index.records] == [("a", "mel"), ("b", "nv")]
    assert index.root == tmp_path


@pytest.mark.parametrize(
    ("name", "path"),
    [("ham10000", "HAM10000_metadata.csv"), ("isic", "ISIC_2019_Training_GroundTruth.csv"), ("table", "metadata.csv")],
)
def test_a_csv_may_be_given_instead_of_its_folder(tmp_path: Path, name: str, path: str) -> None:
    index = read_source(LAYOUTS[name](tmp_path) / path)
    assert index.source.startswith(name)
    assert len(index) == 2


def test_columns_given_make_it_a_table(tmp_path: Path) -> None:
    ham10000(tmp_path)
    (tmp_path / "mine.csv").write_text("photo,kind\na,wart\nb,nv\n")
    index = read_source(tmp_path / "mine.csv", image="photo", dx="kind")
    assert (index.source, index.labels.codes) == ("table", ("nv", "wart"))
    with pytest.raises(DataError, match="must hold one CSV that lists its images, found HAM10000_metadata.csv, mine.csv"):
        read_source(tmp_path, image="photo", dx="kind")


def test_two_usable_tables_are_not_guessed_between(tmp_path: Path) -> None:
    table(tmp_path)
    (tmp_path / "second.csv").write_text("image,label\na,nv\nb,mel\n")
    with pytest.raises(DataError, match=r"found metadata.csv, second.csv; give the path"):
        read_source(tmp_path)


def test_a_folder_without_any_list_or_diagnosis(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="or be listed in a table"):
        read_source(add(tmp_path, "a.jpg"))


def test_missing_images_may_be_dropped(tmp_path: Path) -> None:
    ham10000(tmp_path)
    (tmp_path / "images" / "b.jpg").unlink()
    assert read_source(tmp_path, missing="drop").ids == ("a",)


def test_wrong_names(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown source 'ham'; known are auto, ham10000, isic, folder, table"):
        read_source(tmp_path, "ham")
    with pytest.raises(RecipeError, match="unknown column 'dx_type'; known are image, dx"):
        read_source(tmp_path, dx_type="x")
    with pytest.raises(DataError, match="does not exist"):
        read_source(tmp_path / "none")


def test_isic_2017_is_recognised_as_a_table(isic2017_root: Path) -> None:
    index = read_source(isic2017_root)
    assert (index.source, index.summary()["by_dx"]) == ("table", {"bkl": 386, "mel": 521, "nv": 1843})
    assert index.summary()["by_split"].keys() == {"train", "validation", "test"}


def test_synthetic_images_lie_as_ham10000_does(synthetic_root: Path) -> None:
    index = read_source(synthetic_root)
    assert index.source == "synthetic"
    assert len(index) == index.summary()["masks"] == 120
