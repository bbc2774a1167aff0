"""Parity with the official scorer of the ISIC challenges, and the cases that it sets to 1."""

import io

import numpy as np
import pytest

from lesionlens.assessment.external.official import (
    PER_CATEGORY,
    area_above_sensitivity,
    balanced_multiclass_accuracy,
    official_metrics,
)
from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000, MEL, NV, LabelSet

COLUMNS = {"akiec": "AKIEC", "bcc": "BCC", "bkl": "BKL", "df": "DF", "mel": "MEL", "nv": "NV", "vasc": "VASC"}
SAME = 1e-12  # both compute in double precision, in another order of additions

# The scorer is of 2022; pandas has renamed applymap since. Nothing of it reaches our own code.
pytestmark = pytest.mark.filterwarnings("ignore:DataFrame.applymap has been deprecated:FutureWarning")


def official(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    scorer = pytest.importorskip("isic_challenge_scoring.classification")
    truth, predicted = table(np.eye(len(COLUMNS))[labels]), table(probabilities)
    score = scorer.ClassificationScore.from_stream(
        io.StringIO(truth), io.StringIO(predicted), scorer.ClassificationMetric.BALANCED_ACCURACY
    )
    return score.to_dict(rocs=False)


def table(rows: np.ndarray) -> str:
    lines = [f"ISIC_{number:07d}," + ",".join(repr(float(value)) for value in row) for number, row in enumerate(rows)]
    return "\n".join([",".join(["image", *COLUMNS.values()]), *lines, ""])


def cases(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(7), rng.integers(0, 7, 213)])
    logits = rng.normal(0, 2, (len(labels), 7))
    logits[np.arange(len(labels)), labels] += {"random": 0, "good": 3, "tied": 2, "rounded": 2}[kind]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if kind == "rounded":
        probabilities = np.round(probabilities, 1)  # many equal scores, and ties for the first choice
    if kind == "tied":
        probabilities = np.where(rng.random((len(labels), 1)) < 0.5, 1 / 7, probabilities)
    return probabilities, labels


@pytest.mark.parametrize("kind", ["random", "good", "tied", "rounded"])
@pytest.mark.parametrize("seed", range(5))
def test_every_metric_is_that_of_the_official_scorer(kind: str, seed: int) -> None:
    probabilities, labels = cases(kind, seed)
    own, theirs = official_metrics(probabilities, labels, HAM10000), official(probabilities, labels)
    assert set(theirs["per_category"]) == set(PER_CATEGORY)
    for name, by_column in theirs["per_category"].items():
        for code, column in COLUMNS.items():
            assert own["per_category"][code][name] == pytest.approx(by_column[column], abs=SAME), (name, code)
        assert own["macro_average"][name] == pytest.approx(theirs["macro_average"][name], abs=SAME)
    assert own["aggregate"]["balanced_accuracy"] == pytest.approx(theirs["aggregate"]["balanced_accuracy"], abs=SAME)
    assert own["aggregate"]["balanced_accuracy"] == pytest.approx(theirs["overall"], abs=SAME)
    assert own["reasons"] == {}


def test_a_tie_for_the_first_choice_is_wrong() -> None:
    probabilities = np.array([[0.5, 0.5], [0.2, 0.8]])
    assert balanced_multiclass_accuracy(probabilities, np.array([0, 1])) == 0.5


def test_area_above_a_sensitivity_by_hand() -> None:
    truth = np.array([True, False, True, False])
    scores = np.array([0.9, 0.8, 0.7, 0.6])  # points (0, 0), (0, .5), (.5, .5), (.5, 1), (1, 1)
    assert area_above_sensitivity(truth, scores, 0.8) == pytest.approx(0.5)
    assert area_above_sensitivity(truth, np.array([0.9, 0.1, 0.8, 0.2]), 0.8) == pytest.approx(1.0)
    assert area_above_sensitivity(truth, np.full(4, 0.5), 0.8) == pytest.approx(0.2 * (0.8 + 1) / 2)  # the diagonal from 0.8 on


def test_what_cannot_be_computed_has_a_reason() -> None:
    scores = official_metrics(
        np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0]]), np.array([0, 1]), LabelSet("x", HAM10000.diagnoses[:3])
    )
    assert scores["per_category"]["bkl"]["auc"] is None
    assert scores["per_category"]["bkl"]["auc_sens_80"] is None
    assert scores["reasons"] == {"bkl": "no images of this diagnosis"}
    assert scores["set_to_one"] == {"sensitivity": ["bkl"], "dice": ["bkl"], "ppv": ["bkl"]}
    assert scores["macro_average"]["auc"] == 1.0


def test_images_of_one_diagnosis_only() -> None:
    scores = official_metrics(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0]), LabelSet("two", (MEL, NV)))
    assert scores["reasons"] == {"mel": "all images are on one side", "nv": "no images of this diagnosis"}
    assert scores["macro_average"]["auc"] is None


def test_shapes_that_do_not_match() -> None:
    with pytest.raises(DataError, match="must be"):
        official_metrics(np.zeros((2, 2)), np.array([0]), LabelSet("two", (MEL, NV)))
