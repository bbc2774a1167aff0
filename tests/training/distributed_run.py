"""One process of a distributed run: started by torchrun from test_distributed.py."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.training.conftest import by_size, changed

from lesionlens.augment.offline import plan_training
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split
from lesionlens.data.store import Store
from lesionlens.training.distributed import join_world
from lesionlens.training.run import TrainingData, train_run

UNDROPPED = {"drop_rate": 0.0, "drop_path_rate": 0.0}  # every process drops its own units
TWO = {"epochs": 2}
RECIPES = {
    "mixed": changed(
        augmentation={"mixup_p": 0.5, "cutmix_p": 0.4, "random_erasing_p": 0.5, "randaugment": "rand-m5"},
        model={**UNDROPPED, "metadata": ("age", "sex", "site")},
        training={
            "epochs": 2,
            "class_weights": "inverse",
            "accumulate": 2,
            "batch_size": 9,
            "optimizer": "sgd",
            "ema_decay": 0.5,
        },
    ),
    "adjusted": changed(
        augmentation={"mixup_p": 0.9, "cutmix_p": 0.1, "originals": True, "offline_pixels": "fresh"},
        model=UNDROPPED,
        training={
            **TWO,
            **{"logit_adjustment": 1.0, "accumulate": 3, "batch_size": 7, "ema_decay": 0.9, "clip_norm": 0.5},
            **{"loss": "focal", "class_weights": "effective", "optimizer": "adamw"},
        },
    ),
    "balanced": changed(
        augmentation={"mixup_p": 0.0, "cutmix_p": 0.9},
        model=UNDROPPED,
        training={
            "epochs": 2,
            "sampler": "balanced",
            "logit_adjustment": 0.5,
            "batch_size": 5,
            "optimizer": "sgd",
            "ema_decay": 0.0,
        },
    ),
}


def main(root: Path, store: Path, out: Path, name: str) -> None:
    torch.set_num_threads(1)
    recipe, index = RECIPES[name], read_source(root)
    split = make_split(index, recipe.split)
    inputs = TrainingData(index, split, Store.open(store), plan_training(index, split, recipe))
    with join_world("cpu") as world:
        assert world.share({"rank": world.rank, "none": None}) == {"rank": 0, "none": None}
        assert float(world.sum(torch.tensor(float(world.rank + 1)))) == (3.0 if world.size == 2 else 1.0)
        for epoch in train_run(inputs, recipe, out, by_size, world=world):
            print(f"rank {world.rank} of {world.size} epoch {epoch.epoch} loss {epoch.training_loss:.6f}", flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), sys.argv[4])
