"""The loss against torch's own, against numbers written out, and by its properties."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from lesionlens.core.errors import TrainingError
from lesionlens.core.recipe import TrainingRecipe
from lesionlens.training.loss import Loss, effective_weights, inverse_weights, log_prior, one_hot, smooth

HAM10000 = np.array([327, 514, 1099, 115, 1113, 6705, 142])


def recipe(**changes):
    return TrainingRecipe(**{"label_smoothing": 0.0, **changes})


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("class_weights", ["none", "inverse", "effective"])
def test_hard_labels_equal_torch(epsilon, class_weights):
    torch.manual_seed(0)
    logits, labels = torch.randn(64, 7), torch.randint(0, 7, (64,))
    ours = Loss(recipe(label_smoothing=epsilon, class_weights=class_weights), HAM10000)
    weight = None if class_weights == "none" else ours.weights
    expected = functional.cross_entropy(logits, labels, weight, label_smoothing=epsilon)
    torch.testing.assert_close(ours(logits, one_hot(labels, 7)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 0.1])
def test_mixed_targets_equal_torch(epsilon):
    torch.manual_seed(0)
    logits, targets = torch.randn(32, 7), torch.rand(32, 7).softmax(1)
    expected = functional.cross_entropy(logits, targets, label_smoothing=epsilon)
    torch.testing.assert_close(Loss(recipe(label_smoothing=epsilon), HAM10000)(logits, targets), expected)


@pytest.mark.parametrize(("gamma", "expected"), [(2.0, 0.0089257), (1.0, 0.0446287), (0.5, 0.0997929)])
def test_focal_by_hand(gamma, expected):
    # p = (0.8, 0.2), label 0: -(1 - 0.8)^gamma ln 0.8, and -ln 0.8 = 0.2231436
    logits = torch.log(torch.tensor([[0.8, 0.2]]))
    loss = Loss(recipe(loss="focal", focal_gamma=gamma), np.array([1, 1]))
    assert float(loss(logits, torch.tensor([[1.0, 0.0]]))) == pytest.approx(expected, rel=1e-4)


def test_focal_without_focus_is_cross_entropy():
    logits, targets = torch.randn(8, 7), torch.rand(8, 7).softmax(1)
    focal = Loss(recipe(loss="focal", focal_gamma=0.0), HAM10000)
    torch.testing.assert_close(focal(logits, targets), Loss(recipe(), HAM10000)(logits, targets))


def test_focal_has_a_gradient_where_the_network_is_sure():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    Loss(recipe(loss="focal", focal_gamma=0.5), np.array([1, 1]))(logits, torch.tensor([[1.0, 0.0]])).backward()
    assert torch.isfinite(logits.grad).all()


def test_smoothing_by_hand():
    assert smooth(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), 0.1).tolist() == [pytest.approx([0.925, 0.025, 0.025, 0.025])]


def test_logit_adjustment_by_hand():
    # shares 0.75 and 0.25, tau 1, equal logits: -ln 0.25 for the rare class
    loss = Loss(recipe(logit_adjustment=1.0), np.array([3, 1]))
    assert float(loss(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))) == pytest.approx(np.log(4))
    assert float(loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))) == pytest.approx(-np.log(0.75))


def test_logit_adjustment_of_an_even_feed_changes_nothing():
    logits, targets = torch.randn(8, 7), torch.rand(8, 7).softmax(1)
    adjusted = Loss(recipe(logit_adjustment=1.0), np.full(7, 50.0))
    torch.testing.assert_close(adjusted(logits, targets), Loss(recipe(), HAM10000)(logits, targets))


def test_inverse_weights_equal_scikit_learn():
    labels = np.repeat(np.arange(7), HAM10000)
    expected = compute_class_weight("balanced", classes=np.arange(7), y=labels)
    np.testing.assert_allclose(inverse_weights(HAM10000), expected)


def test_inverse_weights_by_hand():
    # 4 images, 2 classes present: 4 / (2 * 1) and 4 / (2 * 3); one image is enough to count
    np.testing.assert_allclose(inverse_weights(np.array([1, 0, 3])), [2, 0, 2 / 3])


def test_effective_weights_by_hand():
    # b = 0.5: (1 - 0.5) / (1 - 0.5^1) = 1 and 0.5 / (1 - 0.25) = 2/3; scaled to add up to 2: 1.2 and 0.8
    np.testing.assert_allclose(effective_weights(np.array([1, 2]), 0.5), [1.2, 0.8])


@pytest.mark.parametrize("weigh", [inverse_weights, effective_weights])
def test_an_absent_class_has_no_weight(weigh):
    weights = weigh(np.array([5, 0, 10]))
    assert weights[1] == 0
    assert np.isfinite(weights).all()


def test_an_absent_class_does_not_make_the_prior_infinite():
    assert np.isfinite(log_prior(np.array([5, 0]))).all()


@given(counts=st.lists(st.integers(0, 5000), min_size=1, max_size=9))
def test_the_prior_is_a_distribution_in_proportion_to_the_images(counts):
    prior = np.exp(log_prior(np.array(counts)))
    assert prior.sum() == pytest.approx(1)
    np.testing.assert_allclose(prior * np.maximum(counts, 1).sum(), np.maximum(counts, 1))


def test_weights_and_prior_are_no_part_of_a_checkpoint():
    assert Loss(recipe(class_weights="inverse", logit_adjustment=1.0), HAM10000).state_dict() == {}


def test_no_image_is_an_error():
    with pytest.raises(TrainingError, match="no image"):
        Loss(recipe(), np.zeros(7))


def test_bf16_logits_are_computed_in_float32():
    logits, targets = torch.randn(8, 7).bfloat16(), torch.rand(8, 7).softmax(1)
    loss = Loss(recipe(), HAM10000)
    assert loss(logits, targets).dtype == torch.float32
    assert float(loss(logits, targets)) == float(loss(logits.float(), targets))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(["cross_entropy", "focal"]), cut=st.integers(1, 15))
def test_parts_of_a_batch_add_up(seed, kind, cut):
    torch.manual_seed(seed)
    logits, targets = torch.randn(16, 7), torch.rand(16, 7).softmax(1)
    loss = Loss(recipe(loss=kind, class_weights="inverse", label_smoothing=0.1), HAM10000)
    halves = [(logits[:cut], targets[:cut]), (logits[cut:], targets[cut:])]
    total = sum(loss.total(*half) for half in halves) / sum(loss.weight(half[1]) for half in halves)
    torch.testing.assert_close(total, loss(logits, targets), rtol=1e-4, atol=1e-5)
