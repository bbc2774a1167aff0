"""The optimisers of a recipe."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from lesionlens.core.recipe import TrainingRecipe

BETA2 = 0.999
EPSILON = 1e-8


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters in two groups: with weight decay, and without (biases and norms).

    Parameters of one dimension are biases, norm scales or layer scales, as in timm and nanoGPT.
    """
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in trainable if parameter.ndim > 1]
    others = [parameter for parameter in trainable if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _adamw(groups: list[dict[str, Any]], recipe: TrainingRecipe) -> Optimizer:
    return torch.optim.AdamW(groups, recipe.learning_rate, betas=(recipe.beta1, BETA2), eps=EPSILON, fused=True)


def _adam(groups: list[dict[str, Any]], recipe: TrainingRecipe) -> Optimizer:
    return torch.optim.Adam(groups, recipe.learning_rate, betas=(recipe.beta1, BETA2), eps=EPSILON, fused=True)


def _nadam(groups: list[dict[str, Any]], recipe: TrainingRecipe) -> Optimizer:
    return torch.optim.NAdam(groups, recipe.learning_rate, betas=(recipe.beta1, BETA2), eps=EPSILON, foreach=True)


def _sgd(groups: list[dict[str, Any]], recipe: TrainingRecipe) -> Optimizer:
    nesterov = recipe.beta1 > 0
    return torch.optim.SGD(groups, recipe.learning_rate, momentum=recipe.beta1, nesterov=nesterov, fused=True)


OPTIMIZERS = {"adamw": _adamw, "adam": _adam, "nadam": _nadam, "sgd": _sgd}


def build_optimizer(network: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    """The optimiser of a recipe over the trainable parameters of `network`.

    AdamW decouples the decay (Loshchilov 2019); Adam and NAdam add it to the gradient, as table 14
    of the paper implies; SGD uses Nesterov momentum `beta1`. Fused kernels update all tensors in
    one pass; NAdam has none and uses the foreach implementation.
    """
    return OPTIMIZERS[recipe.optimizer](parameter_groups(network, recipe.weight_decay), recipe)
