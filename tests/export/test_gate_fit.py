import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.bundle.gate import CHECKS, DISTANCE, PHOTOGRAPH, Gate, unit_length
from lesionlens.bundle.quality import BRIGHTNESS, CLIPPED, SHARPNESS
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.export.gate_fit import (
    PENALTY,
    SHARES,
    TrainingFeatures,
    _eigen,
    choose_thresholds,
    fit_gate,
    fit_gaussian,
    fit_photograph_score,
    ledoit_wolf_shrinkage,
    smallest_side,
)


def draw_features(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Positive features with unequal spread, as pooled activations have."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(count, width)) * np.geomspace(1, 0.05, width) @ random.normal(size=(width, width)) / width**0.5
    return np.abs(1 + 0.3 * mixed).astype(np.float32)


def draw_measures(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        SHARPNESS: np.exp(random.normal(3.5, 0.8, count)),
        BRIGHTNESS: random.normal(157, 20, count),
        CLIPPED: np.where(random.uniform(size=count) < 0.8, 0, random.uniform(size=count)),
        DISTANCE: np.exp(random.normal(7, 0.5, count)),
        PHOTOGRAPH: random.normal(-8, 2, count),
    }


@pytest.mark.parametrize(("count", "width"), [(200, 12), (40, 40), (15, 60), (2, 8), (500, 3)])
def test_shrinkage_is_scikit_learns(count, width):
    from sklearn.covariance import ledoit_wolf_shrinkage as reference

    centred = draw_features(count, width).astype(float)
    centred -= centred.mean(axis=0)
    found = ledoit_wolf_shrinkage(centred, _eigen(centred)[0])
    assert found == pytest.approx(reference(centred, assume_centered=True), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("count", "width"), [(300, 20), (30, 50), (10, 64)])
def test_distances_with_all_directions_are_scikit_learns(count, width):
    """Few images or many: the low-rank form loses nothing when every direction is kept."""
    from sklearn.covariance import LedoitWolf

    known, new = draw_features(count, width), draw_features(40, width, seed=1)
    gaussian, shrinkage = fit_gaussian(known, directions=width)
    reference = LedoitWolf().fit(unit_length(known).astype(float))
    assert shrinkage == pytest.approx(reference.shrinkage_, rel=1e-6)
    wanted = reference.mahalanobis(unit_length(new).astype(float))
    np.testing.assert_allclose(gaussian.distance(new), wanted, rtol=2e-3)  # float32 features and directions


def test_left_out_directions_share_their_mean_variance():
    known = draw_features(400, 30)
    gaussian, _ = fit_gaussian(known, directions=5)
    whole, _ = fit_gaussian(known, directions=30)
    assert gaussian.directions.shape == (30, 5)
    np.testing.assert_allclose(gaussian.spreads, whole.spreads[:5])
    assert gaussian.rest**2 == pytest.approx(np.square(whole.spreads[5:].astype(float)).mean(), rel=1e-5)


def test_strange_features_are_far():
    known = draw_features(300, 40)
    gaussian, _ = fit_gaussian(known)
    strange = np.abs(np.random.default_rng(9).normal(size=(50, 40))).astype(np.float32)
    assert gaussian.distance(strange).min() > 5 * gaussian.distance(draw_features(200, 40)).max()


@pytest.mark.parametrize("known", [np.ones((1, 8)), np.ones((5, 8)), np.zeros((3, 8)), np.eye(8)[:2]])
def test_nothing_to_learn_from_is_no_crash(known):
    gaussian, shrinkage = fit_gaussian(known.astype(np.float32))
    assert 0 <= shrinkage <= 1
    found = gaussian.distance(np.random.default_rng(0).uniform(size=(4, 8)).astype(np.float32))
    assert np.isfinite(found).all()


@given(exponent=st.integers(-30, 30))
def test_the_scale_of_features_does_not_matter(exponent):
    known = draw_features(100, 10)
    scaled = (known.astype(np.float64) * 10.0**exponent).astype(np.float32)
    one, other = (fit_gaussian(features)[0].distance(features) for features in (known, scaled))
    np.testing.assert_allclose(one, other, rtol=2e-3)


@pytest.mark.parametrize("bad", [np.zeros((0, 4)), np.zeros(4), np.full((3, 4), np.nan), np.full((3, 4), np.inf)])
def test_bad_features_are_refused(bad):
    with pytest.raises(DataError, match="a gate needs"):
        fit_gaussian(bad)


@given(count=st.integers(1, 400), rate=st.floats(0.0001, 0.2), seed=st.integers(0, 99))
def test_all_checks_together_keep_to_the_rate(count, rate, seed):
    measures = draw_measures(count, seed)
    thresholds, allowed = choose_thresholds(measures, rate)
    rejected = np.zeros(count, dtype=bool)
    for code in SHARES:
        values = measures[CHECKS[code].measure]
        fails = np.array([CHECKS[code].fails(value, thresholds[code]) for value in values])
        assert fails.sum() <= allowed[code]
        rejected |= fails
    assert rejected.sum() <= rate * count + 1e-6


def test_the_rate_is_used_up_as_it_is_shared():
    count = 2000
    measures = draw_measures(count)
    thresholds, allowed = choose_thresholds(measures, 0.02)
    for code, share in SHARES.items():  # a little more than its share of 40, where images fail twice
        assert allowed[code] in range(round(40 * share), round(48 * share) + 1), code
    assert (measures[DISTANCE] > thresholds["not_dermoscopic"]).sum() == allowed["not_dermoscopic"]
    assert (measures[SHARPNESS] < thresholds["blurred"]).sum() == allowed["blurred"]


def test_where_no_image_may_be_rejected_there_is_a_margin():
    measures = {SHARPNESS: np.array([2.0, 4, 8]), BRIGHTNESS: np.array([100.0, 150, 160])}
    measures |= {CLIPPED: np.zeros(3), DISTANCE: np.array([10.0, 20, 40])}
    thresholds, allowed = choose_thresholds(measures, 0.02)
    assert set(allowed.values()) == {0}
    assert thresholds["too_dark"] == 75  # 100 - (150 - 100) / 2
    assert thresholds["too_bright"] == 165
    assert thresholds["clipped"] == 0
    assert thresholds["blurred"] == pytest.approx(2 / 2**0.5)
    assert thresholds["not_dermoscopic"] == pytest.approx(40 * 2**0.5)


def test_order_of_images_does_not_matter():
    measures = draw_measures(300)
    order = np.random.default_rng(3).permutation(300)
    assert choose_thresholds(measures, 0.05) == choose_thresholds(
        {name: values[order] for name, values in measures.items()}, 0.05
    )


def test_small_images():
    assert smallest_side(384, np.array([450.0, 600])) == 192
    assert smallest_side(385, np.array([450.0])) == 193
    assert smallest_side(512, np.array([224.0, 300])) == 224  # the user's own images are that small
    assert smallest_side(384, None) == 0
    assert smallest_side(384, np.array([])) == 0


def test_a_gate_says_what_it_does_to_its_own_images():
    validation = draw_measures(500)
    found = draw_features(500, 16, seed=2)
    of_pixels = {k: v for k, v in validation.items() if k not in (DISTANCE, PHOTOGRAPH)}
    learnt_from = TrainingFeatures(draw_features(200, 16), draw_features(9, 16, seed=6), draw_features(60, 16, seed=3)[:, ::-1])
    fitted = fit_gate(learnt_from, of_pixels, found, 96, 0.05)
    told = fitted.facts["validation"]
    assert told["n_images"] == 500
    assert 15 <= told["rejected_by_any"] <= 25
    assert told["share_rejected"] == told["rejected_by_any"] / 500
    assert told["rejected"]["too_small"] == 0
    assert fitted.facts["thresholds"].keys() == CHECKS.keys()
    assert fitted.facts["fitted"]["n_images"] == 200
    assert 0.03 < told["expected_at_most"] < 0.08
    assert fitted.facts["fitted"]["n_other_tone"] == 9
    assert fitted.facts["fitted"]["n_photographs"] == 60
    gate = Gate(fitted.gaussian, fitted.facts["thresholds"], fitted.photographs)
    like_photographs = gate.photographs.score(found) > gate.thresholds["no_dermatoscope"]
    assert like_photographs.sum() == told["rejected"]["no_dermatoscope"]
    far = gate.gaussian.distance(found) > gate.thresholds["not_dermoscopic"]
    assert far.sum() == told["rejected"]["not_dermoscopic"]


@pytest.mark.parametrize("rate", [0, -0.1, 0.21, 1, float("nan")])
def test_a_rate_out_of_range(rate):
    with pytest.raises(RecipeError, match="rejection rate"):
        fit_gate(TrainingFeatures(draw_features(10, 4)), {}, draw_features(10, 4), 96, rate)


@pytest.mark.parametrize("found", [np.zeros((0, 4), np.float32), np.full((2, 4), np.nan, np.float32)])
def test_no_sound_validation_images(found):
    with pytest.raises(DataError, match="validation images"):
        fit_gate(TrainingFeatures(draw_features(10, 4)), {}, found, 96)


def test_blur_and_darkness_are_chosen_on_dark_skin():
    measures = draw_measures(2000)
    dark = {name: values * 0.4 for name, values in measures.items()}
    plain, shifted = choose_thresholds(measures, 0.05)[0], choose_thresholds(measures, 0.05, dark)[0]
    assert shifted["too_dark"] == pytest.approx(0.4 * plain["too_dark"], rel=0.1)
    assert shifted["blurred"] == pytest.approx(0.4 * plain["blurred"], rel=0.3)
    assert shifted["too_bright"] == pytest.approx(plain["too_bright"], rel=0.05)
    refused = [float((dark[BRIGHTNESS] < thresholds["too_dark"]).mean()) for thresholds in (plain, shifted)]
    assert refused[0] > 0.9
    assert refused[1] < 0.05


def test_photographs_are_told_apart_as_scikit_learn_would():
    from sklearn.linear_model import LogisticRegression

    known, photographs = draw_features(200, 12), draw_features(80, 12, seed=4)[:, ::-1]
    found = fit_photograph_score(known, photographs)
    features = unit_length(np.concatenate([known, photographs])).astype(float)
    reference = LogisticRegression(C=1 / PENALTY, tol=1e-9, max_iter=5000).fit(features, [0] * 200 + [1] * 80)
    new = draw_features(50, 12, seed=5)
    np.testing.assert_allclose(
        found.score(new), reference.decision_function(unit_length(new).astype(float)), atol=2e-4
    )  # float32


def test_without_photographs_that_check_is_left_out():
    of_pixels = {k: v for k, v in draw_measures(50).items() if k not in (DISTANCE, PHOTOGRAPH)}
    fitted = fit_gate(TrainingFeatures(draw_features(40, 8)), of_pixels, draw_features(50, 8, seed=2), 96)
    assert fitted.photographs is None
    assert fitted.facts["thresholds"].keys() == CHECKS.keys() - {"no_dermatoscope"}
    assert sum(fitted.facts["shares"].values()) == pytest.approx(1)


def test_photographs_without_sound_features():
    with pytest.raises(DataError, match="3 photographs; a gate needs both"):
        fit_photograph_score(draw_features(10, 4), np.full((3, 4), np.nan, np.float32))
