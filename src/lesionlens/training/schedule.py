"""Learning-rate schedules, one step per optimiser step."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from lesionlens.core.recipe import TrainingRecipe
from lesionlens.training.optimizer import rate_scale

SMALLEST_RATE = 1e-12
ONE_STEP = 1.00001


def onecycle(optimizer: Optimizer, recipe: TrainingRecipe, steps_per_epoch: int) -> LRScheduler:
    """torch's OneCycleLR (Smith 2018) with the numbers of table 6 of the paper.

    Cosine from `warmup_learning_rate` up to `learning_rate` over `warmup_epochs`, then cosine down
    to `final_learning_rate`. Momentum is not cycled: the paper states a single beta 1.
    """
    start = max(recipe.warmup_learning_rate, SMALLEST_RATE)
    final = max(recipe.final_learning_rate, SMALLEST_RATE)
    total_steps = max(2, recipe.epochs * steps_per_epoch)
    share = recipe.warmup_epochs / recipe.epochs
    if round(share * total_steps, 6) == 1:  # torch divides by zero if the warm-up is one step
        share = ONE_STEP / total_steps
    return OneCycleLR(
        optimizer,
        max_lr=[recipe.learning_rate * rate_scale(group) for group in optimizer.param_groups],
        total_steps=total_steps,
        pct_start=share,
        div_factor=recipe.learning_rate / start,
        final_div_factor=start / final,
        cycle_momentum=False,
    )


def cosine_factor(step: int, steps: int, warmup_steps: int, first: float, last: float) -> float:
    """Share of the peak rate at `step`: linear from `first`, then half a cosine down to `last`.

    Args:
        step: from 0 to steps - 1.
        steps: number of steps of the run.
        warmup_steps: the step with the full rate.
        first: share at step 0 (if there is a warm-up).
        last: share at the last step.
    """
    if step < warmup_steps:
        return first + (1 - first) * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, steps - 1 - warmup_steps))
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * progress))


def cosine(optimizer: Optimizer, recipe: TrainingRecipe, steps_per_epoch: int) -> LRScheduler:
    """A linear warm-up, then half a cosine (Loshchilov 2017, one period)."""
    steps, warmup = recipe.epochs * steps_per_epoch, round(recipe.warmup_epochs * steps_per_epoch)
    first, last = recipe.warmup_learning_rate / recipe.learning_rate, recipe.final_learning_rate / recipe.learning_rate
    return LambdaLR(optimizer, lambda step: cosine_factor(step, steps, warmup, first, last))


def constant(optimizer: Optimizer, recipe: TrainingRecipe, steps_per_epoch: int) -> LRScheduler:
    """A linear warm-up, then the peak rate; `final_learning_rate` is not used."""
    warmup, first = round(recipe.warmup_epochs * steps_per_epoch), recipe.warmup_learning_rate / recipe.learning_rate
    return LambdaLR(optimizer, lambda step: first + (1 - first) * step / warmup if step < warmup else 1.0)


SCHEDULES = {"onecycle": onecycle, "cosine": cosine, "constant": constant}


def build_schedule(optimizer: Optimizer, recipe: TrainingRecipe, steps_per_epoch: int) -> LRScheduler:
    """The schedule of a recipe; call its `step` once after every step of the optimiser."""
    return SCHEDULES[recipe.schedule](optimizer, recipe, steps_per_epoch)
