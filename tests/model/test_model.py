"""The trained model that comes with LesionLens is what it says it is."""

import dataclasses
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.run import Run
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.evaluation.scores import score

MODEL = Path(__file__).parents[2] / "model"
TRAINING = Run.at(MODEL / "training")


@pytest.fixture(scope="module")
def bundle():
    return open_bundle(MODEL / "src" / "lesionlens_model" / "bundle")


def test_it_is_small_and_says_what_it_may_be_used_for(bundle):
    assert sum(file["size_bytes"] for file in bundle.files.values()) <= 12_000_000
    assert set(bundle.files) == {path.name for path in bundle.path.iterdir()} - {"bundle.json"}
    assert "CC BY-NC 4.0" in bundle.facts["licences"]["weights"]
    licence = (MODEL / "LICENSE").read_text()
    assert "Attribution-NonCommercial 4.0 International" in licence
    assert tomllib.loads((MODEL / "pyproject.toml").read_text())["project"]["license"] == "CC-BY-NC-4.0"
    assert (MODEL / "README.md").read_text() == (bundle.path / "card.md").read_text()


def test_its_scores_are_rebuilt_from_stored_predictions(bundle):
    predictions = read_predictions(TRAINING.predictions)
    assert predictions.origin.hashes["checkpoint"] == bundle.checkpoint_hash
    assert predictions.origin.hashes["split"] == json.loads(TRAINING.split.read_text())["hash"]
    temperature = bundle.facts["temperature"]["value"]
    calibrated = dataclasses.replace(predictions, logits=(predictions.logits / temperature).astype(np.float32))
    rebuilt = score(calibrated, 2000, 0.95)["metrics"]
    for name, metric in bundle.facts["scores"]["metrics"].items():
        for key in ("value", "low", "high"):
            assert rebuilt[name][key] == pytest.approx(metric[key], abs=1e-9), name


def test_no_lesion_is_in_two_splits(bundle):
    test, validation = (read_predictions(path) for path in (TRAINING.predictions, TRAINING.validation_predictions))
    assert not set(test.lesion_ids) & set(validation.lesion_ids)
    assert bundle.facts["origin"]["leak_rate"] == 0


def test_it_passes_its_self_test_and_names_its_maps(bundle):
    predictor = Predictor(bundle.path, runtime="onnxruntime")
    assert predictor.variant.name == bundle.default_variant
    assert bundle.has_maps
