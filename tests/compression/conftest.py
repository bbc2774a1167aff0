"""What the untrained run of all tests was made from, ready to be trained on."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from lesionlens.augment.offline import plan_training
from lesionlens.data.index import read_index
from lesionlens.data.split import read_split
from lesionlens.data.store import Store
from lesionlens.training.checkpoint import CheckpointInfo, load_network
from lesionlens.training.distributed import World
from lesionlens.training.run import TrainingData

CPU = World(torch.device("cpu"))


@dataclass(frozen=True)
class Parent:
    """A checkpoint to compress, and the artifacts it belongs to."""

    checkpoint: Path
    network: torch.nn.Module
    info: CheckpointInfo
    inputs: TrainingData


@pytest.fixture(scope="session")
def parent(small_run) -> Parent:
    checkpoint = small_run / "train" / "best.safetensors"
    network, info = load_network(checkpoint)
    index = read_index(small_run / "index.csv")
    split = read_split(small_run / "split.json", index)
    return Parent(
        checkpoint,
        network,
        info,
        TrainingData(index, split, Store.open(small_run / "store"), plan_training(index, split, info.recipe)),
    )
