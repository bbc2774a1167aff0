"""What the two guarantees are worth: their failures over resampled validation splits."""

import numpy as np
import pytest
from scipy.stats import binom

from lesionlens.assessment.decisions.cases import Cases
from lesionlens.assessment.decisions.guarantees import fit_both, guarantees
from lesionlens.assessment.decisions.settings import DecisionSettings
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.calibration import softmax
from lesionlens.export.decision_fit import Guarantee, fit_decision, lowest_by_lesion, pac_misses

MEL, SENSITIVITY = HAM10000.index("mel"), 0.95
SPLITS = 400


@pytest.fixture(scope="module")
def melanomas():
    """Photographs of 20,000 melanomas in melanoma probability, 1.8 each: the population whose sensitivity is the truth."""
    random = np.random.default_rng(0)
    photographs = 1 + random.poisson(0.8, 20000)
    lesions = np.repeat(np.arange(20000), photographs)
    logits = 0.8 + random.standard_normal(20000)[lesions] + random.standard_normal(len(lesions))
    return 1 / (1 + np.exp(-logits)), lesions


def probabilities(shares):
    found = np.zeros((len(shares), 7))
    found[:, MEL], found[:, HAM10000.index("nv")] = shares, 1 - shares
    return found


def failures(melanomas, guarantee, n_lesions, by_lesion):
    """Resampled validation splits whose threshold detects fewer than 95 % of all melanomas (or of their photographs)."""
    shares, lesions = melanomas
    starts = np.searchsorted(lesions, np.arange(20001))
    scores = np.where(shares >= 0.5, 1.0, shares)  # called melanoma, or its probability
    truth = lowest_by_lesion(scores, lesions) if by_lesion else scores
    random, failed = np.random.default_rng(1), 0
    for _ in range(SPLITS):
        drawn = random.choice(20000, n_lesions, replace=False)
        rows = np.concatenate([np.arange(starts[lesion], starts[lesion + 1]) for lesion in drawn])
        ids = lesions[rows].astype(str)
        decision = fit_decision(probabilities(shares[rows]), np.full(len(rows), MEL), ids, HAM10000, SENSITIVITY, guarantee)
        failed += (truth >= decision.threshold).mean() < SENSITIVITY
    return failed


@pytest.fixture(autouse=True)
def without_metrics(monkeypatch):
    """The metrics on validation are not looked at here, and take most of the time."""
    monkeypatch.setattr("lesionlens.export.decision_fit.decision_metrics", lambda *_: {})


@pytest.mark.slow
@pytest.mark.parametrize("n_lesions", [61, 150])
@pytest.mark.parametrize("delta", [0.05, 0.1])
def test_pac_fails_in_at_most_delta_of_the_splits(melanomas, n_lesions, delta):
    failed = failures(melanomas, Guarantee("pac", delta), n_lesions, by_lesion=True)
    assert failed <= binom.ppf(0.995, SPLITS, delta)


def test_pac_is_not_wasteful(melanomas):
    """150 lesions allow 3 misses; the rule fails in nearly P(Binomial(150, 0.05) <= 3) of the splits, not in far fewer."""
    failed = failures(melanomas, Guarantee("pac", 0.1), 150, by_lesion=True)
    expected = binom.cdf(pac_misses(150, SENSITIVITY, 0.1), 150, 1 - SENSITIVITY)
    low, high = binom.ppf([0.005, 0.995], SPLITS, expected)
    assert low <= failed <= high


def test_the_average_guarantee_fails_in_many_splits(melanomas):
    failed = failures(melanomas, Guarantee("expectation"), 61, by_lesion=False)
    assert 0.25 <= failed / SPLITS <= 0.55


@pytest.mark.parametrize(
    ("count", "delta", "misses"), [(58, 0.05, -1), (59, 0.05, 0), (93, 0.05, 1), (92, 0.05, 0), (45, 0.1, 0)]
)
def test_misses_by_the_tables_of_wilks(count, delta, misses):
    assert pac_misses(count, 0.95, delta) == misses


def test_both_side_by_side(draw, monkeypatch):
    monkeypatch.undo()
    validation, test = draw(1500, split="validation"), draw(700)
    settings = DecisionSettings(guarantee=Guarantee("pac", 0.1))
    cases = [Cases.of(softmax(each.logits), each.labels, each.lesion_ids, HAM10000) for each in (validation, test)]
    decisions = fit_both(cases[0], settings)
    assert decisions["pac"].threshold < decisions["expectation"].threshold
    found = guarantees(decisions, cases[1], settings, 0.95)
    assert found["stated"] == "pac"
    assert found["rules"]["pac"]["promise"] == "at least 95 % in all but 10 % of validation splits"
    for rule in found["rules"].values():
        assert rule["test"]["lesion_sensitivity"]["value"] <= rule["test"]["sensitivity"]["value"] + 0.05
    more, fewer = (found["rules"][kind]["test"]["not_sure"]["value"] for kind in ("pac", "expectation"))
    assert more >= fewer


def test_too_few_lesions_say_how_many_it_takes(draw, monkeypatch):
    monkeypatch.undo()
    validation, test = draw(300, split="validation"), draw(300)
    cases = [Cases.of(softmax(each.logits), each.labels, each.lesion_ids, HAM10000) for each in (validation, test)]
    found = guarantees(fit_both(cases[0], DecisionSettings()), cases[1], DecisionSettings(), 0.95)
    assert "are too few for a sensitivity of 0.95; it takes 59" in found["rules"]["pac"]["reason"]
    assert found["rules"]["pac"]["test"] is None


def test_no_melanoma_to_test_on(draw, monkeypatch):
    monkeypatch.undo()
    validation, test = draw(1000, split="validation"), draw(100, shares=[1, 1, 1, 1, 0, 1, 1])
    cases = [Cases.of(softmax(each.logits), each.labels, each.lesion_ids, HAM10000) for each in (validation, test)]
    found = guarantees(fit_both(cases[0], DecisionSettings()), cases[1], DecisionSettings(), 0.95)
    assert found["rules"]["expectation"]["reason"] == "no image of melanoma in the test split"
