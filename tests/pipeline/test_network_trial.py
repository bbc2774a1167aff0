"""Every network takes one training step, gives heat maps and exports to a graph that computes the same."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from lesionlens.core.errors import ModelError, TrainingError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.experiments.grid import load_grid
from lesionlens.pipeline import network_trial
from lesionlens.pipeline.network_trial import trial_size, try_network

pytestmark = pytest.mark.slow  # it trains and exports many networks

NETWORKS = load_grid("networks")
MEASURED = json.loads((Path(__file__).parents[2] / "benchmarks" / "results" / "networks.json").read_text())["networks"]
MOST_PARAMETERS = 30e6  # larger ones take minutes each; benchmarks/networks.py tries them all
TRIED = [
    row
    for row in NETWORKS.rows
    if MEASURED[row.name]["trains_and_exports"] and MEASURED[row.name]["parameters"] <= MOST_PARAMETERS
]
NO_CLOSED_FORM = ("alexnet", "vgg19", "mobilenetv3")
"""Rows whose head has a hidden layer: their maps come from autograd, and their bundles have none."""


def test_a_small_network():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    trial = try_network(ModelRecipe("test_convnext", weights="none"), 64)
    assert torch.rand(1) == expected, "the random state of the caller is kept"
    assert (trial.name, trial.size, trial.heat_map, trial.maps_in_bundle) == ("test_convnext", 64, "grad-cam (closed form)", True)
    assert trial.largest_difference["onnxruntime"].keys() == {"probabilities", "features", "maps"}
    assert 1.5 < trial.loss < 2.5  # ln 7 = 1.95
    json.dumps(trial.to_json())


def test_a_size_that_is_not_taken():
    with pytest.raises(ModelError, match="inception_v3 does not take images of 48 pixels"):
        try_network(ModelRecipe("inception_v3", weights="none"), 48)


def test_sizes_of_a_trial():
    assert trial_size(ModelRecipe("mobilenetv2_035")) == 96
    assert trial_size(ModelRecipe("vit_tiny_patch16_224")) == 224


class Idle(nn.Module):
    """A network with a layer that its logits do not depend on."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.idle, self.fc, self.factor = nn.Linear(2, 2), nn.Linear(3, 7), factor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(images.mean((2, 3))) * self.factor


def test_a_layer_that_is_never_trained_is_named():
    with pytest.raises(ModelError, match=r"idle: 2 parameters do not influence its logits, the first is idle\.weight"):
        network_trial._step(Idle(), torch.randn(4, 3, 8, 8), torch.arange(4), "idle")


def test_a_loss_that_is_not_finite():
    with pytest.raises(TrainingError, match="the loss of its first batch is nan"):
        network_trial._step(Idle(float("nan")), torch.randn(4, 3, 8, 8), torch.arange(4), "idle")


@pytest.mark.parametrize("row", TRIED, ids=lambda row: row.name)
def test_networks_of_the_grid(row):
    model = NETWORKS.recipe(row).model
    trial = try_network(ModelRecipe(model.name, weights="none"))
    assert trial.maps_in_bundle == (row.name not in NO_CLOSED_FORM)
    assert trial.heat_map == ("grad-cam (captum)" if row.name in NO_CLOSED_FORM else "grad-cam (closed form)")
