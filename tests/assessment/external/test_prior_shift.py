import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.assessment.external.prior_shift import estimated_prior, total_variation
from lesionlens.core.errors import DataError


def drawn(prior: np.ndarray, training: np.ndarray, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Posteriors of three normal classes for a training prior, of images drawn with another one."""
    rng = np.random.default_rng(0)
    labels = rng.choice(3, n, p=prior)
    place = rng.normal(np.array([0.0, 1.5, 3.0])[labels], 1)
    density = np.exp(-((place[:, None] - np.array([0.0, 1.5, 3.0])) ** 2) / 2)
    posterior = density * training
    return posterior / posterior.sum(axis=1, keepdims=True), labels


def test_it_finds_the_prior_that_the_images_were_drawn_with() -> None:
    prior, training = np.array([0.1, 0.3, 0.6]), np.array([0.6, 0.3, 0.1])
    probabilities, labels = drawn(prior, training)
    observed = np.bincount(labels) / len(labels)
    assert estimated_prior(probabilities, training) == pytest.approx(observed, abs=0.015)  # about two standard errors
    assert total_variation(probabilities.mean(axis=0), observed) > 0.2  # the mean probability does not


def test_without_shift_it_stays() -> None:
    training = np.array([0.2, 0.5, 0.3])
    probabilities, _ = drawn(training, training)
    assert estimated_prior(probabilities, training) == pytest.approx(training, abs=0.015)


@pytest.mark.slow
@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.integers(1, 20))
def test_it_is_a_distribution_and_keeps_classes_that_were_not_trained(values: list[float], n: int) -> None:
    training = np.array([*values, 0.0]) / sum(values)
    probabilities = np.random.default_rng(n).dirichlet(np.ones(4), n)
    found = estimated_prior(probabilities, training)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    assert found[3] == 0


def test_total_variation_by_hand() -> None:
    assert total_variation(np.array([0.5, 0.5]), np.array([0.9, 0.1])) == pytest.approx(0.4)


def test_no_images() -> None:
    with pytest.raises(DataError, match="N over 0"):
        estimated_prior(np.zeros((0, 2)), np.array([0.5, 0.5]))
