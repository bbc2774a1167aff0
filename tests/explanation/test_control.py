import numpy as np
import pytest
import torch

from lesionlens.bundle.overlay import enlarge
from lesionlens.core.recipe import ModelRecipe
from lesionlens.explanation.attribution import build_explainer
from lesionlens.explanation.control import centre_map, random_network
from lesionlens.explanation.localisation import localise

RECIPE = ModelRecipe("mobilenetv2_035", weights="/nowhere/never-read.safetensors")


def noise(count: int, size: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(3))


def test_weights_depend_on_the_seed_alone():
    before = torch.get_rng_state()
    first, again, other = (random_network(RECIPE, 7, 64, noise(8), seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_batch_norms_are_fed_so_that_the_signal_survives():
    network = random_network(RECIPE, 7, 64, noise(8), 0)
    assert not network.training
    with torch.no_grad():
        features = network.forward_features(noise(8))
    assert 0.05 < float(features.std()) < 20


@pytest.mark.parametrize("name", ["test_convnext", "test_resnet"])
def test_one_image_is_enough(name):
    network = random_network(ModelRecipe(name), 4, 64, noise(1), 0)
    with torch.no_grad():
        assert network(noise(1)).isfinite().all()


def test_random_weights_score_at_chance_where_lesions_may_lie_anywhere():
    images, random = noise(48), np.random.default_rng(0)
    masks = np.zeros((48, 64, 64), bool)
    masks[:, :24, :32] = True
    masks = np.stack([np.roll(mask, tuple(random.integers(0, 64, 2)), (0, 1)) for mask in masks])
    energies, hits = [], []
    for seed in range(3):
        explained = build_explainer(random_network(RECIPE, 7, 64, images, seed), 64).explain(images, torch.zeros(48).long())
        maps = explained.maps[torch.arange(48), explained.logits.argmax(1)].numpy()
        found = localise(np.stack([enlarge(map_, 64, 64) for map_ in maps]), masks)
        energies.append(found.energy_inside.mean())
        hits.append(found.pointing_game.mean())
    assert np.mean(energies) == pytest.approx(24 * 32 / 64**2, abs=0.05)
    assert np.mean(hits) == pytest.approx(24 * 32 / 64**2, abs=0.12)


def test_centre_map_is_round_and_highest_in_the_middle():
    map_ = centre_map(8)
    assert map_.shape == (8, 8)
    assert np.allclose(map_, map_.T)
    assert np.allclose(map_, map_[::-1])
    assert {tuple(place) for place in np.argwhere(map_ == map_.max()).tolist()} == {(3, 3), (3, 4), (4, 3), (4, 4)}
