from pathlib import Path

import numpy as np
import pytest

from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.gate import DISTANCE
from lesionlens.bundle.reference import REFERENCE_FILE, frame_hash, read_reference
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.export.reference import reference_of, seen_ids


@pytest.fixture(scope="module")
def dataset(small_run: Path) -> Dataset:
    return Dataset.of_run(Run.at(small_run))


def hashes_of(dataset: Dataset, ids: tuple[str, ...]) -> set[int]:
    return {frame_hash(np.ascontiguousarray(dataset.store.images[row])) for row in dataset.store.rows(ids)}


def test_the_bundle_remembers_what_was_fitted_on_and_nothing_of_the_test_split(small_bundle: Path, dataset: Dataset) -> None:
    reference = read_reference(open_bundle(small_bundle))
    assert reference is not None
    ids = seen_ids(dataset)
    assert set(ids) == {*dataset.split.ids["train"], *dataset.split.ids["validation"]}
    known = set(reference.frame_hashes.tolist())
    hashes = {
        image_id: frame_hash(np.ascontiguousarray(dataset.store.images[dataset.store.rows([image_id])[0]])) for image_id in ids
    }
    assert known == set(hashes.values())
    test_rows = dataset.store.rows(dataset.split.ids["test"])
    assert not known & {frame_hash(np.ascontiguousarray(dataset.store.images[row])) for row in test_rows}


def test_counts_colours_and_distances(small_bundle: Path, dataset: Dataset) -> None:
    bundle = open_bundle(small_bundle)
    reference = read_reference(bundle)
    assert reference is not None
    assert reference.class_counts.sum() == len(reference) == len(seen_ids(dataset))
    frames = dataset.store.images[dataset.store.rows(seen_ids(dataset))] / 255
    assert reference.colour_mean[:3] == pytest.approx(frames.mean(axis=(0, 1, 2)), abs=1e-5)
    assert len(reference.distances) == bundle.facts["gate"]["validation"]["n_images"]
    beyond = (reference.distances > bundle.facts["gate"]["thresholds"]["not_dermoscopic"]).sum()
    assert beyond == bundle.facts["gate"]["validation"]["rejected"]["not_dermoscopic"], DISTANCE


def test_it_is_small(small_bundle: Path, dataset: Dataset) -> None:
    """24 bytes for an image, so 200 kB for the 8,012 images that HAM10000 trains and validates on."""
    size = (small_bundle / REFERENCE_FILE).stat().st_size
    assert size < 24 * len(seen_ids(dataset)) + 4 * len(dataset.split.ids["validation"]) + 2000


def test_without_a_gate_there_are_no_distances(dataset: Dataset) -> None:
    assert reference_of(dataset).distances.shape == (0,)
