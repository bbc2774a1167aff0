import time

import numpy as np
import pytest

from lesionlens.core.errors import DataError
from lesionlens.evaluation.metric_intervals import METHODS, metric_intervals
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS, WeightedMetrics


def cases_of(predictions):
    return WeightedMetrics.of(predictions.logits, predictions.labels), predictions.lesion_ids


def test_every_metric_lies_in_its_interval_and_names_its_method(draw):
    cases, lesions = cases_of(draw(300))
    found, points = metric_intervals(cases, lesions, 200), cases.metrics()
    assert found.keys() == {*OVERALL, *PER_CLASS}
    for name, of_classes in found.items():
        for interval, point in zip(of_classes, points[name].reshape(-1), strict=True):
            assert interval.low <= interval.value <= interval.high
            assert interval.low < interval.high
            assert interval.method in METHODS
            if name != "ece":
                assert interval.value == pytest.approx(point)


def test_perfect_predictions_are_not_certain(draw):
    predictions = draw(280)
    cases = WeightedMetrics.of(8.0 * np.eye(7)[predictions.labels], predictions.labels)
    found = metric_intervals(cases, predictions.lesion_ids, 100)
    for name in ("accuracy", "recall", "precision", "specificity", "f1", "auc", "macro_recall", "macro_auc", "macro_f1"):
        for interval in found[name]:
            assert interval.value == interval.high == 1
            assert 0.7 < interval.low < 1


def test_too_few_lesions(draw):
    found = metric_intervals(*cases_of(draw(28)), 100)
    assert found["accuracy"][0].reason == "14 lesions in all; an interval needs 20"
    assert np.isnan(found["accuracy"][0].low)
    assert found["recall"][0].reason == "4 lesions of this diagnosis; an interval needs 20"
    assert found["recall"][0].details["of"] == 4


def test_a_diagnosis_that_is_never_predicted(draw):
    predictions = draw(280)
    logits = predictions.logits.copy()
    logits[:, 2] = -30
    found = metric_intervals(WeightedMetrics.of(logits, predictions.labels), predictions.lesion_ids, 100)
    precision = found["precision"][2]
    assert (precision.value, precision.reason) == (0.0, "never predicted")
    assert found["recall"][2].low == 0
    assert found["recall"][2].high < 0.15


def test_order_of_images_does_not_matter(draw):
    predictions = draw(200)
    shuffled = predictions.take(np.random.default_rng(0).permutation(200))
    one, other = (metric_intervals(*cases_of(each), 100) for each in (predictions, shuffled))
    for name in one:
        for a, b in zip(one[name], other[name], strict=True):
            assert (a.low, a.high, a.method) == (pytest.approx(b.low), pytest.approx(b.high), b.method)


def test_images_of_one_lesion_widen_intervals():
    """The same predictions, once as 150 lesions of four alike images, once as 600 lesions."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 150)
    logits = random.normal(size=(150, 3)) + 1.5 * np.eye(3)[labels]
    cases = WeightedMetrics.of(np.repeat(logits, 4, axis=0), np.repeat(labels, 4))
    grouped = metric_intervals(cases, np.repeat(np.arange(150), 4), 300)
    apart = metric_intervals(cases, np.arange(600), 300)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "brier", "nll"):
        widths = [found[name][0].high - found[name][0].low for found in (grouped, apart)]
        assert 1.6 < widths[0] / widths[1] < 2.4, name


def test_lengths_must_agree(draw):
    cases, lesions = cases_of(draw(20))
    with pytest.raises(DataError, match="one for each image"):
        metric_intervals(cases, lesions[:-1])


def test_a_thousand_images_with_two_thousand_resamples_take_seconds(draw):
    cases, lesions = cases_of(draw(1000))
    start = time.process_time()
    metric_intervals(cases, lesions, 2000)
    assert time.process_time() - start < 10  # about 0.1 s
