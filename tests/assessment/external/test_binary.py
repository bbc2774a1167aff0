import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lesionlens.assessment.external.binary import Cases, detected_by, malignant_metrics, share_interval, watched_metrics
from lesionlens.bundle.decision import Decision
from lesionlens.core.labels import HAM10000, NV, VASC, LabelSet


def made_up(n: int = 600, seed: int = 0, per_lesion: int = 2) -> Cases:
    """Images of melanomas, nevi and squamous cell carcinomas, which the model lacks."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(rng.choice(3, n // per_lesion, p=[0.3, 0.6, 0.1]), per_lesion)
    logits = rng.normal(0, 1, (n, 7))
    logits[:, HAM10000.index("nv")] += 1
    logits[kind == 0, HAM10000.index("mel")] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([HAM10000.index("mel"), HAM10000.index("nv"), -1])[kind]
    clusters = np.repeat([f"L{number}" for number in range(n // per_lesion)], per_lesion)
    return Cases(probabilities, labels, np.isin(kind, [0, 2]), kind == 0, clusters, HAM10000)


FROZEN = Decision(("mel",), 0.95, 0.1)


def test_malignant_against_benign_counts_what_the_model_lacks() -> None:
    cases = made_up()
    metrics = malignant_metrics(cases)
    malignant = np.array(HAM10000.malignant)
    share, called = cases.probabilities[:, malignant].sum(axis=1), malignant[cases.probabilities.argmax(axis=1)]
    assert metrics["auc"]["value"] == pytest.approx(roc_auc_score(cases.malignant, share))
    assert metrics["sensitivity"]["value"] == pytest.approx(called[cases.malignant].mean())
    assert metrics["specificity"]["value"] == pytest.approx((~called)[~cases.malignant].mean())
    assert metrics["n_positive"] == cases.malignant.sum()
    assert metrics["auc"]["low"] < metrics["auc"]["value"] < metrics["auc"]["high"]
    assert metrics["sensitivity"]["method"] == "wilson"


def test_the_frozen_threshold_by_hand() -> None:
    cases = made_up()
    first, mel = cases.probabilities.argmax(axis=1), HAM10000.index("mel")
    detected = (first == mel) | (cases.probabilities[:, mel] >= 0.1)
    assert (detected_by(FROZEN, cases) == detected).all()
    frozen = watched_metrics(cases, FROZEN)["frozen"]
    assert frozen["threshold"] == 0.1
    assert frozen["sensitivity"]["value"] == pytest.approx(detected[cases.watched].mean())
    assert frozen["specificity"]["value"] == pytest.approx((~detected)[~cases.watched].mean())


@pytest.mark.slow
def test_the_refitted_threshold_is_measured_on_lesions_that_it_was_not_chosen_on() -> None:
    """Its sensitivity reaches the target on average over data sets; one measured on its own images would exceed it."""
    values = [watched_metrics(made_up(seed=seed), FROZEN)["refitted"]["sensitivity"]["value"] for seed in range(20)]
    assert np.mean(values) == pytest.approx(0.95, abs=0.015)  # 20 sets of about 180 melanomas


def test_refitting_does_not_depend_on_the_order_of_images() -> None:
    cases = made_up()
    order = np.random.default_rng(1).permutation(len(cases))
    plain, mixed = watched_metrics(cases, FROZEN)["refitted"], watched_metrics(cases.take(order), FROZEN)["refitted"]
    assert plain["threshold"] == mixed["threshold"]
    assert plain["sensitivity"]["count"] == mixed["sensitivity"]["count"]


def test_without_a_threshold_the_reason_is_given() -> None:
    cases = made_up()
    unset = Decision(("mel",), 0.95, None, "too few melanomas to choose one")
    assert watched_metrics(cases, unset)["frozen"] == {"reason": "too few melanomas to choose one"}
    assert watched_metrics(cases, None)["frozen"] == {"reason": "no threshold was fixed"}


def test_too_few_melanomas_to_refit() -> None:
    cases = made_up(40)
    refitted = watched_metrics(cases, FROZEN)["refitted"]
    assert "among these images are too few" in refitted["reason"]
    assert refitted.keys() == {"reason"}


def test_no_melanoma_at_all_gives_reasons_and_no_number() -> None:
    cases = made_up()
    cases = cases.take(~cases.watched)
    metrics = watched_metrics(cases, FROZEN)
    assert metrics["auc"] == {"value": None, "low": None, "high": None, "reason": "no images of one side"}
    assert metrics["frozen"]["sensitivity"]["value"] is None
    assert metrics["frozen"]["sensitivity"]["reason"] == "no images"


def test_a_model_without_malignant_diagnoses() -> None:
    benign = LabelSet("benign", (NV, VASC))
    cases = Cases(np.full((2, 2), 0.5), np.array([0, 1]), np.zeros(2, bool), np.zeros(2, bool), np.array(["a", "b"]), benign)
    assert malignant_metrics(cases) == {"reason": "the model's diagnoses are all of one malignancy"}
    assert watched_metrics(cases, None) == {"reason": "none of the model's diagnoses is malignant"}


def test_few_lesions_have_a_count_and_no_interval() -> None:
    hits = np.array([True] * 12)
    share = share_interval(hits, hits, np.array([f"L{n}" for n in range(12)]))
    assert share == {
        "value": 1.0,
        "low": None,
        "high": None,
        "reason": "12 lesions; an interval needs 20",
        "count": 12,
        "of": 12,
    }
