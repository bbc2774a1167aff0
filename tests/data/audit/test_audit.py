"""The audit: what it finds in images with planted faults, and what it writes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.errors import ArtifactError, DataError
from lesionlens.core.labels import HAM10000
from lesionlens.core.recipe import SplitRecipe
from lesionlens.data.audit.audit import audit_index, read_pairs, write_audit
from lesionlens.data.audit.corrections import MISSED_DUPLICATES, listed_pairs
from lesionlens.data.index import Index, Record
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import leak_rate, make_split


def picture(seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(90, 230, (12, 16, 3), dtype=np.uint8)).resize((160, 120), Image.Resampling.BICUBIC)
    fine = random.normal(0, 14, (120, 160, 1))
    return Image.fromarray(np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8))


def save(root: Path, name: str, seed: int, **options) -> None:
    picture(seed).save(root / name, **options)


@pytest.fixture
def planted(tmp_path) -> Index:
    """Ten images; two are one file, two are one photograph, one is cut short, one is a text."""
    for seed in range(8):
        save(tmp_path, f"i{seed}.png", seed)
    (tmp_path / "i1.png").write_bytes((tmp_path / "i0.png").read_bytes())
    save(tmp_path, "i3.jpg", 2, quality=70)
    (tmp_path / "i6.png").write_bytes((tmp_path / "i6.png").read_bytes()[:3000])
    (tmp_path / "i7.jpg").write_text("not an image")
    records = (
        Record("i0", "i0.png", "mel", "L0", 50.0, "male", "back"),
        Record("i1", "i1.png", "nv", "L1", 50.0, "male", "back"),
        Record("i2", "i2.png", "nv", "L2"),
        Record("i3", "i3.jpg", "nv", "L3", 40.0, "", "face"),
        Record("i4", "i4.png", "nv", "L4"),
        Record("i5", "i5.png", "bkl", "L4"),
        Record("i6", "i6.png", "nv", "L6"),
        Record("i7", "i7.jpg", "nv", "i7"),
    )
    return Index(records, HAM10000, tmp_path, "table")


def test_planted_faults_are_found(planted):
    seen = []
    audit = audit_index(planted, [("i2", "i3"), ("i4", "i0")], progress=seen.append)
    assert sum(seen) == 8
    assert [problem["image_id"] for problem in audit.unreadable] == ["i6", "i7"]
    assert "not an image in a known format" in audit.unreadable[1]["reason"]
    assert [(pair.image_id_a, pair.image_id_b, pair.kind) for pair in audit.pairs] == [
        ("i0", "i1", "exact"),
        ("i2", "i3", "near"),
    ]
    assert audit.pairs[0].certain
    assert [pair.same_patient for pair in audit.pairs] == [True, False]
    assert audit.pairs[1].known
    assert audit.known == {"listed": 2, "found": 1, "certain": int(audit.pairs[1].certain), "missed": [["i0", "i4"]]}
    assert audit.missing == {"age": 5, "sex": 6, "site": 5, "lesion_id": 1, "patient_id": 8, "mask": 8}
    assert audit.disagreeing == (
        {"lesion_ids": ["L0", "L1", "L4"], "image_ids": ["i0", "i1", "i4", "i5"], "dx": {"bkl": 1, "mel": 1, "nv": 2}},
    )
    assert audit.n_lesions == 7
    assert "2 unreadable; 2 suspected pairs" in audit.summary()


def test_equal_images_of_one_lesion_are_counted_not_listed(planted):
    same = replace(planted, records=tuple(replace(r, lesion_id="L0") if r.image_id == "i1" else r for r in planted.records))
    audit = audit_index(same)
    assert audit.exact_within_lesion == 1
    assert [pair.kind for pair in audit.pairs] == ["near"]
    assert audit.disagreeing[0]["lesion_ids"] == ["L0"]


def test_lesions_that_cross_parts_are_found(planted):
    index = replace(planted, records=planted.records[:6])
    other = replace(index, records=tuple(replace(r, dx=("nv", "mel")[n // 2 % 2]) for n, r in enumerate(index.records)))
    split = make_split(other, SplitRecipe(protocol="paper"))
    splits = {"train": ("i0", "i2", "i4"), "validation": ("i3",), "test": ("i1", "i5")}
    audit = audit_index(index, split=replace(split, ids=splits))
    crossing = {tuple(row["lesion_ids"]): row["splits"] for row in audit.crossing}
    assert crossing[("L4",)] == {"test": 1, "train": 1}
    assert crossing[("L0", "L1")] == {"test": 1, "train": 1}
    assert audit.split_hash
    assert f"{len(crossing)} lesions cross splits" in audit.summary()


def test_written_audit_names_its_index_and_its_pairs_are_read_back(planted, tmp_path):
    audit = audit_index(planted)
    path = tmp_path / "out" / "audit.json"
    write_audit(audit, planted, path)
    assert json.loads(path.read_text()) == json.loads(json.dumps(audit.to_json()))
    assert read_pairs(path, certain_only=False) == (("i0", "i1"), ("i2", "i3"))
    assert ("i0", "i1") in read_pairs(path)
    written = json.loads(path.read_text())
    assert (written["index_hash"], written["split_hash"], len(written["pairs"])) == (planted.hash, "", 2)
    with Image.open(path.with_suffix(".jpg")) as sheet:
        assert sheet.format == "JPEG"


def test_patient_ids_tell_more_than_age_sex_and_site(planted):
    def same_patient(*patients: str) -> bool:
        records = (*(replace(r, patient_id=p) for r, p in zip(planted.records, patients, strict=False)), *planted.records[2:])
        return audit_index(replace(planted, records=records)).pairs[0].same_patient

    assert same_patient("P", "P")
    assert not same_patient("P", "Q")
    assert same_patient("P", "")


def test_only_certain_pairs_are_united(tmp_path):
    rows = [
        {"image_id_a": "a", "image_id_b": "b", "certain": True},
        {"image_id_a": "c", "image_id_b": "d", "certain": False},
    ]
    (tmp_path / "audit.json").write_text(json.dumps({"pairs": rows}))
    assert read_pairs(tmp_path / "audit.json") == (("a", "b"),)
    assert read_pairs(tmp_path / "audit.json", certain_only=False) == (("a", "b"), ("c", "d"))


def test_pairs_of_isic_2020(tmp_path):
    (tmp_path / "pairs.csv").write_text("image_name_1,image_name_2\na,b\n")
    assert read_pairs(tmp_path / "pairs.csv") == (("a", "b"),)


def test_pairs_of_a_table(tmp_path):
    (tmp_path / "pairs.csv").write_text("image_id_b,note,image_id_a\nb,x,a\nd,,c\n", encoding="utf-8-sig")
    assert read_pairs(tmp_path / "pairs.csv") == (("a", "b"), ("c", "d"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pairs.csv", "a,b\n1,2\n"),
        ("pairs.csv", ""),
        ("pairs.csv", "image_id_a,image_id_b\na\n"),
        ("audit.json", "{}"),
        ("audit.json", "[]"),
        ("audit.json", '{"pairs": [{"image_id_a": "a"}]}'),
        ("audit.json", "not json"),
    ],
)
def test_files_without_pairs_are_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ArtifactError, match=name):
        read_pairs(tmp_path / name)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"pairs.csv cannot be read"):
        read_pairs(tmp_path / "pairs.csv")


def test_no_usable_image_at_all_is_an_error(tmp_path):
    records = tuple(Record(name, f"{name}.jpg", "nv", name) for name in "ab")
    with pytest.raises(DataError, match="none of the 2 images can be used; the first"):
        audit_index(Index(records, HAM10000, tmp_path, "table"))


@pytest.mark.slow
def test_synthetic_lesions_are_not_united(synthetic_root):
    audit = audit_index(read_source(synthetic_root))
    assert not audit.unreadable
    assert not any(pair.certain for pair in audit.pairs)


@pytest.mark.slow
def test_known_pairs_among_real_images(ham10000_root):
    """The listed pairs and 150 images of other lesions; all 10,015 take a minute and more."""
    whole = read_source(ham10000_root)
    wanted = {image_id for pair in MISSED_DUPLICATES for image_id in pair}
    ids = wanted | {record.image_id for record in whole.records[::67]}
    index = replace(whole, records=tuple(record for record in whole.records if record.image_id in ids))
    audit = audit_index(index, listed_pairs(index))
    assert audit.known["listed"] == 18
    assert audit.known["found"] >= 17
    assert len(audit.pairs) - audit.known["found"] <= 2
    certain = [(pair.image_id_a, pair.image_id_b) for pair in audit.pairs if pair.certain]
    assert len(set(certain) - {tuple(sorted(pair)) for pair in MISSED_DUPLICATES}) <= 1
    split = make_split(index, SplitRecipe(protocol="paper"), certain)
    assert leak_rate(index, split.ids, certain)["test"] > 0
