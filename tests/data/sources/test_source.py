"""Sources: each layout is recognised, and a wrong name is met with the known ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.errors import DataError, RecipeError
from lesionlens.data.index import write_index
from lesionlens.data.sources.rules import STRICT, Rules
from lesionlens.data.sources.source import SOURCES, read_source
from lesionlens.data.sources.table import USUAL, Columns

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


def isic2020(root: Path) -> Path:
    add(root, "train/a.jpg", "train/b.jpg")
    rows = "a,P1,melanoma,malignant,1\nb,P2,unknown,benign,0\n"
    (root / "train.csv").write_text("image_name,patient_id,diagnosis,benign_malignant,target\n" + rows)
    return root


def archive(root: Path) -> Path:
    add(root, "a.jpg", "b.jpg")
    (root / "metadata.csv").write_text('isic_id,diagnosis_1,diagnosis_3\na,Malignant,"Melanoma, NOS"\nb,Benign,Nevus\n')
    return root


def ph2(root: Path) -> Path:
    add(root, "a.bmp", "b.bmp")
    (root / "PH2_dataset.txt").write_text("|| Name || Clinical Diagnosis ||\n|| a || 2 ||\n|| b || 0 ||\n")
    return root


def derm7pt(root: Path) -> Path:
    add(root, "images/a.jpg", "images/b.jpg")
    (root / "meta.csv").write_text("case_num,diagnosis,derm\n1,melanoma,a.jpg\n2,nevus,b.jpg\n")
    return root


def medmnist(root: Path) -> Path:
    arrays = {f"{key}_images": np.zeros((2, 64, 64, 3), np.uint8) for key in ("train", "val", "test")}
    labels = {f"{key}_labels": np.array([[4], [5]], np.uint8) for key in ("train", "val", "test")}
    np.savez(root / "dermamnist_64.npz", **arrays, **labels)
    return root


LAYOUTS = {
    "ham10000": ham10000,
    "isic": isic,
    "isic2020": isic2020,
    "isic-archive": archive,
    "ph2": ph2,
    "derm7pt": derm7pt,
    "table": table,
    "folder": folder,
}
DIAGNOSES = {"isic2020": ["malignant", "benign"], "ph2": ["mel", "common_nevus"]}


def test_there_is_a_layout_for_every_source() -> None:
    assert {*LAYOUTS, "medmnist", "index"} == set(SOURCES)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("source", ["auto", "named"])
def test_each_layout(tmp_path: Path, name: str, source: str) -> None:
    index = read_source(LAYOUTS[name](tmp_path), name if source == "named" else source)
    assert index.source.startswith(name)
    assert [record.dx for record in index.records] == DIAGNOSES.get(name, ["mel", "nv"])
    assert index.ids == ("a", "b")
    assert index.root == tmp_path


@pytest.mark.parametrize("source", ["auto", "medmnist"])
def test_an_npz(tmp_path: Path, source: str) -> None:
    index = read_source(medmnist(tmp_path), source, Rules(unpack_to=tmp_path / "images"))
    assert [(record.dx, record.split) for record in index.records[:2]] == [("mel", "train"), ("nv", "train")]


@pytest.mark.parametrize("source", ["auto", "index"])
def test_an_index_made_before_keeps_its_labels(tmp_path: Path, source: str) -> None:
    made = read_source(folder(tmp_path / "images"), rules=Rules(malignant=("nv",)))
    assert made.labels.malignant == (True, True)
    write_index(made, tmp_path / "index.csv")
    again = read_source(tmp_path / "index.csv", source)
    assert again == made
    assert again.hash == made.hash
    for rules, columns in ((Rules(benign_only=True), USUAL), (STRICT, Columns(patient="x"))):
        with pytest.raises(RecipeError, match="is an index already, with its labels, their malignancy"):
            read_source(tmp_path / "index.csv", source, rules, columns)


def test_tables_that_are_not_read_are_named(tmp_path: Path) -> None:
    table(tmp_path)
    (tmp_path / "remarks.csv").write_text("a,b\n1,2\n")
    notes = read_source(tmp_path).notes
    assert "remarks.csv is not used" in notes
    assert "pairs.csv is not used; it lists pairs of images, so give it to `audit` and `split` with --pairs" in notes
    (folder(tmp_path / "folders") / "patients.csv").write_text("name,patient\na,P\n")
    assert "patients.csv is not used" in read_source(tmp_path / "folders").notes


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
    index = read_source(tmp_path / "mine.csv", columns=Columns(image="photo", dx="kind"))
    assert (index.source, index.labels.codes) == ("table", ("nv", "wart"))
    with pytest.raises(DataError, match="must hold one CSV that lists its images, found HAM10000_metadata.csv, mine.csv"):
        read_source(tmp_path, columns=Columns(image="photo", dx="kind"))


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
    assert read_source(tmp_path, rules=Rules(missing="drop")).ids == ("a",)


def test_wrong_names(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unknown source 'ham'; known are auto, ham10000, isic, isic2020"):
        read_source(tmp_path, "ham")
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
