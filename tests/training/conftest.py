"""A small run on the synthetic images, shared by the tests of training."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lesionlens.augment.offline import plan_training
from lesionlens.core.recipe import AugmentationRecipe, InputRecipe, ModelRecipe, Recipe, SplitRecipe, TrainingRecipe
from lesionlens.data.image import input_spec
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split
from lesionlens.data.store import pack
from lesionlens.training.distributed import World
from lesionlens.training.run import TrainingData

# test_convnext has LayerNorm and drop path; lr is high so that weights move in a few steps
RECIPE = Recipe(
    name="test",
    input=InputRecipe(size=32, frame=40),
    split=SplitRecipe(validation=0.2, test=0.2),
    augmentation=AugmentationRecipe(offline_fill=0.3),
    model=ModelRecipe(name="test_convnext", weights="none", drop_path_rate=0.2, drop_rate=0.1),
    training=TrainingRecipe(
        epochs=4,
        batch_size=16,
        learning_rate=1e-3,
        warmup_learning_rate=1e-4,
        warmup_epochs=1.0,
        ema_decay=0.9,
        precision="fp32",
    ),
)


def changed(recipe=RECIPE, **sections):
    """The recipe with some keys of some sections changed: changed(training={"epochs": 2})."""
    return replace(recipe, **{name: replace(getattr(recipe, name), **keys) for name, keys in sections.items()})


def first_epochs(epochs, stop_after=None):
    """The epochs of a training that is left after some of them, as a caller may; all by default."""
    done = []
    for epoch in epochs:
        done.append(epoch)
        if len(done) == stop_after:
            break
    epochs.close()
    return done


def by_size(network, spec):
    """Validation metrics that depend on the weights, without looking at images."""
    size = sum(float(parameter.detach().abs().mean()) for parameter in network.parameters())
    return {"loss": size, "accuracy": 0.5, "balanced_accuracy": 1 / (1 + size), "macro_f1": 0.5}


@pytest.fixture(scope="session")
def artifacts(synthetic_root, tmp_path_factory):
    """Index, split, plan and store of the recipe above, and the names of this file."""
    index = read_source(synthetic_root)
    split = make_split(index, RECIPE.split)
    store = pack(index, input_spec(RECIPE.input), tmp_path_factory.mktemp("training") / "store")
    inputs = TrainingData(index, split, store, plan_training(index, split, RECIPE))
    world = World(torch.device("cpu"))
    return SimpleNamespace(inputs=inputs, recipe=RECIPE, changed=changed, world=world, validate=by_size)
