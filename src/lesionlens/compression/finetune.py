"""Fine-tuning from a checkpoint: its own recipe, with another number of epochs and another peak rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import Recipe, TrainingRecipe
from lesionlens.evaluation.validate import validator
from lesionlens.training.distributed import World, choose_device
from lesionlens.training.history import Epoch
from lesionlens.training.loop import Progress
from lesionlens.training.run import BEST_FILE, Derivation, TrainingData, train_run

EpochCallback = Callable[[Epoch], None]


def rescheduled(training: TrainingRecipe, epochs: int, learning_rate: float) -> TrainingRecipe:
    """The same training with another number of epochs and another peak rate; warm-up and first and last rate scale with them.

    Early stopping is off, because the schedule is short and must reach its end.

    Args:
        training: the section of the checkpoint's recipe.
        epochs: at least 1.
        learning_rate: the new peak.
    """
    factor = learning_rate / training.learning_rate
    return replace(
        training,
        epochs=epochs,
        learning_rate=learning_rate,
        warmup_epochs=training.warmup_epochs / training.epochs * epochs,
        warmup_learning_rate=min(training.warmup_learning_rate * factor, learning_rate),
        final_learning_rate=min(training.final_learning_rate * factor, learning_rate),
        patience=0,
        learning_rate_scaling="none",  # the new peak is stated for this training
    )


def check_elsewhere(checkpoint: Path, out: Path) -> None:
    """Refuse to overwrite the checkpoint that is being compressed.

    Raises:
        RecipeError: if `out` is its folder.
    """
    if (out / BEST_FILE).resolve() == checkpoint.resolve():
        raise RecipeError(f"{out} holds the checkpoint that is to be compressed and would overwrite it; choose another --out")


def continue_training(
    inputs: TrainingData,
    recipe: Recipe,
    out: Path,
    derivation: Derivation,
    progress: Progress | None,
    on_epoch: EpochCallback | None,
    world: World | None,
) -> Path:
    """Train from the checkpoint or teacher in `derivation`, or resume an earlier call; the best epoch on validation is kept.

    Returns:
        The best.safetensors in `out`.

    Raises:
        LesionLensError: see `training.run.train_run`.
    """
    world = world or World(choose_device())
    for epoch in train_run(inputs, recipe, out, validator(inputs), world=world, progress=progress, derivation=derivation):
        if on_epoch is not None:
            on_epoch(epoch)
    return out / BEST_FILE
