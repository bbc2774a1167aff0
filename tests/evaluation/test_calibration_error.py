import numpy as np
import pytest

from lesionlens.evaluation.calibration import expected_calibration_error, softmax
from lesionlens.evaluation.calibration_error import calibration_error
from lesionlens.evaluation.proportions import Lesions
from lesionlens.evaluation.weighted_metrics import WeightedMetrics


def calibrated(seed, n_lesions=500, sharpness=1.0):
    """Two images per lesion; labels are drawn from the probabilities, then the logits are sharpened."""
    random = np.random.default_rng(seed)
    logits = np.repeat(2 * random.normal(size=(n_lesions, 3)), 2, axis=0)
    labels = (softmax(logits).cumsum(1) < random.random((2 * n_lesions, 1))).sum(1).clip(max=2)
    return WeightedMetrics.of(sharpness * logits, labels), Lesions.of(np.repeat(np.arange(n_lesions), 2)), logits, labels


@pytest.mark.slow
def test_a_calibrated_model_has_zero_in_its_interval():
    found = [calibration_error(*calibrated(seed)[:2]) for seed in range(60)]
    assert sum(each.low == 0 for each in found) >= 55
    assert np.mean([each.p < 0.05 for each in found]) <= 0.12
    assert np.mean([each.value for each in found]) < 0.5 * np.mean([each.plain for each in found])


@pytest.mark.slow
def test_the_estimate_lies_in_its_interval():
    for seed in range(20):
        for sharpness in (0.5, 1.0, 3.0):
            error = calibration_error(*calibrated(seed, 60, sharpness)[:2])
            assert 0 <= error.low <= error.value <= error.high <= 1


def test_overconfidence_is_noticed():
    error = calibration_error(*calibrated(0, 500, 3.0)[:2])
    assert error.low > 0.02
    assert error.p < 0.001
    assert error.value == pytest.approx(error.plain, rel=0.1)


def test_the_plain_error_is_guos():
    cases, lesions, logits, labels = calibrated(1)
    assert calibration_error(cases, lesions).plain == pytest.approx(expected_calibration_error(softmax(logits), labels))


def test_a_model_without_an_error_may_be_calibrated():
    """1,000 images right at a confidence of 0.9995: half an error was to be expected."""
    logits = np.tile([np.log(1999.0), 0.0], (1000, 1))
    error = calibration_error(WeightedMetrics.of(logits, np.zeros(1000, dtype=np.int64)), Lesions.of(np.arange(1000)))
    assert error.low == 0
    assert error.p > 0.3


def test_one_lesion_has_no_estimate():
    error = calibration_error(WeightedMetrics.of(np.eye(2), np.array([0, 1])), Lesions.of(np.array(["a", "a"])))
    assert np.isnan([error.value, error.low, error.high, error.p]).all()
