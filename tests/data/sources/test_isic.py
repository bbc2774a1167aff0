"""ISIC 2018 and 2019: one-hot tables become diagnoses, splits and lesions."""

from pathlib import Path

import pytest
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000, ISIC2019
from lesionlens.data.index import Record
from lesionlens.data.sources.isic import CODES, read_isic
from lesionlens.data.sources.rules import Rules

SKIP = Rules(skip_unlabelled=True)
CODES_2018 = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
CODES_2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


def one_hot(codes: tuple[str, ...], **diagnoses: str) -> str:
    rows = [",".join([image, *("1.0" if code == dx else "0.0" for code in codes)]) for image, dx in diagnoses.items()]
    return "\n".join([",".join(["image", *codes]), *rows]) + "\n"


def add(root: Path, folder: str, *images: str) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.new("RGB", (40, 40 + number)).save(root / folder / f"{image}.jpg")


@pytest.fixture
def isic2018(tmp_path: Path) -> Path:
    for split_name, images in (("Training", {"A1": "MEL", "A2": "NV"}), ("Validation", {"B1": "AKIEC"}), ("Test", {"C1": "DF"})):
        add(tmp_path, f"ISIC2018_Task3_{split_name}_Input", *images)
        folder = tmp_path / f"ISIC2018_Task3_{split_name}_GroundTruth"
        folder.mkdir()
        (folder / f"ISIC2018_Task3_{split_name}_GroundTruth.csv").write_text(one_hot(CODES_2018, **images))
    (tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv").write_text(
        "image,lesion_id,diagnosis_confirm_type\nA1,HAM_1,histopathology\nA2,HAM_2,single image expert consensus\n"
    )
    return tmp_path


def test_2018(isic2018: Path) -> None:
    index = read_isic(isic2018)
    assert index.records == (
        Record("C1", "ISIC2018_Task3_Test_Input/C1.jpg", "df", "C1", split="test"),
        Record("A1", "ISIC2018_Task3_Training_Input/A1.jpg", "mel", "HAM_1", split="train"),
        Record("A2", "ISIC2018_Task3_Training_Input/A2.jpg", "nv", "HAM_2", split="train"),
        Record("B1", "ISIC2018_Task3_Validation_Input/B1.jpg", "akiec", "B1", split="validation"),
    )
    assert (index.labels, index.source) == (HAM10000, "isic2018")


@pytest.fixture
def isic2019(tmp_path: Path) -> Path:
    training = {"A1": "AK", "A2_downsampled": "SCC", "A3": "UNK"}
    add(tmp_path, "ISIC_2019_Training_Input", *training)
    (tmp_path / "ISIC_2019_Training_GroundTruth.csv").write_text(one_hot(CODES_2019, **training))
    (tmp_path / "ISIC_2019_Training_Metadata.csv").write_text(
        "image,age_approx,anatom_site_general,lesion_id,sex\n"
        "A1,55.0,anterior torso,,female\nA2_downsampled,,,MSK4_1,\nA3,30,head/neck,X,male\n"
    )
    return tmp_path


def test_2019(isic2019: Path) -> None:
    with pytest.raises(DataError, match="image A3 has no diagnosis .'UNK' 1.*--skip-unlabelled"):
        read_isic(isic2019)
    index = read_isic(isic2019, SKIP)
    assert index.records == (
        Record("A1", "ISIC_2019_Training_Input/A1.jpg", "akiec", "A1", 55.0, "female", "anterior torso", split="train"),
        Record("A2_downsampled", "ISIC_2019_Training_Input/A2_downsampled.jpg", "scc", "MSK4_1", split="train"),
    )
    assert (index.labels, index.source) == (ISIC2019, "isic2019")
    assert index.notes[0] == "1 of 3 images have no diagnosis ('UNK' 1); they were left out"


def test_2019_test_labels_have_weights_that_are_no_diagnoses(isic2019: Path) -> None:
    add(isic2019, "ISIC_2019_Test_Input", "T1")
    header, row, _ = one_hot(CODES_2019, T1="NV").split("\n")
    (isic2019 / "ISIC_2019_Test_GroundTruth.csv").write_text(f"{header},score_weight,validation_weight\n{row},1.0,0.0\n")
    assert next(record for record in read_isic(isic2019, SKIP).records if record.split == "test").dx == "nv"


@pytest.mark.parametrize(
    "row", ["A1,1,1,0,0,0,0,0", "A1,0,0,0,0,0,0,0", "A1,0.5,0.5,0,0,0,0,0", "A1,mel,0,0,0,0,0,0", "A1,1,0.2,0,0,0,0,0"]
)
def test_exactly_one_diagnosis(isic2018: Path, row: str) -> None:
    path = isic2018 / "ISIC2018_Task3_Training_GroundTruth" / "ISIC2018_Task3_Training_GroundTruth.csv"
    path.write_text(",".join(["image", *CODES_2018]) + "\n" + row + "\n")
    with pytest.raises(DataError, match=r"line 2: A1,.*exactly one diagnosis must be 1"):
        read_isic(isic2018)


def test_an_image_in_two_parts(isic2018: Path) -> None:
    path = isic2018 / "ISIC2018_Task3_Test_GroundTruth" / "ISIC2018_Task3_Test_GroundTruth.csv"
    path.write_text(one_hot(CODES_2018, A2="NV"))
    with pytest.raises(DataError, match="A2 is listed twice, with (lesion|split)"):
        read_isic(isic2018)


@pytest.mark.parametrize(
    ("text", "words"), [("picture,MEL,NV\nA,1,0\n", "no column 'image'"), ("image,a,b\nA,1,0\n", "no columns of diagnoses")]
)
def test_wrong_columns(isic2018: Path, text: str, words: str) -> None:
    (isic2018 / "ISIC2018_Task3_Training_GroundTruth" / "ISIC2018_Task3_Training_GroundTruth.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_isic(isic2018)


def test_both_years_or_none(isic2018: Path, tmp_path: Path) -> None:
    (isic2018 / "ISIC_2019_Training_GroundTruth.csv").write_text(one_hot(CODES_2019, A1="NV"))
    with pytest.raises(DataError, match="the challenges ISIC 2018 and ISIC 2019, which share images"):
        read_isic(isic2018)
    add(tmp_path / "other", ".", "x")
    with pytest.raises(DataError, match="no ISIC ground truth"):
        read_isic(tmp_path / "other")


def test_every_code_is_known_to_a_label_set() -> None:
    assert set(CODES.values()) - {"UNK"} == set(ISIC2019.codes)
    assert {CODES[code] for code in CODES_2018} == set(HAM10000.codes)
