"""Splits: disjoint by lesion, stratified, deterministic, and the paper's counts to the image."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import ArtifactError, RecipeError, SplitError
from lesionlens.core.labels import HAM10000
from lesionlens.core.recipe import SplitRecipe
from lesionlens.data.index import Index, Record
from lesionlens.data.protocols import sources
from lesionlens.data.split import (
    PROTOCOLS,
    SPLITS,
    check_leaks,
    make_split,
    read_split,
    write_split,
)

# Table 2 of the paper: training, validation, testing.
TABLE_2 = {
    "nv": (5364, 670, 671),
    "mel": (890, 111, 112),
    "bkl": (879, 110, 110),
    "bcc": (411, 51, 52),
    "akiec": (262, 33, 32),
    "vasc": (114, 14, 14),
    "df": (92, 12, 11),
}


def index_of(lesions: list[tuple[str, int]], split_name: str = "") -> Index:
    """An index of lesions given as (diagnosis, number of images)."""
    records = [
        Record(f"image_{n}_{m}", f"image_{n}_{m}.jpg", dx, f"lesion_{n}", split=split_name)
        for n, (dx, images) in enumerate(lesions)
        for m in range(images)
    ]
    return Index(tuple(records), HAM10000, Path("images"), "table")


def counts(index: Index, split) -> dict[str, tuple[int, ...]]:
    dx_of = {record.image_id: record.dx for record in index.records}
    found = {split_name: Counter(dx_of[image_id] for image_id in split.ids[split_name]) for split_name in SPLITS}
    return {code: tuple(found[split_name][code] for split_name in SPLITS) for code in index.labels.codes}


def ham10000_metadata(root: Path) -> Index:
    rows = csv.DictReader((root / "HAM10000_metadata.csv").read_text(encoding="utf-8").splitlines())
    records = [Record(row["image_id"], row["image_id"] + ".jpg", row["dx"], row["lesion_id"]) for row in rows]
    return Index(tuple(records), HAM10000, root, "ham10000")


def ham10000_like() -> Index:
    """Table 1's images without their lesions: one image each."""
    return index_of([(code, 1) for code, row in TABLE_2.items() for _ in range(sum(row))])


lesions_of_one_dx = st.lists(st.integers(1, 5), min_size=3, max_size=30)
some_lesions = st.dictionaries(st.sampled_from(HAM10000.codes), lesions_of_one_dx, min_size=2).map(
    lambda by_dx: [(dx, images) for dx, sizes in by_dx.items() for images in sizes]
)


@given(some_lesions, st.integers(0, 99), st.sampled_from(["lesion", "lesion-kfold"]))
@settings(max_examples=60, deadline=None)
def test_parts_are_disjoint_by_lesion_and_hold_every_diagnosis(lesions, seed, protocol):
    index = index_of(lesions)
    split = make_split(index, SplitRecipe(protocol=protocol, seed=seed, folds=3, fold=seed % 3))
    assert sorted(image_id for split_name in SPLITS for image_id in split.ids[split_name]) == sorted(index.ids)
    lesion_of = {record.image_id: record.lesion_id for record in index.records}
    seen = [{lesion_of[image_id] for image_id in split.ids[split_name]} for split_name in SPLITS]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]
    for code in {dx for dx, _ in lesions}:
        assert all(n > 0 for n in counts(index, split)[code])
    assert split.leak_rate["test"] == split.leak_rate["validation"] == 0


