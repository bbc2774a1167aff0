"""Images per second of our training step against a plain loop, and the share of time spent waiting for images.

    python benchmarks/training.py [--device auto] [--threads 2] [--rounds 12] [--batch 16] [--size 224] [--out FILE]

`plain` is a minimal loop: timm's network, torch's AdamW, fp32. `ours` is the step of
`lesionlens train` with its defaults. Both start from the same random weights, use the same uint8
batches, take turns within one run, and report the mean loss of their last rounds. Waiting is
measured over an epoch of our loop in which a background thread augments every image by table 3.
Keeping memory between steps and flushing denormals are settings of the whole process, so they help
the plain loop too. CPU time is also valid while other programs run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lesionlens.bundle.engines import fast_int8
from lesionlens.core.artifact import write_json
from lesionlens.core.machine import cores, instruction_sets, processor
from lesionlens.core.recipe import AugmentationRecipe, InputRecipe, ModelRecipe, Recipe, TrainingRecipe
from lesionlens.data.image import InputSpec, input_spec
from lesionlens.models.build import build_network
from lesionlens.models.operators import timm
from lesionlens.training.batches import Batch, Batches, Rows
from lesionlens.training.distributed import World, choose_device
from lesionlens.training.loop import Sums, Trainer
from lesionlens.training.memory import keep_memory
from lesionlens.training.state import build_state
from source_version import commit

MODELS = ("convnext_tiny", "mobilenetv2_100")
N_CLASSES = 7
WARM_UP = 2
LEARNING_RATE = 1e-4
Step = Callable[[Batch], float]


@dataclass(frozen=True)
class Workload:
    """The inputs of both loops."""

    recipe: Recipe
    spec: InputSpec
    batches: Batches
    device: torch.device


def workload_of(name: str, options: argparse.Namespace, device: torch.device) -> Workload:
    """Random images in memory, all augmented again in each epoch."""
    n_images = options.batch * options.rounds
    recipe = Recipe(
        input=InputRecipe(size=options.size),
        augmentation=AugmentationRecipe(offline_pixels="fresh", originals=True, mixup_p=0.0, cutmix_p=0.0),
        model=ModelRecipe(name=name, weights="none"),
        training=TrainingRecipe(
            batch_size=options.batch, learning_rate=LEARNING_RATE, schedule="constant", warmup_epochs=0.0, label_smoothing=0.0
        ),
    )
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (n_images, options.size, options.size, 3), dtype=np.uint8)
    ids = tuple(str(number) for number in range(n_images))
    labels = generator.integers(0, N_CLASSES, n_images)
    rows = Rows(ids, np.zeros(n_images, np.int64), tuple(range(n_images)), np.arange(n_images), labels)
    spec = input_spec(recipe.input)
    return Workload(recipe, spec, Batches(rows, images, spec, recipe, World(device)), device)


def initial_weights(workload: Workload) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build_network(workload.recipe.model, N_CLASSES, workload.spec.size).state_dict()


def plain_step(workload: Workload) -> Step:
    """timm, AdamW and fp32, as in their first examples."""
    network = timm().create_model(workload.recipe.model.name, num_classes=N_CLASSES)
    network.load_state_dict(initial_weights(workload))
    network.to(workload.device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    mean = torch.tensor(workload.spec.mean, device=workload.device).view(1, 3, 1, 1)
    std = torch.tensor(workload.spec.std, device=workload.device).view(1, 3, 1, 1)

    def step(batch: Batch) -> float:
        images = (batch.images.contiguous().float() / 255 - mean) / std
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(images), batch.labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def trainer_of(workload: Workload) -> Trainer:
    network = build_network(workload.recipe.model, N_CLASSES, workload.spec.size)
    network.load_state_dict(initial_weights(workload))
    state = build_state(network, workload.recipe.training, len(workload.batches), workload.device)
    return Trainer(state, workload.batches, workload.recipe, workload.spec, N_CLASSES, World(workload.device))


def our_step(trainer: Trainer) -> Step:
    def step(batch: Batch) -> float:
        trainer.state.network.train()
        sums = Sums(torch.zeros((), device=trainer.world.device))
        trainer.feed(batch, 1, 0, sums)
        return float(sums.losses[0])

    return step


def measure(workload: Workload, rounds: int) -> tuple[dict[str, dict[str, float]], Trainer]:
    """Images per second of each loop, the loops taking turns on the same batches."""
    trainer = trainer_of(workload)
    steps = {"plain": plain_step(workload), "ours": our_step(trainer)}
    with workload.batches.epoch(1) as images:
        prepared = list(images)
    rates: dict[str, list[float]] = {name: [] for name in steps}
    cpu_rates: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(WARM_UP + rounds):
        batch = prepared[number % len(prepared)]
        for name, step in steps.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            loss = step(batch)
            if number >= WARM_UP:
                rates[name].append(len(batch.labels) / (time.perf_counter() - start))
                cpu_rates[name].append(len(batch.labels) / (time.process_time() - cpu_start))
                losses[name].append(loss)
    return {name: spread(rates[name], cpu_rates[name], losses[name]) for name in steps}, trainer


def spread(rates: list[float], cpu_rates: list[float], losses: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(rates), 2),
        "slowest_5_percent": round(float(np.quantile(rates, 0.05)), 2),
        "fastest": round(max(rates), 2),
        "median_of_a_cpu_second": round(statistics.median(cpu_rates), 2),
        "loss_at_the_end": round(statistics.mean(losses[-4:]), 4),
    }


def metrics_of(name: str, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    workload = workload_of(name, options, device)
    results, trainer = measure(workload, options.rounds)
    epoch = trainer.train(2)
    return {
        **results,
        "times_faster": round(results["ours"]["median"] / results["plain"]["median"], 2),
        "times_faster_by_cpu_time": round(
            results["ours"]["median_of_a_cpu_second"] / results["plain"]["median_of_a_cpu_second"], 2
        ),
        "precision": trainer.state.precision,
        "epoch_images_per_second": round(sum(epoch.sizes) / epoch.seconds, 2),
        "waiting_share": round(epoch.waited_s / epoch.seconds, 4),
    }


def facts(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    given = " ".join(f"--{key} {getattr(options, key)}" for key in ("threads", "rounds", "batch", "size"))
    return {
        "what": "images per second of a training step, uint8 batch to updated weights, and the waiting of an epoch",
        "command": f"python {Path(__file__).parent.name}/{Path(__file__).name} {given}",
        "machine": {
            "cpu": processor(),
            "instruction_sets": instruction_sets(),
            "int8_instructions": fast_int8(),
            "cores": cores(),
            "load": round(os.getloadavg()[0], 2),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        },
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": timm().__version__},
        "commit": commit("--dirty"),
        "size": options.size,
        "batch": options.batch,
        "threads": options.threads,
        "rounds": options.rounds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    keep_memory()
    device = choose_device(options.device)
    result = {**facts(options, device), "networks": {name: metrics_of(name, options, device) for name in options.models}}
    print(json.dumps(result, indent=2))
    if options.out:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
