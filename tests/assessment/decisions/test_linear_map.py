"""Recalibration maps against a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lesionlens.assessment.decisions.linear_map import RIDGE, LinearMap, dirichlet_map, temperature_map, vector_map
from lesionlens.core.labels import ISIC2017
from lesionlens.evaluation.calibration import log_softmax
from lesionlens.evaluation.temperature import fit_temperature


@pytest.fixture
def split(draw):
    return draw(300, shares=[400, 300, 200, 250, 300, 500, 200], sharpness=1.6)


@pytest.fixture
def three_diagnoses(draw):
    """Few numbers to fit, since the general optimiser estimates its gradient."""
    return draw(200, labels=ISIC2017, shares=[3, 4, 3], sharpness=1.6)


def penalised_loss(log_probabilities, labels, weights, intercepts, penalty):
    """Mean loss of an image plus Kull's penalty, equation 9; diagonals are held near temperature scaling by the ridge."""
    n_classes = len(intercepts)
    logs = log_softmax(log_probabilities @ weights.T + intercepts)
    diagonal = np.diagonal(weights)
    off = np.square(weights).sum() - np.square(diagonal).sum()
    near = np.square(diagonal - 1 / fit_temperature(log_probabilities, labels)).sum() * RIDGE / 2
    penalties = penalty * off / (n_classes * (n_classes - 1)) + penalty * np.square(intercepts).mean()
    return -logs[np.arange(len(labels)), labels].mean() + penalties + near


@pytest.mark.slow
def test_dirichlet_scaling_has_the_loss_of_a_general_optimiser(three_diagnoses):
    logs, labels, k = log_softmax(three_diagnoses.logits), three_diagnoses.labels, 3

    def loss(parameters):
        return penalised_loss(logs, labels, parameters[: k * k].reshape(k, k), parameters[k * k :], 0.1)

    best = minimize(
        loss, np.concatenate([np.eye(k).ravel(), np.zeros(k)]), method="L-BFGS-B", options={"maxiter": 2000, "maxfun": 1e6}
    )
    fitted = dirichlet_map(logs, labels, 0.1)
    ours = penalised_loss(logs, labels, fitted.weights, fitted.intercepts, 0.1)
    assert ours <= best.fun + 1e-6  # L-BFGS stops a little above the minimum of a convex loss


def test_vector_scaling_is_diagonal_and_stationary(split):
    logs, labels = log_softmax(split.logits), split.labels
    fitted = vector_map(logs, labels)
    assert np.count_nonzero(fitted.weights - np.diag(np.diagonal(fitted.weights))) == 0
    residual = np.exp(fitted.log_probabilities(logs)) - np.eye(7)[labels]
    np.testing.assert_allclose(residual.mean(axis=0), 0, atol=5e-4)  # up to the ridge, mean probabilities are the shares


def test_temperature_is_the_bundles(split):
    logs = log_softmax(split.logits)
    fitted = temperature_map(logs, split.labels)
    np.testing.assert_allclose(fitted.weights, np.eye(7) / fit_temperature(split.logits.astype(float), split.labels), rtol=1e-6)


@pytest.mark.parametrize("fit", [vector_map, lambda logs, labels: dirichlet_map(logs, labels, 0.1)], ids=["vector", "dirichlet"])
def test_a_number_added_to_an_images_logits_changes_nothing(split, fit):
    shifted = split.logits + np.random.default_rng(0).normal(size=(len(split), 1))
    first, second = fit(log_softmax(split.logits), split.labels), fit(log_softmax(shifted), split.labels)
    np.testing.assert_allclose(first.weights, second.weights, atol=1e-4)  # float32 logits


def test_a_bias_towards_a_diagnosis_is_undone(draw):
    split = draw(3000, shares=[300] * 7, seed=4)
    biased = log_softmax(split.logits + np.array([0, 0, 2.0, 0, 0, 0, 0]))
    fitted = vector_map(biased, split.labels)
    recovered = fitted.intercepts - fitted.intercepts.mean()
    assert recovered[2] == pytest.approx(-2 + 2 / 7, abs=0.25)


def test_a_large_penalty_gives_temperature_scaling(split):
    logs = log_softmax(split.logits)
    strict = dirichlet_map(logs, split.labels, 1e6)
    off = strict.weights - np.diag(np.diagonal(strict.weights))
    assert np.abs(off).max() < 1e-3
    assert np.abs(strict.intercepts).max() < 1e-3


def test_a_map_by_hand():
    halved = LinearMap(np.eye(2) / 2, np.zeros(2))
    logs = np.log(np.array([[0.9, 0.1]]))
    np.testing.assert_allclose(np.exp(halved.log_probabilities(logs)), [[0.75, 0.25]])  # roots 3 to 1
