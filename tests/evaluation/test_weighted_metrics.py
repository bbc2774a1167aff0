import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.core.errors import DataError
from lesionlens.evaluation.calibration import expected_calibration_error, softmax
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS, WeightedMetrics

SEEDS = st.integers(0, 100_000)


def drawn(seed, n=50, k=5):
    """Logits with ties between images, never within one, so that first choices survive relabelling."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n)
    return np.round(random.normal(size=(n, k)) + np.eye(k)[labels], 1) + 0.01 * np.arange(k), labels


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_auc_equals_scikit_learn(seed):
    logits, labels = drawn(seed, n=80)
    metrics = WeightedMetrics.of(logits, labels).metrics()
    expected = reference.roc_auc_score(labels, softmax(logits), multi_class="ovr", average=None, labels=range(5))
    np.testing.assert_allclose(metrics["auc"][0], expected, atol=1e-12)
    assert metrics["macro_auc"][0] == pytest.approx(np.mean(expected), abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_weights_are_repeated_cases(seed):
    logits, labels = drawn(seed)
    weights = np.random.default_rng(seed).integers(0, 3, (4, len(labels)))
    weighted = WeightedMetrics.of(logits, labels).metrics(weights.astype(float))
    for b, row in enumerate(weights):
        repeated = WeightedMetrics.of(np.repeat(logits, row, axis=0), np.repeat(labels, row)).metrics()
        for name, value in repeated.items():
            np.testing.assert_allclose(weighted[name][b], value[0], atol=1e-12, err_msg=name)


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_order_does_not_matter(seed):
    logits, labels = drawn(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    before, after = WeightedMetrics.of(logits, labels).metrics(), WeightedMetrics.of(logits[order], labels[order]).metrics()
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-12, err_msg=name)


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_relabelling_commutes(seed):
    logits, labels = drawn(seed)
    order = np.random.default_rng(seed).permutation(5)  # class order[j] becomes class j
    before, after = (
        WeightedMetrics.of(logits, labels).metrics(),
        WeightedMetrics.of(logits[:, order], np.argsort(order)[labels]).metrics(),
    )
    for name in OVERALL:
        np.testing.assert_allclose(after[name], before[name], atol=1e-12, err_msg=name)
    for name in PER_CLASS:
        np.testing.assert_allclose(after[name][0], before[name][0][order], atol=1e-12, err_msg=name)


@settings(deadline=None, max_examples=50)
@given(SEEDS, st.integers(1, 30))
def test_metrics_lie_in_their_range(seed, n):
    logits, labels = drawn(seed, n=n)
    metrics = WeightedMetrics.of(logits, labels).metrics()
    assert metrics.keys() == {*OVERALL, *PER_CLASS}
    for name, values in metrics.items():
        top = {"brier": 2, "nll": np.inf}.get(name, 1)
        defined = values[~np.isnan(values)]
        assert ((defined >= 0) & (defined <= top)).all(), name


def test_calibration_error_is_the_published_one():
    logits, labels = drawn(7, n=300)
    assert WeightedMetrics.of(logits, labels).metrics()["ece"][0] == pytest.approx(
        expected_calibration_error(softmax(logits), labels)
    )


def test_absent_class_has_no_auc_and_is_left_out():
    logits, labels = drawn(1)
    labels = np.where(labels == 4, 0, labels)
    metrics = WeightedMetrics.of(logits, labels).metrics()
    assert np.isnan(metrics["auc"][0, 4])
    assert metrics["macro_auc"][0] == pytest.approx(metrics["auc"][0, :4].mean())


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((3, 2)), [0, 1], "must be"),
        (np.full((2, 2), np.nan), [0, 1], "NaN"),
        (np.zeros((0, 2)), [], "no cases"),
        (np.zeros((2, 2)), [0, 2], "must lie in"),
    ],
)
def test_bad_input_is_refused(logits, labels, message):
    with pytest.raises(DataError, match=message):
        WeightedMetrics.of(logits, np.array(labels, dtype=np.int64))
