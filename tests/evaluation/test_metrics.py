import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.core.errors import DataError
from lesionlens.evaluation import metrics
from lesionlens.evaluation.metrics import balanced_accuracy, confusion_matrix, count_metrics, validation_metrics

cases = st.integers(2, 6).flatmap(
    lambda k: st.tuples(st.just(k), st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=40))
)


def split_cases(drawn):
    n_classes, pairs = drawn
    labels, predicted = np.array(pairs).T
    return n_classes, labels, predicted


@settings(deadline=None, max_examples=50)
@given(cases)
def test_counts_equal_scikit_learn(drawn):
    n_classes, labels, predicted = split_cases(drawn)
    confusion = confusion_matrix(labels, predicted, n_classes)
    metrics = count_metrics(confusion)
    known = np.unique(labels)  # scikit-learn would also average over classes that are only predicted
    expected = reference.precision_recall_fscore_support(labels, predicted, labels=known, zero_division=0)
    macro = reference.precision_recall_fscore_support(labels, predicted, labels=known, average="macro", zero_division=0)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(labels, predicted, labels=range(n_classes)))
    for name, values, mean in zip(("precision", "recall", "f1"), expected, macro, strict=False):
        np.testing.assert_allclose(metrics[name][known], values, rtol=1e-12)
        np.testing.assert_allclose(metrics[f"macro_{name}"], mean, rtol=1e-12)
    np.testing.assert_allclose(metrics["accuracy"], reference.accuracy_score(labels, predicted), rtol=1e-12)
    np.testing.assert_allclose(
        metrics["balanced_accuracy"], reference.recall_score(labels, predicted, labels=known, average="macro"), rtol=1e-12
    )
    for c in range(n_classes):
        if (labels != c).any():
            expected_specificity = reference.recall_score(labels != c, predicted != c)
            assert metrics["specificity"][c] == pytest.approx(expected_specificity, rel=1e-12)


def test_by_hand():
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    metrics = count_metrics(confusion_matrix(labels, predicted, 3))
    np.testing.assert_allclose(metrics["recall"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(metrics["precision"], [2 / 3, 1 / 3, 0])  # class 2 is never predicted: 0, not undefined
    np.testing.assert_allclose(metrics["specificity"], [2 / 3, 2 / 4, 1])
    np.testing.assert_allclose(metrics["f1"], [2 / 3, 2 / 5, 0])
    assert metrics["accuracy"] == pytest.approx(1 / 2)
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 3)


def test_absent_class_is_left_out_of_the_mean():
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    confusion = confusion_matrix(labels, predicted, 3)
    assert metrics.present(confusion).tolist() == [True, True, False]
    counted = count_metrics(confusion)
    assert counted["macro_recall"] == balanced_accuracy(labels, predicted, 3) == 0.75
    assert counted["macro_precision"] == 1.0
    for name in ("precision", "recall", "f1"):
        assert np.isnan(counted[name][2])
    assert counted["specificity"][2] == 0.75  # one of the four was called class 2
    assert counted["macro_specificity"] == 1.0  # and that is not counted


def test_one_class_alone_has_no_specificity():
    metrics = count_metrics(confusion_matrix(np.array([1, 1]), np.array([1, 0]), 2))
    assert np.isnan(metrics["specificity"][1])
    assert np.isnan(metrics["macro_specificity"])
    assert metrics["macro_recall"] == 0.5


def test_stack_equals_one_by_one():
    random = np.random.default_rng(0)
    stack = random.integers(0, 4, (5, 3, 3))
    together = count_metrics(stack)
    for b, confusion in enumerate(stack):
        for name, value in count_metrics(confusion).items():
            np.testing.assert_array_equal(together[name][b], value)


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [([0, 1], [0], "both must be"), ([], [], "no cases"), ([0, 3], [0, 1], "must lie in"), ([0, 1], [0, -1], "must lie in")],
)
def test_bad_cases_are_refused(labels, predicted, message):
    with pytest.raises(DataError, match=message):
        confusion_matrix(np.array(labels, dtype=np.int64), np.array(predicted, dtype=np.int64), 3)


