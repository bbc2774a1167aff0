import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from lesionlens.evaluation.proportions import Lesions, Ratio, clopper_pearson, wilson


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_equal_scipy(n, data, confidence):
    hits = data.draw(st.integers(0, n))
    test = binomtest(hits, n)
    for method, interval in (("wilson", wilson), ("exact", clopper_pearson)):
        expected = test.proportion_ci(confidence, method)
        found = interval(np.array(hits / n), np.array(float(n)), confidence)
        np.testing.assert_allclose(found, (expected.low, expected.high), atol=1e-9)


def test_newcombes_published_interval():
    """Newcombe 1998 (Statistics in Medicine 17:857), table I: 81 of 263."""
    value, n = np.array(81 / 263), np.array(263.0)
    np.testing.assert_allclose(wilson(value, n), (0.2553, 0.3662), atol=5e-5)
    np.testing.assert_allclose(clopper_pearson(value, n), (0.2527, 0.3676), atol=5e-5)


def column(values):
    return np.array(values, dtype=float)[:, None]


def test_twelve_of_twelve_is_not_certain():
    ratio = Ratio.of(column([1] * 12), column([1] * 12))
    low, high = ratio.bounds()
    assert low[0] == pytest.approx(0.7353, abs=1e-4)
    assert high[0] == 1


def test_images_of_lesions_that_are_alike_count_once():
    """20 lesions of 5 images each, all right or all wrong: 20 independent cases."""
    hits = column([5] * 14 + [0] * 6)
    ratio = Ratio.of(hits, column([5] * 20))
    assert ratio.effective[0] == pytest.approx(20)
    independent = Ratio.of(column([1] * 14 + [0] * 6), column([1] * 20))
    np.testing.assert_allclose(ratio.bounds(), independent.bounds())


def test_design_effect_by_hand():
    hits, cases = column([2, 1, 0, 1]), column([2, 2, 2, 2])
    ratio = Ratio.of(hits, cases)  # p = 1/2; residuals 1, 0, -1, 0; variance 4/3 * 2 / 64
    assert ratio.effective[0] == pytest.approx(0.25 / (4 / 3 * 2 / 64))
    np.testing.assert_allclose(ratio.influence[:, 0], np.array([1, 0, -1, 0]) / 8)


def test_without_cases_everything_is_possible():
    ratio = Ratio.of(column([0, 0]), column([0, 0]))
    assert np.isnan(ratio.value[0])
    np.testing.assert_array_equal(ratio.bounds(), [[0], [1]])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=2, max_size=60), st.randoms())
def test_bounds_hold_the_value_in_any_order(lesions, random):
    cases, hits = (np.array(column, dtype=float) for column in zip(*[(n, min(n, k)) for n, k in lesions], strict=True))
    ratio = Ratio.of(hits[:, None], cases[:, None])
    low, high = ratio.bounds()
    assert 0 <= low[0] <= ratio.value[0] + 1e-12
    assert ratio.value[0] - 1e-12 <= high[0] <= 1
    assert low[0] < high[0]
    assert 0 < ratio.effective[0] <= cases.sum() + 1e-9
    order = random.sample(range(len(cases)), len(cases))
    shuffled = Ratio.of(hits[order, None], cases[order, None])
    np.testing.assert_allclose(shuffled.bounds(), ratio.bounds())


def test_totals_by_lesion():
    lesions = Lesions.of(np.array(["b", "a", "b", "c"]))
    assert len(lesions) == 3
    np.testing.assert_array_equal(lesions.totals(np.array([1.0, 2, 3, 4])), [2, 4, 4])


@pytest.mark.parametrize(("confidence", "n_lesions", "freedom"), [(0.95, 20, 19), (0.9, 8, 7), (0.95, 7, 6), (0.95, 3, 6)])
def test_students_quantile_takes_the_place_of_the_normal_one(confidence, n_lesions, freedom):
    """Korn & Graubard 1998; `freedom` is never below 6."""
    hits = column([1] * (n_lesions - 1) + [0])
    ratio = Ratio.of(hits, column([2] * n_lesions))
    z, t_ = (distribution.ppf((1 + confidence) / 2) for distribution in (norm, t(freedom)))
    expected = wilson(ratio.value, ratio.effective * (z / t_) ** 2, confidence)
    np.testing.assert_allclose(ratio.bounds(confidence), expected)


def test_lesions_without_cases_do_not_count():
    hits, cases = column([2, 0, 1, 0, 0]), column([2, 0, 2, 0, 3])
    ratio, shown = Ratio.of(hits, cases), Ratio.of(hits[[0, 2, 4]], cases[[0, 2, 4]])
    assert ratio.n_lesions[0] == shown.n_lesions[0] == 3
    assert ratio.effective[0] == pytest.approx(shown.effective[0])
    np.testing.assert_allclose(ratio.bounds(), shown.bounds())


def test_columns_do_not_mix():
    """No case, one hit of one, one miss of one, some of four, all of four, none of four."""
    hits = np.array([[0, 1, 0, 1, 2, 0], [0, 0, 0, 0, 2, 0]], dtype=float)
    cases = np.array([[0, 1, 1, 2, 2, 2], [0, 0, 0, 2, 2, 2]], dtype=float)
    ratio = Ratio.of(hits, cases)
    np.testing.assert_array_equal(ratio.value, [np.nan, 1, 0, 0.25, 1, 0])
    np.testing.assert_array_equal(ratio.is_extreme, [True, True, True, False, True, True])
    low, high = ratio.bounds()
    np.testing.assert_allclose(low[[0, 1, 2, 4, 5]], [0, 0.025, 0, 0.025**0.5, 0])  # 2 independent cases in the last two
    np.testing.assert_allclose(high[[0, 1, 2, 4, 5]], [1, 1, 0.975, 1, 1 - 0.025**0.5])
    alone = Ratio.of(hits[:, 3:4], cases[:, 3:4])
    np.testing.assert_allclose((low[3], high[3]), np.ravel(alone.bounds()))
    assert 0 < low[3] < 0.25 < high[3] < 1


def test_few_cases_by_hand():
    """p = 1/3, residuals 1/3 and -1/3: the design effect is (2/9 * 2) / (3 * 2/9 * 1) = 2/3, held at 1."""
    assert Ratio.of(column([1, 0]), column([2, 1])).effective[0] == pytest.approx(3)
    one = Ratio.of(column([2]), column([4]))  # one lesion shows no design effect; its images may all be alike
    assert one.effective[0] == pytest.approx(1)
