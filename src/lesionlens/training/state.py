"""The state of training, which a resumed run restores."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lesionlens.core.recipe import TrainingRecipe
from lesionlens.training.ema import AveragedNetwork
from lesionlens.training.history import Epoch
from lesionlens.training.optimizer import build_optimizer, rate_scale, scaled_rates
from lesionlens.training.precision import avoid_slow_bf16, build_scaler, resolve_precision
from lesionlens.training.schedule import build_schedule


@dataclass
class TrainingState:
    """A network in training.

    Attributes:
        network: the network, on its device.
        optimizer: over its trainable parameters.
        schedule: of the learning rate, one step per optimiser step.
        scaler: of the loss; passes through unless the format is fp16.
        averaged: the averaged weights; None without `ema_decay`.
        precision: number format of the forward pass.
        history: the finished epochs.
    """

    network: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    scaler: torch.amp.GradScaler
    averaged: AveragedNetwork | None
    precision: str
    history: list[Epoch] = field(default_factory=list)

    @property
    def inference_network(self) -> nn.Module:
        """The network that is validated and saved: the averaged one if there is one."""
        return self.averaged.network if self.averaged is not None else self.network

    @property
    def learning_rate(self) -> float:
        """Rate of the next step; that of the head, if the layers learn at different rates."""
        group = max(self.optimizer.param_groups, key=rate_scale)
        return float(group["lr"]) / rate_scale(group)


def build_state(network: nn.Module, recipe: TrainingRecipe, steps_per_epoch: int, device: torch.device) -> TrainingState:
    """Move `network` to `device` and build its optimiser, schedule, scaler and average.

    Raises:
        RecipeError: if the device does not support the precision.
    """
    recipe = scaled_rates(recipe)
    precision = resolve_precision(recipe.precision, device)
    network.to(device)
    if recipe.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    avoid_slow_bf16(network, device, precision)
    optimizer = build_optimizer(network, recipe)
    return TrainingState(
        network=network,
        optimizer=optimizer,
        schedule=build_schedule(optimizer, recipe, steps_per_epoch),
        scaler=build_scaler(device, precision),
        averaged=AveragedNetwork(network, recipe.ema_decay) if recipe.ema_decay else None,
        precision=precision,
    )
