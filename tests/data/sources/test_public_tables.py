"""Tables of public collections: ISIC 2016, 2017, 2020, the ISIC Archive, PH2 and Derm7pt, as their makers write them."""

from pathlib import Path

import pytest
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.data.index import Index
from lesionlens.data.sources.rules import Rules
from lesionlens.data.sources.source import read_source
from lesionlens.data.sources.table import Columns

SKIP = Rules(skip_unlabelled=True)


def add(root: Path, *paths: str) -> None:
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + number, 40)).save(root / path)


def diagnoses(index: Index) -> dict[str, str]:
    return {record.image_id: record.dx for record in index.records}


class TestIsic2016:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        add(tmp_path, *(f"ISBI2016_ISIC_Part3_Training_Data/ISIC_000000{n}.jpg" for n in (0, 1)))
        add(tmp_path, *(f"ISBI2016_ISIC_Part3_Test_Data/ISIC_000000{n}.jpg" for n in (3, 4)))
        (tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv").write_text("ISIC_0000000,benign\nISIC_0000001,malignant\n")
        (tmp_path / "ISBI2016_ISIC_Part3_Test_GroundTruth.csv").write_text("ISIC_0000003,0.0\nISIC_0000004,1.0\n")
        return tmp_path

    def test_without_a_header(self, root: Path) -> None:
        index = read_source(root)
        assert (index.source, index.labels.codes, index.labels.malignant) == ("isic2016", ("benign", "malignant"), (False, True))
        assert [(r.image_id[-1], r.dx, r.split) for r in index.records] == [
            ("3", "benign", "test"),
            ("4", "malignant", "test"),
            ("0", "benign", "train"),
            ("1", "malignant", "train"),
        ]

    def test_with_a_header(self, root: Path) -> None:
        path = root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv"
        path.write_text("id,target\n" + path.read_text())
        assert len(read_source(root)) == 4

    def test_another_label(self, root: Path) -> None:
        (root / "ISBI2016_ISIC_Part3_Test_GroundTruth.csv").write_text("ISIC_0000003,0.0\nISIC_0000004,0.5\n")
        with pytest.raises(DataError, match="line 2: the label must be benign or malignant"):
            read_source(root)


class TestIsic2017:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        add(tmp_path, *(f"ISIC-2017_Training_Data/ISIC_000000{n}.jpg" for n in range(3)))
        add(tmp_path, "ISIC-2017_Training_Data/ISIC_0000000_superpixels.png", "ISIC-2017_Test_v2_Data/ISIC_0012086.jpg")
        header = "image_id,melanoma,seborrheic_keratosis\n"
        (tmp_path / "ISIC-2017_Training_Part3_GroundTruth.csv").write_text(
            header + "ISIC_0000000,0.0,0.0\nISIC_0000001,1.0,0.0\nISIC_0000002,0.0,1.0\n"
        )
        (tmp_path / "ISIC-2017_Test_v2_Part3_GroundTruth.csv").write_text(header + "ISIC_0012086,0.0,0.0\n")
        (tmp_path / "ISIC-2017_Training_Data" / "ISIC-2017_Training_Data_metadata.csv").write_text(
            "image_id,age_approximate,sex\nISIC_0000000,55,female\nISIC_0000001,unknown,male\n"
        )
        return tmp_path

    def test_what_is_neither_is_a_nevus(self, root: Path) -> None:
        index = read_source(root)
        assert (index.source, index.labels.codes) == ("isic2017", ("mel", "nv", "sk"))
        assert [(r.image_id, r.dx, r.split, r.age, r.sex) for r in index.records] == [
            ("ISIC_0012086", "nv", "test", None, ""),
            ("ISIC_0000000", "nv", "train", 55.0, "female"),
            ("ISIC_0000001", "mel", "train", None, "male"),
            ("ISIC_0000002", "sk", "train", None, ""),
        ]
        assert any("1 images are there but not listed" in note and "superpixels" in note for note in index.notes)

    @pytest.mark.parametrize("row", ["1.0,1.0", "0.5,0.0", "x,0"])
    def test_wrong_marks(self, root: Path, row: str) -> None:
        (root / "ISIC-2017_Test_v2_Part3_GroundTruth.csv").write_text(
            f"image_id,melanoma,seborrheic_keratosis\nISIC_0012086,{row}\n"
        )
        with pytest.raises(DataError, match="exactly one diagnosis must be 1"):
            read_source(root)


ISIC_2020 = """image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target
ISIC_2637011,IP_7279968,male,45.0,head/neck,unknown,benign,0
ISIC_0015719,IP_3075186,female,45.0,upper extremity,melanoma,malignant,1
ISIC_0052212,IP_2842074,female,50.0,lower extremity,nevus,benign,0
ISIC_0068279,IP_2842074,,,,unknown,benign,0
"""


class TestIsic2020:
    @pytest.fixture(params=["train.csv", "ISIC_2020_Training_GroundTruth_v2.csv"])
    def root(self, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
        add(tmp_path, *(f"train/{name}.jpg" for name in ("ISIC_2637011", "ISIC_0015719", "ISIC_0052212", "ISIC_0068279")))
        (tmp_path / request.param).write_text(ISIC_2020)
        (tmp_path / "ISIC_2020_Training_Duplicates.csv").write_text("image_name_1,image_name_2\nISIC_0015719,ISIC_0052212\n")
        return tmp_path

    def test_labels_patients_and_sites(self, root: Path) -> None:
        index = read_source(root)
        assert (index.source, index.labels.codes, index.labels.malignant) == ("isic2020", ("benign", "malignant"), (False, True))
        first = index.records[0]
        assert (first.dx, first.patient_id, first.lesion_id) == ("benign", "IP_7279968", "ISIC_2637011")
        assert (first.age, first.sex, first.site) == (45.0, "male", "head/neck")
        assert len({record.patient_id for record in index.records}) == 3
        assert "patients are told apart by column 'patient_id'; their images stay together" in index.notes
        assert any(note.startswith("ISIC_2020_Training_Duplicates.csv is not used; it lists pairs") for note in index.notes)
        assert any(note.endswith("that are not used: diagnosis, target") for note in index.notes)

    def test_by_diagnosis(self, root: Path) -> None:
        path = next(root.glob("*train*.csv"), None) or next(root.glob("*GroundTruth*.csv"))
        with pytest.raises(DataError, match="image ISIC_2637011 has no diagnosis, nor have 1 of the other 3"):
            read_source(path, columns=Columns(dx="diagnosis"))
        index = read_source(path, rules=SKIP, columns=Columns(dx="diagnosis"))
        assert (index.source, diagnoses(index)) == ("isic2020", {"ISIC_0015719": "mel", "ISIC_0052212": "nv"})
        assert "2 of 4 images have no diagnosis ('unknown' 2); they were left out" in index.notes


ROWS = (
    "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_4,"
    "image_type,lesion_id,patient_id,sex",
    'ISIC_1,A,CC-0,50,head/neck,Benign,Benign melanocytic proliferations,Nevus,"Nevus, Atypical, Dysplastic, or Clark",'
    "dermoscopic,IL_1,IP_1,male",
    "ISIC_2,A,CC-0,55,,Malignant,Malignant melanocytic proliferations (Melanoma),Melanoma in situ,,dermoscopic,IL_2,IP_1,male",
    "ISIC_3,A,CC-0,,,Indeterminate,Indeterminate epidermal proliferations,Solar or actinic keratosis,,dermoscopic,,,",
    "ISIC_4,A,CC-0,60,,Benign,,,,clinical: close-up,IL_4,IP_2,female",
    "ISIC_5,A,CC-0,60,,Benign,Benign - Other,Strange benign thing,,dermoscopic,IL_5,IP_3,female",
    'ISIC_6,A,CC-0,60,,Malignant,Malignant epidermal proliferations,"Squamous cell carcinoma, Invasive",,dermoscopic,IL_6,IP_4,'
    "female",
)


class TestArchive:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        add(tmp_path, *(f"ISIC_{n}.jpg" for n in range(1, 7)))
        (tmp_path / "metadata.csv").write_text("\n".join(ROWS) + "\n")
        return tmp_path

    def test_a_blank_level_is_missing(self, root: Path) -> None:
        with pytest.raises(DataError, match="image ISIC_4 has no diagnosis .'empty' 1.*--dx-column.*--skip-unlabelled"):
            read_source(root)

    def test_the_third_level(self, root: Path) -> None:
        index = read_source(root, rules=SKIP)
        assert index.source == "isic-archive"
        assert diagnoses(index) == {
            "ISIC_1": "nv",
            "ISIC_2": "melanoma_in_situ",
            "ISIC_3": "ak",
            "ISIC_5": "strange benign thing",
            "ISIC_6": "scc_invasive",
        }
        malignant = {diagnosis.code for diagnosis in index.labels.diagnoses if diagnosis.malignant}
        assert malignant == {"ak", "melanoma_in_situ", "scc_invasive"}
        assert [(r.lesion_id, r.patient_id) for r in index.records[:3]] == [("IL_1", "IP_1"), ("IL_2", "IP_1"), ("ISIC_3", "")]
        assert "malignancy as the source states it: strange benign thing benign" in index.notes
        assert index.notes[0] == "the labels are those of column diagnosis_3; name another level with --dx-column"
        assert "1 images are not dermoscopic by column image_type, and are indexed all the same" in index.notes
        assert any("diagnosis_2, diagnosis_4, image_type" in note for note in index.notes)

    def test_the_first_level_asks_about_indeterminate(self, root: Path) -> None:
        with pytest.raises(DataError, match="not known whether indeterminate is malignant"):
            read_source(root, columns=Columns(dx="diagnosis_1"))
        index = read_source(root, rules=Rules(malignant=("indeterminate",)), columns=Columns(dx="diagnosis_1"))
        assert index.labels.malignant == (False, True, True)

    def test_a_level_with_one_name_only(self, root: Path) -> None:
        with pytest.raises(DataError, match="has 1 diagnosis"):
            read_source(root, rules=SKIP, columns=Columns(dx="diagnosis_4"))


PH2_TEXT = """|| Name   ||   Histological Diagnosis   || Clinical Diagnosis || Asymmetry || Pigment Network ||
|| IMD003 ||                            ||                  0 ||         0 ||               T ||
|| IMD009 ||                            ||                  1 ||         0 ||               T ||
|| IMD058 ||         Melanoma           ||                  2 ||         2 ||              AT ||

Legends:
Clinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma.
"""
PH2_TABLE = """PH2 Dataset;;;;
;;;;
Image Name;Histological Diagnosis;Common Nevus;Atypical Nevus;Melanoma
IMD003;;X;;
IMD009;;;X;
IMD058;Melanoma;;;x
"""


class TestPh2:
    @pytest.fixture(params=["PH2_dataset.txt", "PH2_dataset.csv"])
    def root(self, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
        for name in ("IMD003", "IMD009", "IMD058"):
            folder = f"PH2 Dataset images/{name}"
            add(tmp_path, f"{folder}/{name}_Dermoscopic_Image/{name}.bmp", f"{folder}/{name}_lesion/{name}_lesion.bmp")
        add(tmp_path, "PH2 Dataset images/IMD003/IMD003_roi/IMD003_R1_Label3.bmp")
        (tmp_path / request.param).write_text(PH2_TEXT if request.param.endswith("txt") else PH2_TABLE)
        return tmp_path

    def test_both_forms_of_the_table(self, root: Path) -> None:
        index = read_source(root)
        assert (index.source, index.labels.malignant) == ("ph2", (False, False, True))
        assert diagnoses(index) == {"IMD003": "common_nevus", "IMD009": "atypical_nevus", "IMD058": "mel"}
        assert index.records[0].mask == "PH2 Dataset images/IMD003/IMD003_lesion/IMD003_lesion.bmp"
        assert any("1 images are there but not listed" in note and "IMD003_R1_Label3" in note for note in index.notes)

    def test_another_diagnosis(self, root: Path) -> None:
        path = next(root.glob("PH2_dataset.*"))
        text = path.read_text()
        path.write_text(text.replace("    0 ||         0", "    3 ||         0").replace("IMD003;;X;;", "IMD003;;X;X;"))
        with pytest.raises(DataError, match="must be 0, 1 or 2|exactly one must be"):
            read_source(root)


class TestDerm7pt:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        add(tmp_path, *(f"images/{name}.jpg" for name in ("NEL/Nel026", "AAL/Aal012", "FAL/Fal001")))
        add(tmp_path, "images/NEL/NEL025.JPG")
        (tmp_path / "meta").mkdir()
        (tmp_path / "meta" / "meta.csv").write_text(
            "case_num,diagnosis,seven_point_score,location,sex,clinic,derm\n"
            "1,basal cell carcinoma,0,abdomen,female,NEL/NEL025.JPG,NEL/Nel026.jpg\n"
            "2,melanoma (less than 0.76 mm),4,back,male,AAL/Aal011.jpg,AAL/Aal012.jpg\n"
            "3,clark nevus,1,back,male,FAL/Fal002.jpg,FAL/Fal001.jpg\n"
        )
        for name, row in (("train", 1), ("valid", 2), ("test", 0)):
            (tmp_path / "meta" / f"{name}_indexes.csv").write_text(f"indexes\n{row}\n")
        return tmp_path

    def test_cases_and_splits(self, root: Path) -> None:
        index = read_source(root)
        assert index.source == "derm7pt"
        assert [(r.image_id, r.dx, r.lesion_id, r.split, r.site, r.sex) for r in index.records] == [
            ("Nel026", "bcc", "case 1", "test", "abdomen", "female"),
            ("Aal012", "melanoma_under_0_76_mm", "case 2", "train", "back", "male"),
            ("Fal001", "atypical_nevus", "case 3", "validation", "back", "male"),
        ]
        assert {d.code for d in index.labels.diagnoses if d.malignant} == {"bcc", "melanoma_under_0_76_mm"}
        assert any("1 images are there but not listed" in note and "NEL025" in note for note in index.notes)

    def test_a_split_that_names_no_row(self, root: Path) -> None:
        (root / "meta" / "test_indexes.csv").write_text("indexes\n3\n")
        with pytest.raises(DataError, match="line 2: '3' is no row of meta.csv; it must be from 0 to 2"):
            read_source(root)

    def test_miscellaneous_is_asked_about(self, root: Path) -> None:
        path = root / "meta" / "meta.csv"
        path.write_text(path.read_text().replace("clark nevus", "miscellaneous"))
        with pytest.raises(DataError, match="not known whether miscellaneous is malignant"):
            read_source(root)
