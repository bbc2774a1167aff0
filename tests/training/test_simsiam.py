"""SimSiam: its loss by hand, where gradients stop, and how collapse is measured."""

import pytest
import torch

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.build import build_network
from lesionlens.training.simsiam import COLLAPSED_STD, SimSiam, alikeness, effective_rank, relative_std


@pytest.fixture
def siamese():
    torch.manual_seed(0)
    return SimSiam(build_network(ModelRecipe("test_convnext", weights="none"), 2, 32), 64)


def test_the_loss_is_symmetric_and_bounded(siamese):
    first, second = torch.randn(2, 8, 3, 32, 32)
    siamese.train()
    loss, projections = siamese(first, second)
    assert projections.shape == (16, 64)
    assert not projections.requires_grad
    assert -1 <= loss.item() <= 1
    assert siamese(second, first)[0].item() == pytest.approx(loss.item(), abs=1e-5)


def test_no_gradient_runs_through_the_target():
    predicted, target = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    alikeness(predicted, target).backward()
    assert predicted.grad is not None
    assert target.grad is None


def test_the_classifier_does_not_learn(siamese):
    siamese.train()
    siamese(*torch.randn(2, 8, 3, 32, 32))[0].backward()
    assert siamese.network.get_classifier().weight.grad is None
    learning = [name for name, value in siamese.named_parameters() if value.requires_grad]
    assert all(dict(siamese.named_parameters())[name].grad is not None for name in learning)


def test_the_spread_of_directions():
    torch.manual_seed(0)
    everywhere = torch.randn(2000, 32)
    assert relative_std(everywhere) == pytest.approx(1.0, abs=0.03)
    assert relative_std(7 * everywhere) == pytest.approx(relative_std(everywhere))
    assert relative_std(everywhere + 100) < COLLAPSED_STD
    assert relative_std(torch.ones(5, 3)) == 0.0


def test_the_effective_rank():
    torch.manual_seed(0)
    narrow = torch.randn(500, 3) @ torch.randn(3, 32)
    assert 1 < effective_rank(narrow) <= 3
    assert effective_rank(torch.randn(2000, 16)) == pytest.approx(16, abs=0.2)
    assert effective_rank(torch.full((9, 4), 2.5)) == 0.0
