"""A student follows a teacher."""

from dataclasses import replace

import pytest
import torch

from lesionlens.compression.distill import distill, student_recipe
from lesionlens.compression.finetune import rescheduled
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import CheckpointError, ModelError
from lesionlens.core.labels import ISIC2019
from lesionlens.core.recipe import CompressionRecipe, ModelRecipe, TrainingRecipe
from lesionlens.training.checkpoint import load_network, save_network
from lesionlens.training.distributed import World

CPU = World(torch.device("cpu"))
QUICK = CompressionRecipe(student="test_resnet", student_epochs=2)


@pytest.fixture(scope="module")
def taught(parent, tmp_path_factory):
    """A folder of a student, and the epochs it was on_epoch of."""
    out, epochs = tmp_path_factory.mktemp("distilled"), []
    distill(parent.checkpoint, parent.inputs, QUICK, out, on_epoch=epochs.append, world=CPU)
    return out, epochs


@pytest.mark.slow
def test_a_student_is_a_normal_checkpoint(parent, taught):
    out, epochs = taught
    network, info = load_network(out / "best.safetensors")
    assert type(network).__name__ == "ResNet"
    assert info.recipe.model == ModelRecipe("test_resnet", "none")
    assert info.spec == parent.info.spec
    assert (info.channel_pruned, info.split_hash) == (False, parent.info.split_hash)
    assert info.derived["by"] == "distilled"
    assert info.derived["parent"] == hash_file(parent.checkpoint)
    assert len(epochs) == 2
    assert epochs[1].training_loss < epochs[0].training_loss


@pytest.mark.slow
def test_the_teacher_makes_a_difference(parent, taught, tmp_path):
    epochs = []
    distill(
        parent.checkpoint, parent.inputs, replace(QUICK, distillation_weight=0.0), tmp_path, on_epoch=epochs.append, world=CPU
    )
    assert epochs[0].training_loss != pytest.approx(taught[1][0].training_loss, rel=1e-3)


@pytest.mark.slow
def test_a_student_of_another_teacher_does_not_go_on(parent, taught, tmp_path):
    other = tmp_path / "other.safetensors"
    save_network(parent.network, replace(parent.info, epoch=9), other)
    with pytest.raises(CheckpointError, match="parent is"):
        distill(other, parent.inputs, QUICK, taught[0], world=CPU)


def test_an_unknown_student_names_near_ones(parent, tmp_path):
    with pytest.raises(ModelError, match="timm knows no network 'convnext_ato'; near are convnext_atto"):
        distill(parent.checkpoint, parent.inputs, replace(QUICK, student="convnext_ato"), tmp_path, world=CPU)
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_of_other_diagnoses_is_refused(parent, tmp_path):
    network = parent.network
    save_network(network, replace(parent.info, labels=ISIC2019), tmp_path / "teacher.safetensors")
    with pytest.raises(CheckpointError):
        distill(tmp_path / "teacher.safetensors", parent.inputs, QUICK, tmp_path / "out", world=CPU)
    codes = replace(parent.info.labels, diagnoses=tuple(reversed(parent.info.labels.diagnoses)))
    save_network(network, replace(parent.info, labels=codes), tmp_path / "teacher.safetensors")
    with pytest.raises(CheckpointError, match="diagnoses must be the same"):
        distill(tmp_path / "teacher.safetensors", parent.inputs, QUICK, tmp_path / "out", world=CPU)


def test_the_schedule_keeps_its_shape():
    training = TrainingRecipe(epochs=100, learning_rate=5e-5, warmup_epochs=30, warmup_learning_rate=5e-6, patience=7)
    short = rescheduled(training, 10, 1e-3)
    assert (short.epochs, short.learning_rate, short.warmup_epochs, short.patience) == (10, 1e-3, 3.0, 0)
    assert short.warmup_learning_rate == pytest.approx(1e-4)
    assert (
        replace(
            short,
            **{name: getattr(training, name) for name in ("epochs", "learning_rate", "patience")},
            warmup_epochs=30,
            warmup_learning_rate=5e-6,
        )
        == training
    )


def test_a_student_has_the_teachers_input(parent):
    recipe = student_recipe(parent.info.recipe, QUICK)
    assert recipe.input == parent.info.recipe.input
    assert recipe.augmentation == parent.info.recipe.augmentation
    assert recipe.seed == parent.info.recipe.seed
