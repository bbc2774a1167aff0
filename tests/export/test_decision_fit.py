import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from lesionlens.bundle.decision import Decision
from lesionlens.core.errors import RecipeError
from lesionlens.core.labels import HAM10000, Diagnosis, LabelSet
from lesionlens.export.decision_fit import Guarantee, allowed_misses, decision_metrics, fit_decision, minimum_lesions

MEL, NV = HAM10000.index("mel"), HAM10000.index("nv")
TWO = LabelSet("two", (Diagnosis("benign", "Benign", False), Diagnosis("cancer", "Cancer", True)))


def of_melanoma(shares: np.ndarray) -> np.ndarray:
    """Probabilities (N, 7) with only melanoma and nevus."""
    found = np.zeros((len(shares), 7))
    found[:, MEL], found[:, NV] = shares, 1 - shares
    return found


def lesions(count: int) -> np.ndarray:
    return np.array([f"l{number}" for number in range(count)])


@pytest.mark.parametrize(
    ("count", "sensitivity", "misses"),
    [(18, 0.95, -1), (19, 0.95, 0), (38, 0.95, 0), (39, 0.95, 1), (111, 0.95, 4), (9, 0.9, 0), (8, 0.9, -1), (99, 0.99, 0)],
)
def test_allowed_misses_by_hand(count, sensitivity, misses):
    assert allowed_misses(count, sensitivity) == misses
    assert (allowed_misses(count, sensitivity) >= 0) == (count >= minimum_lesions(sensitivity))


def test_the_order_statistic_by_hand():
    shares = np.concatenate([np.linspace(0.01, 0.39, 39), np.full(5, 0.002)])
    truth = np.array([MEL] * 39 + [NV] * 5)
    decision = fit_decision(of_melanoma(shares), truth, lesions(44), HAM10000)
    assert decision.threshold == 0.02  # the second smallest: one of 39 may be missed
    assert decision.validation["n_watched"] == 39
    assert decision.validation["sensitivity"]["value"] == pytest.approx(38 / 39)
    assert decision.validation["not_sure"]["value"] == pytest.approx(38 / 44)
    assert decision.validation["accuracy_answered"]["value"] == pytest.approx(5 / 6)


def test_melanomas_that_are_called_count_as_found():
    shares = np.array([0.9] * 38 + [0.05, 0.2])
    decision = fit_decision(of_melanoma(shares), np.full(40, MEL), lesions(40), HAM10000)
    assert decision.threshold == 0.2
    assert decision.validation["called"]["value"] == pytest.approx(38 / 40)
    assert decision.validation["sensitivity"]["value"] == pytest.approx(39 / 40)


def test_a_perfect_network_is_never_unsure():
    decision = fit_decision(of_melanoma(np.full(40, 1.0)), np.full(40, MEL), lesions(40), HAM10000)
    assert decision.threshold == 1
    assert decision.validation["not_sure"]["value"] == 0


@pytest.mark.slow
@given(seed=st.integers(0, 1000), count=st.integers(19, 120), sensitivity=st.sampled_from([0.8, 0.9, 0.95]))
def test_it_is_the_largest_threshold_that_will_do(seed, count, sensitivity):
    shares = np.round(np.random.default_rng(seed).uniform(size=count), 4)
    p, truth = of_melanoma(shares), np.full(count, MEL)
    decision = fit_decision(p, truth, lesions(count), HAM10000, sensitivity)

    def misses(threshold: float) -> int:
        other = Decision(("mel",), sensitivity, threshold)
        return int((~other.unsure(p, HAM10000) & (p.argmax(axis=1) != MEL)).sum())

    assert misses(decision.threshold) <= allowed_misses(count, sensitivity)
    if decision.threshold < 0.5:  # a larger one would miss more, or as many where two are alike
        assert misses(min(1.0, decision.threshold + 2e-4)) > allowed_misses(count, sensitivity)


@pytest.mark.slow
def test_the_expected_sensitivity_of_new_melanomas_is_reached():
    """Over many draws of a validation split, new melanomas of the same source are found at least as often as asked for."""
    random = np.random.default_rng(0)
    reached = []
    for _ in range(150):
        drawn = random.beta(1, 2, (2, 60))
        decision = fit_decision(of_melanoma(drawn[0]), np.full(60, MEL), lesions(60), HAM10000, 0.9)
        p = of_melanoma(drawn[1])
        reached.append((decision.unsure(p, HAM10000) | (p.argmax(axis=1) == MEL)).mean())
    assert np.mean(reached) >= 0.9 - 0.005


def test_too_few_melanomas_give_no_threshold():
    decision = fit_decision(of_melanoma(np.full(18, 0.3)), np.full(18, MEL), lesions(18), HAM10000)
    assert decision.threshold is None
    assert (
        decision.reason == "18 lesions with melanoma in the validation split are too few for a sensitivity of 0.95; it takes 19"
    )


