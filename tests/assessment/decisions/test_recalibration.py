"""Which recalibration is chosen, and from what."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.recalibration import CANDIDATES, choose_recalibration, lesion_folds, mean_difference
from lesionlens.evaluation.calibration import log_softmax
from lesionlens.evaluation.proportions import Lesions

EVEN = [300] * 7


def choose(predictions, logits=None):
    logs = log_softmax(predictions.logits if logits is None else logits)
    return choose_recalibration(logs, predictions.labels, predictions.lesion_ids, predictions.label_set)


def test_temperature_is_kept_where_it_is_enough(draw):
    chosen = choose(draw(500, sharpness=1.5, split="validation"))
    assert chosen.method == "temperature"
    assert 1.2 < chosen.to_json()["temperature"] < 1.9
    assert chosen.candidates.keys() == CANDIDATES.keys()
    assert all("difference" in row for name, row in chosen.candidates.items() if name != "temperature")


def test_another_method_is_chosen_where_it_is_clearly_better(draw):
    split = draw(1200, shares=EVEN, split="validation")
    chosen = choose(split, split.logits + np.array([1.5, 0, -1.5, 0, 1.5, 0, 0]))
    assert chosen.method != "temperature"
    assert chosen.candidates[chosen.method]["difference"]["high"] < 0
    assert chosen.candidates[chosen.method]["nll"] == min(row["nll"] for row in chosen.candidates.values())
    assert chosen.method in chosen.representatives


def test_an_absent_diagnosis_leaves_temperature_and_says_why(draw):
    split = draw(300, shares=[1, 1, 1, 0, 1, 1, 1], split="validation")
    chosen = choose(split)
    assert chosen.method == "temperature"
    assert chosen.reason == "too few validation lesions for any other method: df 0"
    assert chosen.candidates["vector"] == {"nll": None, "reason": "needs 5 validation lesions of each diagnosis; there are df 0"}


def test_folds_keep_lesions_together_and_spread_diagnoses(draw):
    split = draw(500, split="validation")
    folds = lesion_folds(split.labels, split.lesion_ids)
    for lesion in np.unique(split.lesion_ids)[:50]:
        assert len(set(folds[split.lesion_ids == lesion])) == 1
    for code in range(7):
        rows = split.labels == code
        counts = [len(np.unique(split.lesion_ids[rows & (folds == fold)])) for fold in range(5)]
        assert max(counts) - min(counts) <= 1


def test_out_of_fold_probabilities_do_not_know_their_own_lesions(draw):
    split = draw(200, split="validation")
    folds, chosen = lesion_folds(split.labels, split.lesion_ids), choose(split)
    inside = folds == 0
    changed = np.where(inside, (split.labels + 1) % 7, split.labels)  # other labels in fold 0 alone
    logs = log_softmax(split.logits)
    fitted = CANDIDATES["temperature"](logs[~inside], changed[~inside])
    if chosen.method == "temperature":
        np.testing.assert_allclose(chosen.out_of_fold[inside], fitted.log_probabilities(logs[inside]))


def test_the_interval_of_a_mean_difference_by_hand():
    lesions = Lesions.of(np.array(["a", "b", "c", "d"]))
    interval = mean_difference(np.array([1.0, 2.0, 3.0, 4.0]), lesions, 0.95)
    assert interval.value == 2.5
    assert interval.high - interval.value == pytest.approx(3.1824 * np.sqrt(5 / 3 / 4), abs=1e-3)  # t(3) s / sqrt(4)
    assert np.isnan(mean_difference(np.ones(3), Lesions.of(np.array(["a"] * 3)), 0.95).low)
