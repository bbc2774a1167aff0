import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.core.errors import DataError
from lesionlens.evaluation.ranking import Ranking, auc, average_precision, precision_recall_curve, roc_curve

scored = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda cases: 0 < sum(truth for truth, _ in cases) < len(cases)
)  # few distinct scores: many ties


def arrays(cases):
    truth, scores = zip(*cases, strict=True)
    return np.array(truth), np.array(scores) / 7


@settings(deadline=None, max_examples=50)
@given(scored)
def test_auc_and_curves_equal_scikit_learn(cases):
    truth, scores = arrays(cases)
    assert auc(truth, scores) == pytest.approx(reference.roc_auc_score(truth, scores), abs=1e-12)
    assert average_precision(truth, scores) == pytest.approx(reference.average_precision_score(truth, scores), abs=1e-12)
    roc = roc_curve(truth, scores)
    for ours, theirs in zip(
        (roc.false_positive_rate, roc.true_positive_rate, roc.thresholds), reference.roc_curve(truth, scores), strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    curve = precision_recall_curve(truth, scores)
    for ours, theirs in zip(
        (curve.precision, curve.recall, curve.thresholds), reference.precision_recall_curve(truth, scores), strict=True
    ):
        np.testing.assert_allclose(ours, theirs)


@settings(deadline=None, max_examples=50)
@given(scored, st.integers(0, 1000))
def test_weights_are_repeated_cases(cases, seed):
    truth, scores = arrays(cases)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(truth)))
    got = Ranking.of(truth, scores).auc(weights.astype(float))
    for row, value in zip(weights, got, strict=True):
        repeated = np.repeat(truth, row)
        if repeated.all() or not repeated.any():
            assert np.isnan(value)
        else:
            assert value == pytest.approx(reference.roc_auc_score(repeated, np.repeat(scores, row)), abs=1e-12)


def test_by_hand():
    truth, scores = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.4, 0.1])
    assert auc(truth, scores) == (1 + 1 + 0.5 + 1) / 4
    curve = precision_recall_curve(truth, scores)
    np.testing.assert_allclose(curve.precision, [1 / 2, 2 / 3, 1, 1])
    np.testing.assert_allclose(curve.recall, [1, 1, 1 / 2, 0])


def test_one_sided_cases():
    truth, scores = np.array([True, True]), np.array([0.2, 0.3])
    assert np.isnan(auc(truth, scores))
    assert np.isnan(auc(~truth, scores))
    with pytest.raises(DataError, match="positives and negatives"):
        roc_curve(truth, scores)
    with pytest.raises(DataError, match="needs some"):
        precision_recall_curve(~truth, scores)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="both must be"):
        auc(np.array([True]), np.array([0.1, 0.2]))
    with pytest.raises(DataError, match="must be bool"):
        auc(np.array([0, 1]), np.array([0.1, 0.2]))
