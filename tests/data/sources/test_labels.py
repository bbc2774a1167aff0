"""Labels: in every spelling their malignancy is right, or `index` asks; what is missing is never a class."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lesionlens.core.diagnoses import known_diagnosis, label_key
from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.index import Index
from lesionlens.data.sources.labels import MISSING, is_missing
from lesionlens.data.sources.rules import Rules, read_label_map
from lesionlens.data.sources.source import read_source

# Written down apart from the program's own table.
RIGHT = {
    **dict.fromkeys(("mel", "melanoma", "Malignant Melanoma", "Melanoma, NOS", "lentigo_maligna", "bcc", "SCC"), True),
    **dict.fromkeys(("basal cell carcinoma", "squamous cell carcinoma", "akiec", "actinic keratosis", "Bowen's disease"), True),
    **dict.fromkeys(("malignant", "Melanoma in situ", "Merkel cell carcinoma", "melanoma (more than 1.5 mm)"), True),
    **dict.fromkeys(("nv", "nevus", "Naevus", "melanocytic nevi", "bkl", "seborrheic keratosis", "df", "dermatofibroma"), False),
    **dict.fromkeys(("vasc", "vascular lesion", "Haemangioma", "solar lentigo", "benign", "clark nevus", "blue nevus"), False),
    **dict.fromkeys(("lichenoid keratosis", "cafe-au-lait macule", "Nevus, Spitz", "wart", "Lentigo NOS"), False),
    **dict.fromkeys(("atypical melanocytic proliferation", "Indeterminate", "other", "kind 7"), None),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    for number in range(6):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(root / f"i{number}.png")
    return root


def read(root: Path, labels: list[str], rules: Rules | None = None) -> Index:
    rows = [f'i{number},"{label}"' for number, label in enumerate(labels)]
    (root / "list.csv").write_text("\n".join(["image,dx", *rows]))
    return read_source(root / "list.csv", rules=rules or Rules())


def malignant(index: Index) -> dict[str, bool]:
    return dict(zip(index.labels.codes, index.labels.malignant, strict=True))


def respelled(label: str, seed: int) -> str:
    """The label with other case and other characters between words."""
    letters = [letter.upper() if (seed >> n % 16) & 1 else letter.lower() for n, letter in enumerate(label)]
    return "".join(" -_"[(seed + n) % 3] if letter in " -_" else letter for n, letter in enumerate(letters))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(RIGHT)), st.integers(0, 2**16)), min_size=2, max_size=6))
def test_malignancy_is_right_or_the_index_is_refused(images: Path, drawn: list[tuple[str, int]]) -> None:
    labels = [respelled(label, seed) for label, seed in drawn]
    refusals = {
        "--malignant A,B": any(RIGHT[label] is None for label, _ in drawn),
        "a classifier needs two": _is_one_class(drawn),
    }
    if any(refusals.values()):
        with pytest.raises(DataError, match="|".join(words for words, holds in refusals.items() if holds)):
            read(images, labels)
        return
    index = read(images, labels)
    assert [malignant(index)[record.dx] for record in index.records] == [RIGHT[label] for label, _ in drawn]


def _is_one_class(drawn: list[tuple[str, int]]) -> bool:
    known = [known_diagnosis(label) for label, _ in drawn]
    return len({each.code if each else label_key(label) for each, (label, _) in zip(known, drawn, strict=True)}) == 1


@pytest.mark.parametrize("labels", [["benign", "malignant"], ["Benign", "MALIGNANT"]])
def test_folders_benign_and_malignant(tmp_path: Path, labels: list[str]) -> None:
    for number, label in enumerate(labels):
        (tmp_path / label).mkdir()
        Image.new("RGB", (40, 40), (number, 0, 0)).save(tmp_path / label / f"{number}.png")
    assert malignant(read_source(tmp_path)) == {"benign": False, "malignant": True}


def test_synonyms_are_one_class_and_are_counted(images: Path) -> None:
    index = read(images, ["melanoma", "MEL", "Malignant melanoma", "nevus", "nv", "mole"])
    assert index.labels.codes == ("mel", "nv")
    assert index.notes[:3] == (
        "1 image: label 'melanoma' is read as mel (Melanoma) (i0)",
        "1 image: label 'Malignant melanoma' is read as mel (Melanoma) (i2)",
        "1 image: label 'nevus' is read as nv (Melanocytic nevus) (i3)",
    )


def test_the_users_answer_is_in_the_index(images: Path) -> None:
    with pytest.raises(DataError, match=r"not known whether kind a, kind b is malignant.*--benign-only"):
        read(images, ["kind a", "Kind-A", "kind b", "nv"])
    index = read(images, ["kind a", "Kind-A", "kind b", "nv"], Rules(malignant=("kind_b",)))
    assert malignant(index) == {"kind a": False, "kind b": True, "nv": False}
    assert "1 image: label 'Kind-A' is read as kind a (i1)" in index.notes
    assert "malignancy as you state it: kind a benign, kind b malignant" in index.notes
    assert not read(images, ["kind a", "nv"], Rules(benign_only=True)).labels.has_malignant


def test_the_source_may_state_malignancy(images: Path) -> None:
    rows = "image,dx,diagnosis_1\ni0,kind a,Malignant\ni1,kind b,Benign\ni2,nv,Benign\ni3,kind a,malignant\n"
    (images / "list.csv").write_text(rows)
    index = read_source(images / "list.csv")
    assert malignant(index) == {"kind a": True, "kind b": False, "nv": False}
    assert "malignancy as the source states it: kind a malignant, kind b benign" in index.notes
    (images / "list.csv").write_text(rows.replace("i3,kind a,malignant", "i3,kind a,benign"))
    with pytest.raises(DataError, match="not known whether kind a is malignant"):
        read_source(images / "list.csv")


def test_a_source_that_says_otherwise_is_named(images: Path) -> None:
    (images / "list.csv").write_text("image,dx,benign_malignant\ni0,ak,benign\ni1,nv,benign\n")
    index = read_source(images / "list.csv")
    assert malignant(index) == {"ak": True, "nv": False}
    assert "1 image: the source calls it benign, but ak counts as malignant here (i0)" in index.notes


@pytest.mark.parametrize("label", [*MISSING, "UNK", " Unknown ", "N/A"])
def test_missing_labels_are_no_class(images: Path, label: str) -> None:
    assert is_missing(label)
    with pytest.raises(DataError, match="line 3: image i1 has no diagnosis.*--skip-unlabelled"):
        read(images, ["mel", label, "nv"])
    index = read(images, ["mel", label, "nv"], Rules(skip_unlabelled=True))
    assert (index.ids, index.labels.codes) == (("i0", "i2"), ("mel", "nv"))
    assert index.notes[0] == f"1 of 3 images have no diagnosis ({label.strip() or 'empty'!r} 1); they were left out"


def test_not_every_label_may_be_missing(images: Path) -> None:
    with pytest.raises(DataError, match="has no diagnosis, nor have 1 of the other 1"):
        read(images, ["unknown", ""], Rules(skip_unlabelled=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.csv", "from,to\nSeborrheic-Keratosis,bkl\nunknown,benign\nother,\n"),
        ("map.csv", "to;from\nbkl;seborrheic keratosis\nbenign;Unknown\n;other\n"),
        ("map.toml", '"seborrheic keratosis" = "bkl"\nunknown = "benign"\nother = ""\n'),
    ],
)
def test_a_map_renames_labels(images: Path, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    rules = Rules(label_map=read_label_map(tmp_path / name), skip_unlabelled=True)
    index = read(images, ["seborrheic keratosis", "unknown", "other", "mel"], rules)
    assert [(record.image_id, record.dx) for record in index.records] == [("i0", "bkl"), ("i1", "benign"), ("i3", "mel")]
    assert "1 image: label 'seborrheic keratosis' is renamed 'bkl' by the map (i0)" in index.notes
    assert "1 of 4 images have no diagnosis ('other' 1); they were left out" in index.notes


def test_labels_of_a_map_that_do_not_occur_are_named(images: Path) -> None:
    index = read(images, ["mel", "nv"], Rules(label_map={"sk": "bkl", "nv": "nevus"}))
    assert "1 labels of the map do not occur: sk" in index.notes


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("map.csv", "a,b\nx,y\n", "has no column 'from'"),
        ("map.csv", "from,to\n", "maps no label"),
        ("map.csv", "from,to\nnv,nevus\nNV,bkl\n", "maps 'NV' to 'bkl' and to 'nevus'"),
        ("map.toml", "nv = 1\n", "nv is no text"),
        ("map.toml", "nv", "cannot be read as TOML"),
        ("none.toml", None, "cannot be read as TOML"),
    ],
)
def test_a_map_that_cannot_be_meant(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=words):
        read_label_map(tmp_path / name)


def test_a_fixed_label_set_obeys_too(tmp_path: Path) -> None:
    (tmp_path / "HAM10000_metadata.csv").write_text(
        "lesion_id,image_id,dx,age,sex,localization\nL,a,mel,1,male,back\nM,b,Seborrheic keratosis,1,male,back\n"
    )
    for name in "ab":
        Image.new("RGB", (40, 40), (ord(name), 0, 0)).save(tmp_path / f"{name}.jpg")
    with pytest.raises(DataError, match="unknown diagnosis 'sk'.*rename the label with --map"):
        read_source(tmp_path)
    label_map = {"seborrheic keratosis": "bkl"}
    assert read_source(tmp_path, rules=Rules(label_map=label_map)).labels is HAM10000
    overruled = read_source(tmp_path, rules=Rules(label_map=label_map, malignant=("bkl",)))
    assert overruled.labels.malignant == (True, True, True, False, True, False, False)


def test_one_single_class_is_said(tmp_path: Path) -> None:
    (tmp_path / "HAM10000_metadata.csv").write_text("lesion_id,image_id,dx,age,sex,localization\nL,a,nv,1,male,back\n")
    Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg")
    assert "all 1 images have the diagnosis nv; no classifier can be trained on them" in read_source(tmp_path).notes