def test_lesions_count_not_images():
    decision = fit_decision(of_melanoma(np.full(40, 0.3)), np.full(40, MEL), np.repeat(lesions(10), 4), HAM10000)
    assert decision.threshold is None
    assert decision.validation == {"split": "validation", "n_watched": 40, "n_lesions": 10}


def test_no_melanoma_at_all():
    decision = fit_decision(of_melanoma(np.full(30, 0.3)), np.full(30, NV), lesions(30), HAM10000)
    assert decision.threshold is None
    assert decision.reason.startswith("0 lesions")


def test_label_sets_without_melanoma_watch_what_is_malignant():
    p = np.array([[0.7, 0.3]] * 40)
    decision = fit_decision(p, np.array([1] * 30 + [0] * 10), lesions(40), TWO)
    assert decision.watched == ("cancer",)
    assert decision.threshold == 0.3
    benign = LabelSet("benign", (Diagnosis("a", "A", False), Diagnosis("b", "B", False)))
    none = fit_decision(p, np.zeros(40, int), lesions(40), benign)
    assert (none.threshold, none.reason) == (None, "none of its diagnoses is malignant")


@pytest.mark.parametrize("sensitivity", [0, 0.4, 1, 1.5, float("nan")])
def test_a_sensitivity_out_of_range(sensitivity):
    with pytest.raises(RecipeError, match="melanoma sensitivity"):
        fit_decision(of_melanoma(np.full(30, 0.3)), np.full(30, MEL), lesions(30), HAM10000, sensitivity)


def test_float32_of_the_runtime_stays_on_the_same_side():
    shares = np.array([0.123456789] * 40)
    decision = fit_decision(of_melanoma(shares), np.full(40, MEL), lesions(40), HAM10000)
    assert decision.threshold == 0.1234
    assert decision.unsure(of_melanoma(shares).astype(np.float32) - np.float32(5e-6), HAM10000).all()


def test_metrics_of_images_with_nothing_answered():
    found = decision_metrics(Decision(("mel",), 0.95, 0.0), of_melanoma(np.full(4, 0.1)), np.full(4, NV), lesions(4), HAM10000)
    assert found["not_sure"]["value"] == 1
    assert found["accuracy_answered"] == {"value": None, "low": None, "high": None}
    assert found["sensitivity"]["value"] is None


def test_pac_counts_lesions_and_takes_the_lowest_of_their_images():
    shares = np.concatenate([np.repeat(np.linspace(0.02, 0.4, 60), 2), np.full(10, 0.001)])
    shares[1] = 0.015  # the second image of the first lesion
    truth = np.array([MEL] * 120 + [NV] * 10)
    ids = np.concatenate([np.repeat(lesions(60), 2), np.array([f"n{number}" for number in range(10)])])
    decision = fit_decision(of_melanoma(shares), truth, ids, HAM10000, 0.95, Guarantee("pac", 0.05))
    assert decision.threshold == 0.015  # 60 lesions allow no miss
    assert (decision.guarantee, decision.delta) == ("pac", 0.05)


@pytest.mark.parametrize(("count", "enough"), [(58, False), (59, True)])
def test_pac_needs_59_lesions_for_95_percent(count, enough):
    decision = fit_decision(
        of_melanoma(np.full(count, 0.3)), np.full(count, MEL), lesions(count), HAM10000, 0.95, Guarantee("pac")
    )
    assert (decision.threshold is not None) == enough
    assert (decision.reason == "") == enough
    assert decision.guarantee == "pac"
    if not enough:
        assert (
            decision.reason
            == "58 lesions with melanoma in the validation split are too few for a sensitivity of 0.95; it takes 59"
        )


@pytest.mark.parametrize("sensitivity", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("delta", [0.01, 0.05, 0.2])
def test_pac_misses_are_the_largest_that_the_binomial_allows(sensitivity, delta):
    for count in (1, 20, 59, 100, 500):
        misses = Guarantee("pac", delta).misses(count, sensitivity)
        assert misses < 0 or binom.cdf(misses, count, 1 - sensitivity) <= delta + 1e-9
        assert binom.cdf(misses + 1, count, 1 - sensitivity) > delta
        assert (misses >= 0) == (count >= Guarantee("pac", delta).fewest_lesions(sensitivity))


def test_the_default_is_todays_rule():
    shares = np.linspace(0.01, 0.39, 39)
    given = (of_melanoma(shares), np.full(39, MEL), lesions(39), HAM10000)
    assert fit_decision(*given) == fit_decision(*given, 0.95, Guarantee("expectation"))
    assert fit_decision(*given).delta is None
