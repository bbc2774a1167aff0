"""Distillation: a smaller network learns from the labels and from a trained one (Hinton 2015)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lesionlens.compression.finetune import EpochCallback, check_elsewhere, continue_training, rescheduled
from lesionlens.core.artifact import hash_file
from lesionlens.core.recipe import CompressionRecipe, ModelRecipe, Recipe
from lesionlens.evaluation.evaluate import check_belongs
from lesionlens.training.checkpoint import load_network
from lesionlens.training.distill import Teacher
from lesionlens.training.distributed import World
from lesionlens.training.loop import Progress
from lesionlens.training.run import Derivation, TrainingData


def student_recipe(teacher: Recipe, recipe: CompressionRecipe) -> Recipe:
    """The student's recipe: that of the teacher with another network, number of epochs, peak rate and name.

    The input is the teacher's, so that both see the same pixels; drop rates are 0, and all layers learn at one rate.
    """
    told = {name: getattr(teacher.model, name) for name in ("metadata", "metadata_dropout")}
    return replace(
        teacher,
        name=f"{teacher.name} distilled",
        model=ModelRecipe(name=recipe.student, weights=recipe.student_weights, **told),
        training=replace(rescheduled(teacher.training, recipe.student_epochs, recipe.student_learning_rate), layer_decay=1.0),
        compression=recipe,
    )


def distill(
    teacher_checkpoint: Path,
    inputs: TrainingData,
    recipe: CompressionRecipe,
    out: Path,
    progress: Progress | None = None,
    *,
    on_epoch: EpochCallback | None = None,
    world: World | None = None,
) -> Path:
    """Train a smaller network on the labels and on the predictions of a trained network.

    The loss is (1 - w) times the recipe's own plus w times T^2 KL(teacher || student), see
    `training.distill`. Teacher and student see the same augmented and mixed pixels. The best epoch
    on the validation split is kept; after an interruption, the same call resumes after the last whole epoch.

    Args:
        teacher_checkpoint: best.safetensors of a run.
        inputs: the teacher's training data.
        recipe: student, student_weights, student_epochs, student_learning_rate,
            distillation_temperature and distillation_weight (0: labels alone) are used.
        out: folder for best.safetensors, last.safetensors and history.jsonl.
        progress: called with the number of images of each batch, epochs x len(inputs.plan) in all.
        on_epoch: called with each finished epoch.
        world: the device; the best available one by default.

    Returns:
        The student's best.safetensors.

    Raises:
        CheckpointError: if the teacher belongs to another split, other pixels or other diagnoses, or
            `out` holds another run.
        ModelError: if timm does not know the student.
        WeightsError: if its weights are not available.
        RecipeError: if `out` is the teacher's own folder.
        TrainingError: if the loss becomes NaN or infinite.
    """
    check_elsewhere(teacher_checkpoint, out)
    network, info = load_network(teacher_checkpoint)
    resolved = student_recipe(info.recipe, recipe)
    check_belongs(teacher_checkpoint, info, inputs)
    weight = recipe.distillation_weight
    settings = {"distillation_temperature": recipe.distillation_temperature, "distillation_weight": weight}
    derived = {"by": "distilled", "parent": hash_file(teacher_checkpoint), **settings}
    teacher = Teacher(network, recipe.distillation_temperature, weight) if weight > 0 else None
    return continue_training(inputs, resolved, out, Derivation(derived, info.spec, teacher=teacher), progress, on_epoch, world)