@given(some_lesions, st.sampled_from(["lesion", "lesion-kfold", "paper"]), st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_order_of_records_and_pairs_does_not_matter(lesions, protocol, random):
    index, recipe = index_of(lesions), SplitRecipe(protocol=protocol, folds=2)
    records, pairs = list(index.records), [("image_0_0", "image_1_0"), ("image_2_0", "elsewhere")]
    random.shuffle(records)
    shuffled = replace(index, records=tuple(records))
    assert make_split(index, recipe, pairs).ids == make_split(shuffled, recipe, pairs[::-1]).ids


def test_seeds_differ_and_repeat():
    index = index_of([("mel", 2), ("nv", 1)] * 40)
    first, again, other = (make_split(index, SplitRecipe(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first.hash == again.hash
    assert first.ids != other.ids


def test_shares_hold_for_every_diagnosis_and_every_size_of_lesion():
    index = index_of([("mel", 1)] * 70 + [("mel", 3)] * 30 + [("nv", 1)] * 200)
    split = make_split(index, SplitRecipe(validation=0.1, test=0.2))
    assert counts(index, split)["nv"] == (140, 20, 40)
    assert np.abs(np.array(counts(index, split)["mel"]) - (112, 16, 32)).max() <= 1
    per_lesion = Counter(image_id.rsplit("_", 1)[0] for image_id in split.ids["test"])
    assert 5 <= sum(n == 3 for n in per_lesion.values()) <= 7


def test_folds_test_every_image_once():
    index = index_of([("mel", 2), ("nv", 1), ("nv", 3)] * 10)
    tested = [make_split(index, SplitRecipe(protocol="lesion-kfold", folds=4, fold=fold)).ids["test"] for fold in range(4)]
    assert sorted(image_id for split_name in tested for image_id in split_name) == sorted(index.ids)


def test_paper_has_table_2_to_the_image():
    index = ham10000_like()
    split = make_split(index, SplitRecipe(protocol="paper", seed=3))
    assert counts(index, split) == TABLE_2
    assert split.leaks


def test_paper_on_other_images_is_80_10_10():
    index = index_of([("mel", 1)] * 50 + [("nv", 1)] * 3 + [("df", 1)] * 2)
    found = counts(index, make_split(index, SplitRecipe(protocol="paper")))
    assert found["mel"] == (40, 5, 5)
    assert found["nv"] == (1, 1, 1)
    assert found["df"] == (1, 0, 1)


def test_paper_leaks_on_real_lesions_as_measured(ham10000_root):
    index = ham10000_metadata(ham10000_root)
    rates = [make_split(index, SplitRecipe(protocol="paper", seed=seed)).leak_rate for seed in range(8)]
    assert np.mean([rate["test"] for rate in rates]) == pytest.approx(0.386, abs=0.01)  # standard error 0.005
    assert np.mean([rate["by_class"]["mel"] for rate in rates]) == pytest.approx(0.679, abs=0.05)  # 0.016
    assert np.mean([rate["by_class"]["nv"] for rate in rates]) == pytest.approx(0.295, abs=0.02)  # 0.006
    assert rates[0]["n_groups"] == 7470


def test_lesion_split_of_real_lesions_does_not_leak_and_is_within_an_image(ham10000_root):
    index = ham10000_metadata(ham10000_root)
    rows = csv.DictReader((ham10000_root / "missed_duplicates.csv").read_text(encoding="utf-8").splitlines())
    pairs = [(row["image_id_a"], row["image_id_b"]) for row in rows]
    split = make_split(index, SplitRecipe(), pairs)
    assert split.leak_rate["test"] == split.leak_rate["validation"] == 0
    assert split.leak_rate["n_groups"] == 7470 - 18
    for code, row in counts(index, split).items():
        assert np.abs(np.array(row) - sum(TABLE_2[code]) * np.array([0.7, 0.1, 0.2])).max() <= 1


def test_one_lesion_of_a_diagnosis_is_an_error_that_names_it():
    index = index_of([("mel", 1)] * 5 + [("df", 4)])
    with pytest.raises(SplitError, match="'df' has one lesion.*leave it out"):
        make_split(index, SplitRecipe())
    with pytest.raises(SplitError, match="'df' has one lesion"):
        make_split(index, SplitRecipe(protocol="lesion-kfold"))
    with pytest.raises(SplitError, match="'df' has one image"):
        make_split(index_of([("mel", 1)] * 5 + [("df", 1)]), SplitRecipe(protocol="paper"))


def test_pairs_can_leave_a_diagnosis_with_one_lesion():
    index = index_of([("mel", 1)] * 5 + [("df", 1)] * 2)
    assert counts(index, make_split(index, SplitRecipe()))["df"] == (1, 0, 1)
    with pytest.raises(SplitError, match="'df' has one lesion"):
        make_split(index, SplitRecipe(), [("image_5_0", "image_6_0")])


def test_fewer_lesions_than_folds_is_an_error():
    index = index_of([("mel", 1)] * 9 + [("df", 2)] * 4)
    with pytest.raises(SplitError, match="'df' has 4 lesions; this protocol needs 5"):
        make_split(index, SplitRecipe(protocol="lesion-kfold", folds=5))


def test_folds_that_leave_nothing_to_train_on():
    index = index_of([("mel", 1), ("nv", 1)] * 9)
    with pytest.raises(RecipeError, match="leaves nothing to train on"):
        make_split(index, SplitRecipe(protocol="lesion-kfold", folds=2, validation=0.5))


def official_index() -> Index:
    training = index_of([("mel", 2), ("nv", 1)] * 10, split_name="train").records
    test = tuple(Record(f"test_{n}", "", "mel", f"lesion_test_{n}", split="test") for n in range(4))
    return Index((*training, *test), HAM10000, Path("images"), "isic")


def test_official_takes_the_parts_of_the_source():
    split = make_split(official_index(), SplitRecipe(protocol="official"))
    assert split.ids["test"] == ("test_0", "test_1", "test_2", "test_3")
    assert len(split.ids["validation"]) == 3
    assert len(split.ids["train"]) == 27
    assert not split.leaks
    assert split.leak_rate["test"] == 0


def test_official_leaves_out_training_lesions_that_are_tested():
    split = make_split(official_index(), SplitRecipe(protocol="official"), [("image_0_0", "test_0")])
    assert "test_0" in split.ids["test"]
    assert split.leak_rate["left_out"] == 2  # both images of lesion 0
    assert split.leak_rate["test"] == 0


def test_official_uses_the_validation_part_of_the_source():
    index = official_index()
    named = replace(index, records=(*index.records, Record("val_0", "", "nv", "lesion_val_0", split="validation")))
    split = make_split(named, SplitRecipe(protocol="official"))
    assert split.ids["validation"] == ("val_0",)
    assert len(split.ids["train"]) == 30


def test_official_needs_a_test_part():
    with pytest.raises(SplitError, match="names no test split.*--protocol lesion"):
        make_split(index_of([("mel", 1), ("nv", 1)] * 5, split_name="train"), SplitRecipe(protocol="official"))


def test_write_then_read_is_equal(tmp_path):
    index = index_of([("mel", 2), ("nv", 1)] * 10)
    recipe = SplitRecipe(protocol="lesion-kfold", validation=0.2, test=0.3, folds=4, fold=2, seed=9)
    pairs = [("image_2_0", "image_0_0"), ("image_2_0", "unknown")]
    split = make_split(index, recipe, pairs)
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json", index) == split
    assert split.pairs == (("image_0_0", "image_2_0"),)
    assert SplitRecipe(protocol=split.protocol, seed=split.seed, **split.settings) == recipe


def test_a_split_of_0_1_0_is_read_under_todays_names(tmp_path):
    index = index_of([("mel", 2), ("nv", 1)] * 10)
    split = make_split(index, SplitRecipe())
    write_split(split, tmp_path / "split.json")
    value = json.loads((tmp_path / "split.json").read_text())
    for old, mapping in (("parts", value.pop("ids")), ("groups_by_part", value["leak_rate"].pop("groups_by_split"))):
        renamed = {"training": mapping["train"], "validation": mapping["validation"], "test": mapping["test"]}
        (value if old == "parts" else value["leak_rate"])[old] = renamed
    (tmp_path / "split.json").write_text(json.dumps(value))  # with its hash, which is taken over the old names
    assert read_split(tmp_path / "split.json", index) == split


def test_a_protocol_that_leaks_and_should_not_is_stopped(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "lesion", lambda index, groups, recipe: np.arange(len(index)) % 3)
    with pytest.raises(SplitError, match="stay together under protocol 'lesion'"):
        make_split(index_of([("mel", 2), ("nv", 2)] * 5), SplitRecipe())


def edited(path: Path, forge_hash: bool = False, **changes) -> Path:
    value = json.loads(path.read_text())
    value.update(changes)
    if forge_hash:
        value["hash"] = hash_value({key: item for key, item in value.items() if key != "hash"})
    path.write_text(json.dumps(value))
    return path


@pytest.fixture
def written(tmp_path):
    index = index_of([("mel", 2), ("nv", 2)] * 10)
    split = make_split(index, SplitRecipe())
    write_split(split, tmp_path / "split.json")
    return index, split, tmp_path / "split.json"


def test_a_leak_edited_into_the_file_raises(written):
    index, split, path = written
    moved, *kept = split.ids["train"]
    splits = {**split.ids, "train": kept, "test": [*split.ids["test"], moved]}
    with pytest.raises(SplitError, match="is in .* must stay together"):
        read_split(edited(path, ids=splits, forge_hash=True), index)
    with pytest.raises(ArtifactError, match="changed after it was made"):
        read_split(edited(path, forge_hash=False, hash=split.hash))


def test_a_leak_through_a_pair_found_later_raises(written):
    index, split, _ = written
    check_leaks(split, index)
    with pytest.raises(SplitError, match="must stay together"):
        check_leaks(split, index, [(split.ids["train"][0], split.ids["test"][0])])


def test_a_split_marked_as_another_protocol_raises(written):
    index, _, path = written
    with pytest.raises(ArtifactError, match="changed after"):
        read_split(edited(path, protocol="paper"), index)
    with pytest.raises(ArtifactError, match="protocol 'random'"):
        read_split(edited(path, protocol="random", forge_hash=True), index)


def test_an_image_in_two_parts_raises(written):
    _, split, path = written
    splits = {**split.ids, "test": [*split.ids["test"], split.ids["train"][0]]}
    with pytest.raises(SplitError, match="is in train and test; an image belongs to one split"):
        read_split(edited(path, ids=splits))


def test_an_image_that_the_index_does_not_know_raises(written):
    index, _, path = written
    with pytest.raises(SplitError, match="is not in the index"):
        read_split(path, replace(index, records=index.records[:-6]))


def test_a_split_of_another_index_raises(written):
    index, _, path = written
    more = (*index.records, Record("new", "new.jpg", "nv", "new"))
    with pytest.raises(ArtifactError, match="another index"):
        read_split(path, replace(index, records=more))


@pytest.mark.parametrize("text", ["{}", "[]", '{"hash": 1, "splits": {}}', '"split"'])
def test_a_file_that_is_no_split_raises(tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(ArtifactError, match="is not a split"):
        read_split(tmp_path / "split.json")


def test_patients_stay_together():
    index = index_of([("mel", 2), ("nv", 1)] * 20)
    index = replace(index, records=tuple(replace(r, patient_id=f"P{int(r.lesion_id[7:]) // 3}") for r in index.records))
    split = make_split(index, SplitRecipe(validation=0.2, test=0.3))
    patient_of = {record.image_id: record.patient_id for record in index.records}
    patients = [{patient_of[image_id] for image_id in split.ids[name]} for name in SPLITS]
    assert not patients[0] & patients[1]
    assert not patients[0] & patients[2]
    assert (split.leak_rate["test"], split.leak_rate["by_patient"]["test"]) == (0, 0)
    leaking = make_split(index, SplitRecipe(protocol="paper"))
    assert leaking.leak_rate["by_patient"]["test"] > 0.5
    moved = split.ids["train"][0]
    ids = {**split.ids, "train": split.ids["train"][1:], "test": (*split.ids["test"], moved)}
    with pytest.raises(SplitError, match=r"of patient P\d+ .*images of one lesion or patient must stay together"):
        check_leaks(replace(split, ids=ids), index)


def test_a_split_without_lesion_ids_keeps_the_hash_of_0_1_0_and_tells_what_is_unknown(tmp_path):
    index = index_of([("mel", 1), ("nv", 1)] * 20)
    unknown = replace(index, records=tuple(replace(r, lesion_id=r.image_id) for r in index.records))
    split = make_split(unknown, SplitRecipe())
    assert split.leak_rate["test"] is None
    assert split.leak_rate["unknown"] == {"test": 8, "validation": 4}
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json", unknown) == split
    old = json.loads((tmp_path / "split.json").read_text())
    old["leak_rate"] = old.pop("group_leak_rate")  # as 0.1.0 wrote it
    assert old["leak_rate"]["test"] == 0
    (tmp_path / "old.json").write_text(json.dumps(old))
    again = read_split(tmp_path / "old.json", unknown)
    assert again.hash == split.hash == old["hash"]
    assert again.leak_rate == split.leak_rate


def test_a_diagnosis_that_is_tested_must_be_trained():
    index = official_index()
    strange = replace(index, records=(*index.records, Record("x", "", "df", "lesion_x", split="test")))
    with pytest.raises(SplitError, match="df has 1 test images and no training image.*--map.*--protocol lesion"):
        make_split(strange, SplitRecipe(protocol="official"))


def test_a_diagnosis_that_is_not_tested_is_a_note():
    split = make_split(official_index(), SplitRecipe(protocol="official"))
    assert split.notes == ("no test image has the diagnosis nv; it is not scored",)


@pytest.mark.parametrize("protocol", ["lesion", "lesion-kfold", "paper", "official"])
def test_one_single_class_is_refused(protocol):
    records = [replace(r, split=("train", "train", "test")[n % 3]) for n, r in enumerate(index_of([("nv", 1)] * 30).records)]
    index = Index(tuple(records), HAM10000, Path("images"), "table")
    with pytest.raises(
        SplitError, match="all .* training images have the diagnosis nv; a classifier needs images of two or more"
    ):
        make_split(index, SplitRecipe(protocol=protocol))


def test_notes_do_not_make_another_split():
    split = make_split(index_of([("mel", 2), ("nv", 1)] * 20), SplitRecipe())
    other = replace(split, notes=("something to know",))
    assert other == split
    assert other.hash == split.hash


def of_clinics(clinics: dict[str, list[tuple[str, int]]]) -> Index:
    """An index of lesions given by clinic as (diagnosis, number of images)."""
    records = [
        replace(record, image_id=f"{clinic}_{record.image_id}", lesion_id=f"{clinic}_{record.lesion_id}", dataset=clinic)
        for clinic, lesions in clinics.items()
        for record in index_of(lesions).records
    ]
    return Index(tuple(records), HAM10000, Path("images"), "table")


TWO_CLINICS = {"north": [("nv", 2)] * 20 + [("mel", 1)] * 10, "south": [("nv", 1)] * 15 + [("mel", 3)] * 5}


def test_a_source_is_tested_by_the_others():
    index = of_clinics(TWO_CLINICS)
    split = make_split(index, SplitRecipe(protocol="source", test_source="south", validation=0.2))
    assert set(split.ids["test"]) == {record.image_id for record in index.records if record.dataset == "south"}
    assert set(split.ids["train"]) | set(split.ids["validation"]) == set(index.ids) - set(split.ids["test"])
    assert counts(index, split)["nv"] == (32, 8, 15)
    assert counts(index, split)["mel"] == (8, 2, 15)
    assert not split.leaks
    assert split.settings["test_source"] == "south"
    assert make_split(index, SplitRecipe(protocol="source", test_source="south", validation=0.2, seed=1)).ids != split.ids


def test_a_lesion_of_two_sources_is_left_out_of_training():
    """It stays where it is tested; images of an unknown source may be of the tested one, so nobody trains on them."""
    index = of_clinics(TWO_CLINICS)
    records = list(index.records)
    north = next(number for number, record in enumerate(records) if record.dataset == "north")
    records[north] = replace(records[north], lesion_id=records[-1].lesion_id, dx="mel")
    records[north + 2] = replace(records[north + 2], dataset="", lesion_id="alone")
    crossing, unknown = records[north].image_id, records[north + 2].image_id
    index = replace(index, records=tuple(records))
    split = make_split(index, SplitRecipe(protocol="source", test_source="south"))
    assert {crossing, unknown}.isdisjoint(image_id for ids in split.ids.values() for image_id in ids)
    assert split.leak_rate["left_out"] == 2
    other = make_split(index, SplitRecipe(protocol="source", test_source="north"))
    assert crossing in other.ids["test"]
    assert records[-1].image_id not in other.ids["train"]


def test_a_source_that_is_not_there_names_those_that_are():
    index = of_clinics(TWO_CLINICS)
    with pytest.raises(SplitError, match="cannot test on 'west': the column `dataset` of the index names north, south"):
        make_split(index, SplitRecipe(protocol="source", test_source="west"))
    with pytest.raises(SplitError, match="names no source"):
        make_split(index_of([("nv", 1)] * 4), SplitRecipe(protocol="source", test_source="west"))
    with pytest.raises(RecipeError, match="test_source = ''; it must be the name of a source"):
        SplitRecipe(protocol="source")


def test_every_image_of_ham10000_is_tested_once_over_its_sources(ham10000_root):
    index = ham10000_metadata(ham10000_root)
    rows = csv.DictReader((ham10000_root / "HAM10000_metadata.csv").read_text(encoding="utf-8").splitlines())
    records = [replace(record, dataset=row["dataset"]) for record, row in zip(index.records, rows, strict=True)]
    index = replace(index, records=tuple(records))
    assert sources(index) == ("vidir_molemax", "vidir_modern", "rosendahl", "vienna_dias")
    splits = [make_split(index, SplitRecipe(protocol="source", test_source=name)) for name in sources(index)]
    assert sorted(image_id for split in splits for image_id in split.ids["test"]) == sorted(index.ids)
    assert all(split.leak_rate["test"] == 0 for split in splits)


def test_leaks_that_nobody_can_know_are_counted_and_rates_that_nobody_can_know_are_none():
    made = make_split(index_of([("mel", 1), ("nv", 1)] * 20), SplitRecipe())
    split = replace(made, leak_rate={"unknown": {"test": 3}, "by_patient": {"test": 0.25}})
    assert (split.n_unknown_lesion("test"), split.n_unknown_lesion("validation")) == (3, 0)
    assert (split.patient_leak_rate("test"), split.patient_leak_rate("validation")) == (0.25, None)
    assert replace(made, leak_rate={}).n_unknown_lesion("test") == 0
