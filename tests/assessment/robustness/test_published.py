"""Published human results, and the metrics of a network in the same terms."""

from collections.abc import Callable

import numpy as np
import pytest

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.robustness.published import (
    DERMATOLOGISTS,
    EXPERTS,
    beside_published,
    nevus_classes,
    sensitivity_at_specificity,
)
from lesionlens.core.labels import HAM10000, PH2
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.ranking import roc_curve


def test_the_studies_figures() -> None:
    assert (DERMATOLOGISTS.value, DERMATOLOGISTS.specificity) == (0.866, 0.713)
    assert (EXPERTS.value, EXPERTS.algorithms) == (0.626, 0.848)


def test_nevi_by_their_meaning() -> None:
    assert [code for code, is_nevus in zip(HAM10000.codes, nevus_classes(HAM10000), strict=True) if is_nevus] == ["nv"]
    assert nevus_classes(PH2).tolist() == [True, True, False]


@pytest.mark.parametrize("specificity", [0.5, 0.713, 0.9])
def test_sensitivity_is_that_of_the_roc_curve(specificity: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + 1.2 * truth, 1)  # with ties
    found = sensitivity_at_specificity(truth, scores, np.arange(300).astype(str), specificity, Resampling(200))
    curve = roc_curve(truth, scores)
    allowed = 1 - curve.false_positive_rate >= specificity
    by_threshold = [  # roc_curve leaves out thresholds on straight lines, so every threshold is tried here
        (scores[truth] >= t).mean() for t in np.unique(scores) if (scores[~truth] < t).mean() >= specificity
    ]
    assert found.value == pytest.approx(max(by_threshold))
    assert found.value >= curve.true_positive_rate[allowed].max() - 1e-12
    assert found.low <= found.value <= found.high


def test_a_side_without_lesions() -> None:
    truth, scores = np.ones(30, bool), np.arange(30.0)
    assert sensitivity_at_specificity(truth, scores, np.arange(30), 0.7, Resampling(10)).reason == "only images of melanoma"
    truth[5:] = False
    found = sensitivity_at_specificity(truth, scores, np.arange(30), 0.7, Resampling(10))
    assert (found.reason, np.isnan(found.low)) == ("5 lesions of melanoma; an interval needs 20", True)


def test_rows(draw: Callable[..., Predictions]) -> None:
    rows = beside_published(draw(400), Resampling(100))
    assert [row["readers"]["metric"] for row in rows] == ["accuracy", "melanoma_sensitivity", "melanoma_sensitivity"]
    assert all(row["network"]["low"] <= row["network"]["value"] <= row["network"]["high"] for row in rows)
