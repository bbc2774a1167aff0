"""HAM10000: every layout that users have gives the same index."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.index import Record
from lesionlens.data.sources.ham10000 import read_ham10000
from lesionlens.data.sources.rules import Rules

HEADER = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
ROWS = (
    "HAM_1,ISIC_0000001,bkl,histo,80.0,male,scalp,vidir_modern\n"
    "HAM_1,ISIC_0000002,bkl,histo,80.0,male,scalp,vidir_modern\n"
    "HAM_2,ISIC_0000003,mel,histo,,unknown,unknown,rosendahl\n"
    "HAM_3,ISIC_0000004,nv,follow_up,0.0,female,back,vidir_molemax\n"
)
PART_1, PART_2 = "HAM10000_images_part_1", "HAM10000_images_part_2"
MASKS = "HAM10000_segmentations_lesion_tschandl"


def add_images(folder: Path, *numbers: int, ending: str = ".jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.new("RGB", (40, 40), (number, 0, 0)).save(folder / f"ISIC_{number:07d}{ending}")


@pytest.fixture
def dataverse(tmp_path: Path) -> Path:
    root = tmp_path / "dataverse"
    add_images(root / PART_1, 1, 2)
    add_images(root / PART_2, 3, 4)
    add_images(root / MASKS, *range(1, 5), ending="_segmentation.png")
    add_images(root / "__MACOSX" / MASKS, *range(1, 5), ending="_segmentation.png")
    (root / "HAM10000_metadata.csv").write_text(HEADER + ROWS)
    return root


def test_as_dataverse_ships_it(dataverse: Path) -> None:
    index = read_ham10000(dataverse)
    mask = f"{MASKS}/ISIC_0000001_segmentation.png"
    assert index.records[0] == Record(
        "ISIC_0000001",
        f"{PART_1}/ISIC_0000001.jpg",
        "bkl",
        "HAM_1",
        80.0,
        "male",
        "scalp",
        mask,
        dx_type="histo",
        dataset="vidir_modern",
    )
    assert index.records[2] == Record(
        "ISIC_0000003",
        f"{PART_2}/ISIC_0000003.jpg",
        "mel",
        "HAM_2",
        mask=f"{MASKS}/ISIC_0000003_segmentation.png",
        dx_type="histo",
        dataset="rosendahl",
    )
    assert index.records[3].age == 0.0
    assert (index.labels, index.source) == (HAM10000, "ham10000")
    assert index.notes == (
        "left out 1 file, hidden: __MACOSX",
        "no image has the diagnosis akiec, bcc, df, vasc",
    )


def facts(root: Path) -> list[tuple[object, ...]]:
    return [(r.image_id, r.dx, r.lesion_id, r.age, r.sex, r.site) for r in read_ham10000(root).records]


def test_one_folder_any_case_any_extension(dataverse: Path, tmp_path: Path) -> None:
    root = tmp_path / "other"
    add_images(root / "Images", 1, 2, 3, ending=".JPG")
    add_images(root / "Images", 4, ending=".jpeg")
    (root / "HAM10000_Metadata.CSV").write_text(HEADER + ROWS)
    assert facts(root) == facts(dataverse)


def test_images_beside_the_metadata_deep_below_the_root(dataverse: Path, tmp_path: Path) -> None:
    add_images(tmp_path / "outer" / "dataverse_files", 1, 2, 3, 4)
    (tmp_path / "outer" / "dataverse_files" / "HAM10000_metadata.csv").write_text(HEADER + ROWS)
    assert facts(tmp_path / "outer") == facts(dataverse)


@pytest.mark.parametrize("name", ["HAM10000_metadata", "HAM10000_metadata.tab"])
def test_metadata_without_extension_or_with_tabs(dataverse: Path, name: str) -> None:
    expected = facts(dataverse)
    (dataverse / "HAM10000_metadata.csv").unlink()
    (dataverse / name).write_text((HEADER + ROWS).replace(",", "\t"))
    assert facts(dataverse) == expected


def test_kaggles_seven_columns_and_images_present_twice(dataverse: Path, tmp_path: Path) -> None:
    root = tmp_path / "kaggle"
    for folder in (PART_1, PART_1.lower()):
        add_images(root / folder, 1, 2)
    for folder in (PART_2, PART_2.lower()):
        add_images(root / folder, 3, 4)
    lines = [",".join(line.split(",")[:7]) for line in (HEADER + ROWS).splitlines()]
    (root / "HAM10000_metadata.csv").write_text("\r\n".join(lines) + "\r\n")
    (root / "hmnist_8_8_L.csv").write_text("pixel0000,label\n1,2\n")
    assert facts(root) == facts(dataverse)
    index = read_ham10000(root)
    assert all(record.path.startswith("HAM10000") for record in index.records)
    assert "4 images are there more than once; the first of each was taken" in index.notes


def test_two_copies_of_the_metadata_must_be_equal(dataverse: Path) -> None:
    shutil.copy(dataverse / "HAM10000_metadata.csv", dataverse / PART_1)
    assert len(read_ham10000(dataverse)) == 4
    (dataverse / PART_1 / "HAM10000_metadata.csv").write_text(HEADER + ROWS.replace("bkl", "nv"))
    with pytest.raises(DataError, match="differ; keep one"):
        read_ham10000(dataverse)


@pytest.mark.parametrize("part_name", ["Input", "Images"])
def test_with_the_test_images_of_isic_2018(dataverse: Path, part_name: str) -> None:
    add_images(dataverse / f"ISIC2018_Task3_Test_{part_name}", 5, 6)
    (dataverse / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(
        "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_0000005,0.0,0.0,0.0,0.0,0.0,1.0,0.0\nISIC_0000006,1,0,0,0,0,0,0\n"
    )
    index = read_ham10000(dataverse)
    assert index.source == "ham10000+isic2018"
    assert [record.split for record in index.records] == ["train"] * 4 + ["test"] * 2
    assert [(r.image_id, r.dx, r.lesion_id) for r in index.records[4:]] == [
        ("ISIC_0000005", "df", "ISIC_0000005"),
        ("ISIC_0000006", "mel", "ISIC_0000006"),
    ]


def test_with_the_test_labels_as_dataverse_has_them(dataverse: Path) -> None:
    add_images(dataverse / "ISIC2018_Task3_Test_Images", 5)
    row = "ISIC_L5,ISIC_0000005,bcc,histo,55.0,male,back,vidir_modern\n"
    (dataverse / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(HEADER + row)
    record = read_ham10000(dataverse).records[-1]
    assert (record.dx, record.lesion_id, record.age, record.site, record.split) == ("bcc", "ISIC_L5", 55.0, "back", "test")


def test_a_test_set_that_holds_training_images(dataverse: Path) -> None:
    (dataverse / "ISIC2018_Task3_Test_GroundTruth.csv").write_text("image,MEL,NV,BCC\nISIC_0000001,0,1,0\n")
    with pytest.raises(DataError, match="1 images are in HAM10000 too, the first is ISIC_0000001"):
        read_ham10000(dataverse)


@pytest.mark.parametrize("column", ["lesion_id", "image_id", "dx", "age", "sex", "localization"])
def test_metadata_without_a_needed_column(dataverse: Path, column: str) -> None:
    (dataverse / "HAM10000_metadata.csv").write_text(f",{HEADER}".replace(f",{column},", ",other,").lstrip(",") + ROWS)
    with pytest.raises(DataError, match=f"HAM10000_metadata.csv has no column '{column}'; it has"):
        read_ham10000(dataverse)


def test_an_unknown_diagnosis_names_row_and_known_ones(dataverse: Path) -> None:
    (dataverse / "HAM10000_metadata.csv").write_text(HEADER + ROWS.replace("mel", "SCC"))
    words = "HAM10000_metadata.csv line 4: image ISIC_0000003: unknown diagnosis 'scc'; .* akiec, bcc, bkl, df, mel, nv, vasc"
    with pytest.raises(DataError, match=words):
        read_ham10000(dataverse)


def test_diagnoses_in_capitals(dataverse: Path) -> None:
    (dataverse / "HAM10000_metadata.csv").write_text(HEADER + ROWS.replace("mel", "MEL").replace(",nv,", ",Nv,"))
    assert Counter(record.dx for record in read_ham10000(dataverse).records) == {"bkl": 2, "mel": 1, "nv": 1}


def test_missing_images(dataverse: Path) -> None:
    (dataverse / PART_2 / "ISIC_0000003.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 4 listed images are not below .*ISIC_0000003"):
        read_ham10000(dataverse)
    assert len(read_ham10000(dataverse, Rules(missing="drop"))) == 3


def test_no_metadata(tmp_path: Path) -> None:
    add_images(tmp_path, 1)
    with pytest.raises(DataError, match="lesionlens download ham10000"):
        read_ham10000(tmp_path)


def test_the_real_data(ham10000_root: Path) -> None:
    index = read_ham10000(ham10000_root)
    counts = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
    summary = index.summary()
    assert (summary["images"], summary["lesions"], summary["masks"], summary["by_dx"]) == (10_015, 7_470, 10_015, counts)
    assert sum(record.age is None for record in index.records) == 57
    assert index.notes == ()
    assert index.hash == "39100c5dde5ab2e40fde5a9ccec0fd49f756d34ff088aefbd6a5a21663c66133"  # as in 0.1.0
    assert Counter(record.dx_type for record in index.records) == {
        "histo": 5340,
        "follow_up": 3704,
        "consensus": 902,
        "confocal": 69,
    }
    assert Counter(record.dataset for record in index.records) == {
        "vidir_molemax": 3954,
        "vidir_modern": 3363,
        "rosendahl": 2259,
        "vienna_dias": 439,
    }
