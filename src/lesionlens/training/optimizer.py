"""The optimizers of a recipe."""

from __future__ import annotations

import math
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import TrainingRecipe
from lesionlens.models.operators import optim

BETA2 = 0.999
EPSILON = 1e-8
RATES = ("learning_rate", "warmup_learning_rate", "final_learning_rate")


def parameter_groups(network: nn.Module, weight_decay: float, on: str = "weights") -> list[dict[str, Any]]:
    """The trainable parameters in two groups: with weight decay, and without.

    Parameters of one dimension are biases, norm scales or layer scales, as in timm and nanoGPT. With `on` = `weights` they
    do not decay, nor do the parameters that the network's own `no_weight_decay` names.

    Args:
        network: a network, of timm or any other.
        weight_decay: of the first group.
        on: `weights`, or `all` for one group of all parameters.
    """
    exempt = exempt_names(network) if on == "weights" else ()
    named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    decays = {name: on == "all" or (parameter.ndim > 1 and not matches(name, exempt)) for name, parameter in named}
    decayed = [parameter for name, parameter in named if decays[name]]
    others = [parameter for name, parameter in named if not decays[name]]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def exempt_names(network: nn.Module) -> tuple[str, ...]:
    """Names, or patterns of names, of the parameters that the network's `no_weight_decay` says must not decay."""
    names = getattr(network, "no_weight_decay", None)
    return tuple(sorted(names())) if callable(names) else ()


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a parameter's name is one of `patterns`, in which `*` stands for anything."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def layer_groups(network: nn.Module, recipe: TrainingRecipe) -> list[dict[str, Any]]:
    """The trainable parameters by layer, each group with its `lr_scale`: timm's own layer-wise decay.

    The head has scale 1, and layer i of n has `layer_decay ** (n - i)` (Clark 2020, ELECTRA; Bao 2021, BEiT).

    Raises:
        RecipeError: if timm does not know the layers of the network.
    """
    if not hasattr(network, "group_matcher"):
        raise RecipeError(
            f"training.layer_decay = {recipe.layer_decay}; it must be 1 for {type(network).__name__}, whose layers are unknown "
            "(it has no group_matcher); choose a network of timm, or leave the key out"
        )
    everything = recipe.weight_decay_on == "all"
    groups: list[dict[str, Any]] = optim().param_groups_layer_decay(
        network,
        weight_decay=recipe.weight_decay,
        no_weight_decay_list=() if everything else exempt_names(network),
        weight_decay_exclude_1d=not everything,
        layer_decay=recipe.layer_decay,
    )
    return [{**group, "lr": recipe.learning_rate * group["lr_scale"]} for group in groups]


def scaled_rates(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe with the learning rates that its batch size asks for; see `training.learning_rate_scaling`.

    The peak is that of timm's `--lr-base`: rate x (images per step / `learning_rate_batch`), or the square root of the ratio.
    timm leaves the first and the last rate as they are; here they scale too, so that the schedule keeps its shape.

    >>> scaled_rates(TrainingRecipe(batch_size=128, learning_rate=1e-3, learning_rate_scaling="linear")).learning_rate
    0.0005
    """
    if recipe.learning_rate_scaling == "none":
        return recipe
    ratio = recipe.batch_size * recipe.accumulate / recipe.learning_rate_batch
    factor = ratio if recipe.learning_rate_scaling == "linear" else math.sqrt(ratio)
    rates = {name: factor * getattr(recipe, name) for name in RATES}
    return replace(recipe, **rates, learning_rate_scaling="none")


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
    """The optimizer of a recipe over the trainable parameters of `network`.

    AdamW decouples the decay (Loshchilov 2019); Adam and NAdam add it to the gradient, as table 14
    of the paper implies; SGD uses Nesterov momentum `beta1`. Fused kernels update all tensors in
    one pass; NAdam has none and uses the foreach implementation.
    """
    if recipe.layer_decay < 1:
        groups = layer_groups(network, recipe)
    else:
        groups = parameter_groups(network, recipe.weight_decay, recipe.weight_decay_on)
    return OPTIMIZERS[recipe.optimizer](groups, recipe)


def rate_scale(group: dict[str, Any]) -> float:
    """Share of the recipe's learning rate that a group of the optimizer learns at."""
    return float(group.get("lr_scale", 1.0))
