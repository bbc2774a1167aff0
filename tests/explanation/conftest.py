"""A run folder with an untrained network on synthetic images, for the tests of this package."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_from
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import InputSpec
from lesionlens.data.index import write_index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split, write_split
from lesionlens.data.store import pack
from lesionlens.models.build import build_network
from lesionlens.training.checkpoint import CheckpointInfo, save_network

SPEC = InputSpec(size=64, frame=72, resize="squash", mean=(0.7, 0.5, 0.5), std=(0.2, 0.2, 0.2))


def recipe_of(name: str) -> Recipe:
    return recipe_from(
        {
            "name": "small",
            "seed": 7,
            "input": {"size": SPEC.size, "frame": SPEC.frame},
            "split": {"validation": 0.2, "test": 0.3},
            "model": {"name": name, "weights": "none"},
            "evaluation": {"resamples": 100},
        }
    )


@pytest.fixture(scope="session")
def trained_run(synthetic_root, tmp_path_factory):
    """Index, split, store and checkpoints of two networks, with and without a closed form."""
    folder = tmp_path_factory.mktemp("explained")
    index = read_source(synthetic_root)
    split = make_split(index, recipe_of("test_resnet").split)
    write_index(index, folder / "index.csv")
    write_split(split, folder / "split.json")
    store = pack(index, SPEC, folder / "store")
    checkpoints, networks = {}, {}
    for name in ("test_resnet", "mobilenetv3_small_050"):
        recipe = recipe_of(name)
        torch.manual_seed(0)
        network = build_network(recipe.model, len(index.labels), SPEC.size).eval()
        nn.init.normal_(network.get_classifier().weight, std=0.5)
        info = CheckpointInfo(index.labels, SPEC, recipe, split.hash, "plan", index.hash, split.protocol, split.leaks)
        checkpoints[name], networks[name] = folder / name / "best.safetensors", network
        save_network(network, info, checkpoints[name])
    return SimpleNamespace(
        folder=folder,
        dataset=Dataset(index, split, store),
        index=index,
        split=split,
        store=store,
        spec=SPEC,
        checkpoints=checkpoints,
        networks=networks,
    )


@pytest.fixture(scope="session")
def explained_images(trained_run):
    from lesionlens.explanation.explain import images_to_explain
    from lesionlens.explanation.settings import ExplainSettings

    part = images_to_explain(trained_run.dataset, ExplainSettings())
    assert len(np.unique(part.labels)) > 2
    return part
