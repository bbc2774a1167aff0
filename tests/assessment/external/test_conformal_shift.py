"""The run's conformal sets on external images."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lesionlens.assessment.decisions import evaluate_sets, fit_sets
from lesionlens.assessment.decisions.linear_map import LinearMap
from lesionlens.assessment.external.conformal_shift import coverage_under_shift
from lesionlens.assessment.external.text import conformal_lines
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import log_softmax, softmax
from lesionlens.evaluation.predictions import Origin, Predictions

TEMPERATURE = 1.7


def predictions_of(n: int, seed: int, skill: float) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, n)
    logits = rng.normal(0, 1, (n, 7))
    logits[np.arange(n), labels] += skill
    return Predictions(
        image_ids=np.array([f"I{seed}_{number}" for number in range(n)]),
        lesion_ids=np.array([f"L{number // 2}" for number in range(n)]),
        labels=labels,
        logits=logits.astype(np.float32),
        label_set=HAM10000,
        age=np.full(n, 50, np.float32),
        sex=np.full(n, "male"),
        site=np.full(n, "back"),
        origin=Origin("made up", 0, "lesion", False, 0.0, "validation"),
    )


RECALIBRATION = LinearMap(np.diag(np.linspace(0.8, 1.3, 7)), np.linspace(-0.2, 0.2, 7))


def recalibrated(predictions: Predictions) -> np.ndarray:
    return np.exp(RECALIBRATION.log_probabilities(log_softmax(predictions.logits)))


def decisions() -> dict:
    """What decisions.json says of the sets, fitted on validation and evaluated on a test split."""
    validation, test = predictions_of(600, 0, 2.5), predictions_of(600, 1, 2.5)
    rows = []
    for group in ("marginal", "class"):
        sets = fit_sets(recalibrated(validation), validation.labels, validation.lesion_ids, HAM10000.codes, 0.9, "lac", group)
        found = evaluate_sets(sets, recalibrated(test), test.labels, test.lesion_ids)
        rows.append({"sets": sets.to_json(), "test": found})
    return json.loads(json.dumps({"views": 1, "recalibration": RECALIBRATION.to_json(), "conformal": rows}))


def calibrated(predictions: Predictions) -> Predictions:
    """As an external evaluation keeps them: logarithms of probabilities with the temperature applied."""
    logits = np.log(softmax(predictions.logits / TEMPERATURE)).astype(np.float32)
    return replace(predictions, logits=logits)


def test_the_temperature_is_undone_and_the_recalibration_of_the_sets_applied() -> None:
    content, external = decisions(), predictions_of(400, 2, 2.5)
    result = coverage_under_shift(content, calibrated(external), TEMPERATURE)
    for row, made in zip(result["sets"], content["conformal"], strict=True):
        from lesionlens.assessment.decisions import ConformalSets

        sets = ConformalSets.from_json(made["sets"])
        expected = evaluate_sets(sets, recalibrated(external), external.labels, external.lesion_ids)
        assert row["external"]["coverage"] == pytest.approx(expected["coverage"])
        assert row["external"]["sizes"] == expected["sizes"]
        assert row["test"] == made["test"]
        assert row["coverage"] == 0.9


def test_coverage_holds_without_shift_and_falls_with_it() -> None:
    content = decisions()
    same, worse = (coverage_under_shift(content, calibrated(predictions_of(2000, 3, skill)), TEMPERATURE) for skill in (2.5, 1.0))
    values = [result["sets"][0]["external"]["coverage"]["value"] for result in (same, worse)]
    assert values[0] == pytest.approx(0.9, abs=0.06)  # three standard deviations of thresholds from 300 lesions
    assert values[1] < 0.8


def test_reasons() -> None:
    external = calibrated(predictions_of(10, 2, 2.5))
    assert "lesionlens assess CHECKPOINT" in coverage_under_shift(None, external, TEMPERATURE)["reason"]
    other = coverage_under_shift({**decisions(), "views": 8}, external, TEMPERATURE)
    assert other == {"reason": "decisions.json was made with another number of views"}
    assert conformal_lines({"conformal": other}) == [
        "Conformal sets: not evaluated, decisions.json was made with another number of views."
    ]


def test_lines_for_people() -> None:
    result = coverage_under_shift(decisions(), calibrated(predictions_of(400, 2, 2.5)), TEMPERATURE)
    lines = conformal_lines({"conformal": result})
    assert len(lines) == 2
    assert lines[0].startswith("Conformal sets (lac, marginal), 90 % promised: coverage 0.")
