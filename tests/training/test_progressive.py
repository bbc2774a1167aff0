"""Progressive resizing: the sides of its epochs, what the network sees, and what does not change."""

import pytest
import torch
from tests.training.test_loop import trainer
from torch import nn

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import TrainingRecipe
from lesionlens.training import progressive
from lesionlens.training.progressive import check_takes, resized, side_of


def sides(size, epochs, progressive):
    recipe = TrainingRecipe(epochs=epochs, warmup_epochs=0, progressive=progressive)
    return [side_of(epoch, size, recipe) for epoch in range(1, epochs + 1)]


def test_sides_grow_to_the_whole_by_two_thirds_of_the_epochs():
    assert sides(224, 9, 0.5) == [128, 160, 160, 192, 192, 224, 224, 224, 224]
    assert sides(224, 3, 1.0) == [224, 224, 224]
    assert sides(96, 1, 0.5) == [64]
    assert sides(40, 4, 0.3) == [32, 32, 32, 40]
    for size, epochs, start in ((384, 30, 0.3), (100, 7, 0.4), (32, 5, 0.3)):
        found = sides(size, epochs, start)
        assert found == sorted(found)
        assert found[-1] == size


@pytest.mark.slow
def test_the_network_sees_smaller_images_and_then_whole_ones(artifacts, monkeypatch):
    monkeypatch.setattr(progressive, "STEP", 8)  # the images of the tests are small
    made = trainer(artifacts, {"progressive": 0.5, "epochs": 3}, model={"name": "mobilenetv2_050"})
    seen = []
    made.state.network.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape[2:])))
    size = artifacts.recipe.input.size
    for epoch in (1, 2, 3):
        made.train(epoch)
    assert set(seen) == {(side_of(epoch, size, made.recipe.training),) * 2 for epoch in (1, 2, 3)}
    assert seen[0] < seen[-1] == (size, size)


def test_off_is_bit_for_bit_what_it_was(artifacts):
    images = torch.randn(2, 3, 32, 32)
    assert resized(images, 32) is images
    torch.testing.assert_close(resized(torch.ones(1, 3, 64, 64), 32), torch.ones(1, 3, 32, 32))


def test_a_network_of_one_size_is_refused_before_training():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 7)).train()
    recipe = TrainingRecipe(progressive=0.5)
    with pytest.raises(RecipeError, match=r"progressive = 0\.5 starts with images of 32x32, which this network does not take"):
        check_takes(network, 64, recipe, torch.device("cpu"))
    assert network.training
    check_takes(network, 64, TrainingRecipe(), torch.device("cpu"))


@pytest.mark.parametrize("value", [0.0, 0.29, 1.1])
def test_out_of_range(value):
    with pytest.raises(RecipeError, match="progressive"):
        TrainingRecipe(progressive=value)
