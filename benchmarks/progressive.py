"""Progressive resizing: what it saves and what it costs, on the validation split of real images.

    python benchmarks/progressive.py --data HAM10000 --weights WEIGHTS --work FOLDER [--out benchmarks/results/progressive.json]

MobileNetV2 at 128 pixels, from ImageNet weights, trained on a quarter of the training lesions with `training.progressive` at
1 (off) and at 0.5, one seed. Only the validation split is read; the best epochs of both are compared on it, paired by lesion.
Times are those of whole epochs, validation included. FOLDER keeps the runs, so that a run that was stopped resumes. WEIGHTS
holds mobilenetv2_100.imagenet.safetensors.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from future import METRICS, Options, part, recipe_of, shared_run, train_arm
from lesionlens.bundle.benchmark import machine
from lesionlens.core.machine import cores
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split
from lesionlens.evaluation.multiplicity import Hypotheses
from lesionlens.evaluation.predictions import Predictions
from lesionlens.training.distributed import World, choose_device
from lesionlens.training.history import read_history
from lesionlens.training.progressive import side_of
from output import write_or_print
from source_version import commit

SHARE, EPOCHS, SIZE = 0.25, 6, 128
ARMS = {"off": 1.0, "from_half": 0.5}
SETTINGS = (f"input.size={SIZE}", "input.frame=144", f"training.epochs={EPOCHS}")


def trained(options: Options, shared: Run, arm: str) -> tuple[dict[str, Any], Predictions]:
    """The seconds of all epochs, and the validation predictions of the epoch with the lowest validation loss."""
    recipe = recipe_of((*SETTINGS, f"training.progressive={ARMS[arm]}", options.mobilenet))
    run = train_arm(options, shared, arm, recipe)
    history = read_history(run.history)
    predictions = predict_split(run.best, Dataset.of_run(run), PredictionSettings(split="validation", device="cpu"))
    row = {
        "progressive": ARMS[arm],
        "sides": [side_of(epoch, SIZE, recipe.training) for epoch in range(1, EPOCHS + 1)],
        "seconds": [round(epoch.seconds, 1) for epoch in history],
        "best_epoch": max(epoch.epoch for epoch in history if epoch.best),
    }
    return row, predictions


def measured(options: Options) -> dict[str, Any]:
    """Both arms, and the difference of the second from the first."""
    shared = part(options, "part", shared_run(options, "all", recipe_of(SETTINGS)), SHARE)
    (off, without), (half, resized) = (trained(options, shared, arm) for arm in ARMS)
    compared = compare(resized, without, hypotheses=Hypotheses(METRICS[0], METRICS[1:]))
    return {
        "images": {name: len(ids) for name, ids in Dataset.of_run(shared).split.ids.items()},
        "arms": {"off": off, "from_half": half},
        "times_faster": round(sum(off["seconds"]) / sum(half["seconds"]), 2),
        "metrics": {name: compared["metrics"][name] for name in METRICS},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(cores())
    result = measured(Options(given.data, given.weights, given.work, World(choose_device("cpu"))))
    command = "python benchmarks/progressive.py --data HAM10000 --weights WEIGHTS --work FOLDER"
    facts = {"command": command, "machine": machine(), "threads": cores(), "commit": commit("--dirty")}
    write_or_print({**facts, "settings": list(SETTINGS), **result}, given.out)


if __name__ == "__main__":
    main()