def test_validation_metrics_by_hand():
    logits = np.log([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [0.5, 0.25, 0.25]])
    metrics = validation_metrics(logits, np.array([0, 1, 1]), 3)
    assert metrics["loss"] == pytest.approx(-(np.log(0.5) + np.log(0.75) + np.log(0.25)) / 3)
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["balanced_accuracy"] == pytest.approx(0.75)
    assert metrics["macro_f1"] == pytest.approx(2 / 3)
    with pytest.raises(DataError, match=r"must be \(2, 3\)"):
        validation_metrics(logits, np.array([0, 1]), 3)
    with pytest.raises(DataError, match="no images"):
        validation_metrics(np.zeros((0, 0)), np.array([]), 3)


# Table 8 of the paper: hits and cases by class, and the printed percentages. The printed precisions
# give the column sums 687 103 105 56 27 15 9, which add up to 1002 as they must; the places of the
# mistakes off the diagonal are not printed, and none of these metrics depends on them.
ORDER = ("nv", "mel", "bkl", "bcc", "akiec", "vasc", "df")
HITS = np.array([664, 92, 99, 51, 25, 14, 9])
CASES = np.array([671, 112, 110, 52, 32, 14, 11])
PRINTED = {
    "precision": [96.65, 89.32, 94.29, 91.07, 92.59, 93.33, 100.0],
    "recall": [98.96, 82.14, 90.0, 98.08, 78.12, 100.0, 81.82],
    "specificity": [93.05, 98.76, 99.33, 99.47, 99.79, 99.9, 100.0],
    "f1": [97.79, 85.58, 92.09, 94.44, 84.75, 96.55, 90.0],  # vasc is misprinted as 99.90
}
TABLE_7 = {"accuracy": 95.21, "macro_precision": 93.89, "macro_recall": 89.87, "macro_specificity": 98.62, "macro_f1": 91.6}
MISTAKES = np.array(
    [
        [0, 7, 0, 0, 0, 0, 0],
        [20, 0, 0, 0, 0, 0, 0],
        [3, 4, 0, 4, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0],
        [0, 0, 6, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 0],
    ]
)


@pytest.fixture(scope="module")
def paper() -> np.ndarray:
    confusion = np.diag(HITS) + MISTAKES
    np.testing.assert_array_equal(confusion.sum(1), CASES)
    np.testing.assert_array_equal(confusion.sum(0), np.round(100 * HITS / PRINTED["precision"]))
    return confusion


@pytest.mark.parametrize("name", PRINTED)
def test_golden_table_8(paper, name):
    np.testing.assert_allclose(100 * count_metrics(paper)[name], PRINTED[name], atol=0.0051)  # printed to 0.01


@pytest.mark.parametrize("name", TABLE_7)
def test_golden_table_7(paper, name):
    assert 100 * count_metrics(paper)[name] == pytest.approx(TABLE_7[name], abs=0.0051)


def test_golden_misprint_of_vasc(paper):
    vasc = ORDER.index("vasc")
    metrics = count_metrics(paper)
    assert 100 * metrics["recall"][vasc] == 100  # printed as accuracy 98.96, the value of nv
    assert 100 * metrics["f1"][vasc] == pytest.approx(96.55, abs=0.005)  # printed as 99.90, its specificity
    assert 100 * metrics["specificity"][vasc] == pytest.approx(99.90, abs=0.005)


def test_accuracy_is_top_1_and_not_all_cells(paper):
    assert metrics.accuracy(paper) == 954 / 1002
    both = np.diag(paper).sum() + 5 * 1002 + 954  # TP + TN summed over the seven one-against-rest tables
    assert both / (7 * 1002) == pytest.approx(0.986, abs=5e-4)  # what the paper's printed formula would give
