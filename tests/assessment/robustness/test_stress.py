"""The whole stress test on a small run: checkpoint and bundle, what it compares with, and mistakes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlens.assessment.robustness.settings import StressSettings
from lesionlens.assessment.robustness.stress import Comparisons, stress_network
from lesionlens.assessment.robustness.table import robustness_text
from lesionlens.core.errors import ArtifactError, BundleError, CheckpointError
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import Index, write_index
from lesionlens.data.split import make_split, write_split
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.training.checkpoint import load_info

SETTINGS = StressSettings(images=12, corruptions=("jpeg", "hair"), batch_size=5, resamples=100)


@pytest.fixture(scope="module")
def dataset(small_run: Path) -> Dataset:
    return Dataset.of_run(Run.at(small_run))


@pytest.fixture(scope="module")
def result(small_run: Path, dataset: Dataset) -> dict[str, Any]:
    return stress_network(Run.at(small_run).best, dataset, SETTINGS)


@pytest.mark.slow
def test_it_is_json_and_says_what_it_was_made_of(result: dict[str, Any], small_run: Path, dataset: Dataset) -> None:
    json.dumps(result, allow_nan=False)
    stored = read_predictions(small_run / "predictions.npz")
    assert result["made_from"] == stored.origin.hashes
    assert (result["n_images"], result["split"]) == (len(stored), "test")
    assert 12 <= result["corruptions"]["n_images"] < len(stored)
    assert [row["name"] for row in result["corruptions"]["rows"]] == ["jpeg", "hair"]
    assert result["readers"] is None
    by_id = dataset.index.by_id()
    assert all(image["dx_type"] == by_id[image["image_id"]].dx_type != "" for image in result["hard"]["images"])


def test_photographs_are_those_of_the_stored_predictions(result: dict[str, Any], small_run: Path) -> None:
    stored = read_predictions(small_run / "predictions.npz")
    lesions, counts = np.unique(stored.lesion_ids, return_counts=True)
    repeated = lesions[counts > 1]
    alike = [len(set(stored.predicted[stored.lesion_ids == lesion])) == 1 for lesion in repeated]
    photographs = result["photographs"]
    assert photographs["n_units"] == len(repeated)
    assert photographs["metrics"]["all_alike"]["value"] == pytest.approx(np.mean(alike))


@pytest.mark.slow
def test_repeated_it_is_the_same(result: dict[str, Any], small_run: Path, dataset: Dataset) -> None:
    again = stress_network(Run.at(small_run).best, dataset, replace(SETTINGS, batch_size=3))
    assert again["corruptions"]["images_hash"] == result["corruptions"]["images_hash"]
    for one, other in zip(result["corruptions"]["rows"], again["corruptions"]["rows"], strict=True):
        assert one["error"] == other["error"]


def test_the_text_names_every_part(result: dict[str, Any]) -> None:
    text = robustness_text(result)
    for words in ("photographs of one lesion", "eight views", "JPEG compression", "Hair", "58 dermatologists", "hard images"):
        assert words in text


@pytest.mark.slow
def test_company(small_run: Path, dataset: Dataset, result: dict[str, Any], tmp_path: Path) -> None:
    ids = dataset.ids("test")
    (tmp_path / "readers.csv").write_text("image_id,reader,diagnosis\n" + "".join(f"{i},1,nv\n" for i in ids[:5]))
    (tmp_path / "reference.json").write_text(json.dumps(result))
    comparisons = Comparisons((small_run / "predictions.npz",), tmp_path / "readers.csv", tmp_path / "reference.json")
    both = stress_network(Run.at(small_run).best, dataset, SETTINGS, comparisons)
    assert both["readers"]["n_images"] == 5
    assert both["corruptions"]["reference"]["mce"] == pytest.approx(1)
    assert both["n_seeds"] == 2
    assert both["hard"]["counts"]["seeds"] == 0  # the other seed is the same network
    assert "5 answers to 5 images" in robustness_text(both)


@pytest.mark.slow
def test_a_bundle_is_stressed_as_a_clinic_runs_it(small_bundle: Path, dataset: Dataset, result: dict[str, Any]) -> None:
    bundle = stress_network(small_bundle, dataset, SETTINGS)
    assert bundle["made_from"]["checkpoint"] == result["made_from"]["checkpoint"]
    assert len(bundle["made_from"]["bundle"]) == 64
    clean = (each["corruptions"]["clean"]["accuracy"]["value"] for each in (bundle, result))
    assert next(clean) == pytest.approx(next(clean), abs=0.1)  # a rounding may turn a diagnosis


class TestMistakes:
    def test_no_lesion_with_two_photographs(self, small_run: Path, dataset: Dataset) -> None:
        records = tuple(replace(record, lesion_id=record.image_id) for record in dataset.index.records)
        single = Dataset(replace(dataset.index, records=records), dataset.split, dataset.store)
        result = stress_network(Run.at(small_run).best, single, SETTINGS)
        assert result["photographs"] == {"reason": "no lesion of this split has two photographs", "n_units": 0}
        assert result["views"]["n_units"] > 0
        assert "not available, because no lesion of this split has two photographs" in robustness_text(result)

    def test_another_split(self, small_run: Path, tmp_path: Path) -> None:
        run = Path(shutil.copytree(small_run, tmp_path / "run"))
        whole = Dataset.of_run(Run.at(run))
        single = {record.lesion_id: record for record in whole.index.records}
        index = Index(tuple(single.values()), whole.index.labels, whole.index.root, whole.index.source)
        split = make_split(index, load_info(run / "train" / "best.safetensors").recipe.split)
        write_index(index, tmp_path / "index.csv")
        write_split(split, tmp_path / "split.json")
        dataset = Dataset(index, split, whole.store)
        with pytest.raises(CheckpointError, match="was trained with another split"):
            stress_network(run / "train" / "best.safetensors", dataset, SETTINGS)

    def test_neither_checkpoint_nor_bundle(self, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="is neither a checkpoint nor a bundle"):
            stress_network(tmp_path / "missing.safetensors", dataset, SETTINGS)
        with pytest.raises(BundleError, match="bundle"):
            stress_network(tmp_path, dataset, SETTINGS)

    def test_a_reference_that_is_missing(self, small_run: Path, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match="does not exist"):
            stress_network(Run.at(small_run).best, dataset, SETTINGS, Comparisons(reference=tmp_path / "missing.json"))
