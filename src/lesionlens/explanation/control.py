"""Controls that maps must outperform: untrained networks, a blob at the centre, the map of another image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.core.seeds import derive_seed
from lesionlens.models.build import build_network

CENTRE_SHARE = 1 / 4  # standard deviation of the central blob, as a share of the image's side


def random_network(recipe: ModelRecipe, n_classes: int, size: int, images: Tensor, seed: int) -> nn.Module:
    """The same architecture with random weights, as at the start of training without pretraining.

    This is the sanity check of Adebayo 2018 (section 3.1, all layers at once). The statistics of
    batch norms are measured on `images`; with the initial ones the signal would fade out.

    Args:
        recipe: that of the trained network; its weights are not read.
        n_classes: number of diagnoses.
        size: side of the input, pixels.
        images: a normalised batch, (N, 3, H, W).
        seed: seed of the weights.

    Returns:
        The network in evaluation mode, on the device of `images`.
    """
    with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
        torch.manual_seed(derive_seed("random weights", seed))
        network = build_network(recipe, n_classes, size, pretrained=False).to(images.device)
        norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        if norms and len(images) > 1:
            _measure_statistics(network, norms, images)
    return network.eval()


@torch.no_grad()
def _measure_statistics(network: nn.Module, norms: list[nn.modules.batchnorm._BatchNorm], images: Tensor) -> None:
    network.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batch
    network(images)


def centre_map(size: int) -> np.ndarray:
    """A round blob at the centre, (size, size): the map of a network that always points there."""
    places = (np.arange(size) + 0.5) / size - 0.5
    bell = np.exp(-0.5 * (places / CENTRE_SHARE) ** 2)
    return np.asarray(bell[:, None] * bell)
