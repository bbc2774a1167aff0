import numpy as np
import pytest
from PIL import Image

from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.gate import Gate
from lesionlens.bundle.quality import SIDE, measure_quality
from lesionlens.bundle.runtime import Predictor
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import Index, Record, read_index
from lesionlens.data.split import read_split
from lesionlens.data.store import Store
from lesionlens.export.gate_images import (
    BATCH,
    features_and_quality,
    fit_gate_on_dataset,
    gate_counts,
    shorter_sides,
    stratified_ids,
)


@pytest.fixture(scope="module")
def splits(small_run):
    index = read_index(small_run / "index.csv")
    return index, read_split(small_run / "split.json", index), Store.open(small_run / "store")


@pytest.fixture(scope="module")
def predictor(small_bundle):
    return Predictor(small_bundle, threads=1, batch_size=BATCH)


def test_every_diagnosis_has_its_share(splits):
    index = splits[0]
    chosen = stratified_ids(index.ids, index, 60)
    by_id = index.by_id()
    assert len(chosen) == len(set(chosen)) == 60
    for code in index.labels.codes:
        whole, some = (sum(by_id[image_id].dx == code for image_id in ids) for ids in (index.ids, chosen))
        assert abs(some - whole / 2) <= 1
    assert stratified_ids(tuple(reversed(index.ids)), index, 60) == chosen
    assert sorted(stratified_ids(index.ids, index, 10_000)) == sorted(index.ids)
    assert len(stratified_ids(index.ids, index, 1)) == 1


def test_what_is_looked_at_is_what_the_runtime_sees(splits, predictor):
    index, split, store = splits
    ids, told = split.ids["validation"][:11], []
    features, measures = features_and_quality(predictor.run, ids, store, predictor.bundle.spec, told.append)
    rows = np.sort(store.rows(ids))
    paths = [index.image_path(index.by_id()[store.ids[row]]) for row in rows]
    found = list(predictor.predict(paths))
    np.testing.assert_allclose(features, [p.features for p in found], rtol=1e-4, atol=1e-5)
    for name, values in measures.items():
        if name != SIDE:
            assert [p.gate_result.measures[name] for p in found] == pytest.approx(values.tolist())
    assert told == [8, 3]


def test_the_gate_of_the_bundle_is_fitted_on_these(splits, predictor, small_bundle):
    bundle = open_bundle(small_bundle)
    fitted = fit_gate_on_dataset(predictor.run, Dataset(*splits), bundle.spec, 2000, 0.02, lambda done: None)
    gate = Gate.from_bundle(bundle)
    assert fitted.facts == bundle.facts["gate"]
    np.testing.assert_array_equal(fitted.gaussian.mean, gate.gaussian.mean)
    counts = gate_counts({split: len(splits[1].ids[split]) for split in ("train", "validation")}, 2000)
    assert fitted.facts["fitted"]["n_images"] == counts["train"]
    assert fitted.facts["fitted"]["n_other_tone"] == counts["other_tone"] > 0
    assert fitted.facts["fitted"]["n_photographs"] == counts["photographs"] == len(splits[1].ids["train"]) // 2
    np.testing.assert_array_equal(fitted.photographs.normal, gate.photographs.normal)


def test_every_image_is_announced(splits, predictor):
    told = []
    fit_gate_on_dataset(predictor.run, Dataset(*splits), predictor.bundle.spec, 20, 0.02, told.append)
    assert sum(told) == sum(gate_counts({split: len(splits[1].ids[split]) for split in ("train", "validation")}, 20).values())


def test_fewer_images_may_be_asked_for(splits, predictor):
    fitted = fit_gate_on_dataset(predictor.run, Dataset(*splits), predictor.bundle.spec, 10, 0.02, lambda done: None)
    assert fitted.facts["fitted"]["n_images"] == fitted.facts["validation"]["n_images"] == 10


def test_sizes_of_the_originals(tmp_path):
    Image.new("RGB", (60, 45)).save(tmp_path / "a.png")
    Image.new("RGB", (30, 90)).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"broken")
    names = ("a", "b", "c", "gone")
    records = tuple(Record(name, f"{name}.png", "mel", name) for name in names)
    index = Index.__new__(Index)
    object.__setattr__(index, "records", records)
    object.__setattr__(index, "root", tmp_path)
    assert shorter_sides(index, names).tolist() == [45, 30]
    assert shorter_sides(index, ("c", "gone")) is None


def test_quality_of_a_frame_is_that_of_the_crop(splits, predictor):
    _, split, store = splits
    spec = predictor.bundle.spec
    assert spec.frame > spec.size
    _, measures = features_and_quality(predictor.run, split.ids["validation"][:1], store, spec, lambda done: None)
    edge = (spec.frame - spec.size) // 2
    frame = store.images[store.rows(split.ids["validation"][:1])[0]][edge:-edge, edge:-edge]
    assert measures["brightness"][0] == measure_quality((1, 1), np.ascontiguousarray(frame))["brightness"]
