import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from lesionlens.core.errors import DataError
from lesionlens.evaluation.temperature import HIGHEST, LOWEST, fit_temperature, scaled_loss


def draw(
    seed: int, n_images: int = 200, n_classes: int = 7, skill: float = 1.0, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, n_classes, n_images)
    return scale * (random.normal(size=(n_images, n_classes)) + skill * np.eye(n_classes)[labels]), labels


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0, 15.0])
def test_the_minimum_is_scipys(scale):
    logits, labels = draw(3, scale=scale)
    reference = minimize_scalar(
        lambda log_t: scaled_loss(logits, labels, float(np.exp(log_t))),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-10},
    )
    # A minimiser that compares values finds its place to the root of the machine's precision only.
    assert fit_temperature(logits, labels) == pytest.approx(float(np.exp(reference.x)), rel=1e-5)


def test_by_hand():
    # Two classes, logits (+-1, 0), right in three of four cases: softmax(1 / T) = 3 / 4, so T = 1 / ln 3.
    logits = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert fit_temperature(logits, np.array([0, 0, 1, 1])) == pytest.approx(1 / np.log(3), rel=1e-9)


def test_logits_that_are_log_probabilities_need_none():
    # Cases drawn with just the probabilities that the logits say.
    random = np.random.default_rng(0)
    logits = random.normal(size=(200_000, 3)) * 2
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (p.cumsum(1) < random.random((len(p), 1))).sum(1)
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.02)


@given(seed=st.integers(0, 10_000), factor=st.floats(0.5, 2.0))
def test_stretched_logits_stretch_the_temperature(seed, factor):
    logits, labels = draw(seed, n_images=50)
    plain = fit_temperature(logits, labels)
    if LOWEST * 2 < plain < HIGHEST / 2:
        assert fit_temperature(factor * logits, labels) == pytest.approx(factor * plain, rel=1e-6)


@given(seed=st.integers(0, 10_000), skill=st.floats(-1, 5))
def test_it_never_makes_the_loss_larger(seed, skill):
    logits, labels = draw(seed, n_images=20, skill=skill)
    t = fit_temperature(logits, labels)
    assert LOWEST <= t <= HIGHEST
    assert scaled_loss(logits, labels, t) <= scaled_loss(logits, labels, 1.0) + 1e-12


def test_ends_of_the_range():
    assert fit_temperature(10 * np.eye(3), np.arange(3)) == LOWEST
    assert fit_temperature(10 * np.eye(3), np.array([1, 2, 0])) == HIGHEST
    assert fit_temperature(np.zeros((4, 3)), np.zeros(4, int)) == HIGHEST  # nothing depends on T


@pytest.mark.parametrize(
    ("logits", "labels"),
    [(np.zeros((0, 3)), np.zeros(0, int)), (np.zeros((3, 2)), np.zeros(2, int)), (np.full((1, 2), np.nan), np.zeros(1, int))],
)
def test_bad_input(logits, labels):
    with pytest.raises(DataError):
        fit_temperature(logits, labels)
