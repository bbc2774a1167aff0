"""Small measured runs of what the paper names as future work, on real images, split by lesion.

    python benchmarks/future.py NAME --data HAM10000 --weights WEIGHTS --work FOLDER [--out benchmarks/results/future/NAME.json]

NAME is network, pretraining, semi_supervised or concepts. Each trains arms that differ in one thing and compares every arm with
the first on the test images, paired by lesion. The best epoch is chosen on the validation split; no setting was chosen on the
test images. One seed, a small input and few epochs: a sign of life, no ranking. FOLDER keeps the runs, so that a run that was
stopped resumes. WEIGHTS holds mobilenetv2_100.imagenet.safetensors.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from lesionlens.core.progress import Reporter
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import load_recipe
from lesionlens.core.run import Run
from lesionlens.data.concepts import read_concepts
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import read_index, write_index
from lesionlens.data.leaks import leak_rate
from lesionlens.data.split import write_split
from lesionlens.evaluation.compare import compare
from lesionlens.evaluation.evaluate import PredictionSettings
from lesionlens.evaluation.multiplicity import Hypotheses
from lesionlens.evaluation.predict import predict_logits
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.models.concept_bottleneck import bottleneck_of
from lesionlens.pipeline import data_stages, model_stages
from lesionlens.pipeline.job import ImageSource, Job
from lesionlens.pipeline.pretraining import pretrain_run
from lesionlens.training.checkpoint import load_network
from lesionlens.training.distributed import World, choose_device
from lesionlens.training.history import read_history
from lesionlens.training.pretrain import BACKBONE_FILE
from output import write_or_print
from source_version import commit
from weak_concepts import NAMES as CONCEPTS
from weak_concepts import write_concepts

MOBILENET = "mobilenetv2_100.imagenet.safetensors"
METRICS = ("balanced_accuracy", "accuracy", "macro_f1", "macro_auc", "nll")
TRAINED_SHARE, LABELLED_SHARE, SEED = 0.4, 0.25, 0
TIMES = ("seconds", "images_per_second", "waiting_share")
BASE = (
    *("input.size=64", "input.frame=72", "augmentation.offline_fill=0.1", "training.batch_size=32", "training.monitor=loss"),
    *("training.precision=fp32", "training.warmup_epochs=1", "training.ema_decay=0.99", "evaluation.views=1"),
    *("model.weights=none", "compression.variants=[]"),
)


@dataclass(frozen=True)
class Options:
    """What every experiment is given."""

    data: Path
    weights: Path
    work: Path
    world: World

    @property
    def mobilenet(self) -> str:
        """ImageNet weights of MobileNetV2."""
        return f"model.weights={self.weights / MOBILENET}"


@dataclass(frozen=True)
class Arm:
    """One training of an experiment.

    Attributes:
        title: for the table.
        changes: of the base recipe.
        facts: what else is reported of it.
    """

    title: str
    changes: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


def note(text: str) -> None:
    print(text, flush=True)


REPORTER = Reporter(note)


def recipe_of(changes: Sequence[str]) -> Recipe:
    return load_recipe("light", [*BASE, *changes])


def shared_run(options: Options, name: str, recipe: Recipe, source: Path | None = None) -> Run:
    """Index, split and store, made once in FOLDER/NAME."""
    run = Run.at(options.work / name)
    if not run.index.is_file():
        data_stages.index(run, ImageSource(source or options.data), reporter=REPORTER)
    if not run.split.is_file():
        data_stages.split(run, recipe.split, reporter=REPORTER)
    if not run.store.is_dir():
        data_stages.pack(run, recipe, reporter=REPORTER)
    return run


def train_arm(options: Options, shared: Run, name: str, recipe: Recipe) -> Run:
    """Train a recipe on the shared images, in the folder NAME beside them."""
    run = Run.at(shared.folder / name, index=shared.index, split=shared.split, store=shared.store)
    model_stages.augment(run, recipe, gallery=False)
    model_stages.train(run, recipe, options.world, reporter=REPORTER)
    return run


def trained(options: Options, shared: Run, name: str, arm: Arm) -> dict[str, Any]:
    """Train and score one arm; its predictions stay in its folder."""
    run = train_arm(options, shared, name, recipe_of(arm.changes))
    model_stages.evaluate(run, PredictionSettings(device=options.world.device.type), reporter=REPORTER)
    history = read_history(run.history)
    network, _ = load_network(run.best)
    return {
        "title": arm.title,
        "changes": [change for change in arm.changes if "/" not in change],  # paths are of this machine
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "epochs": [untimed(epoch.to_json()) for epoch in history],
        **arm.facts,
    }


def untimed(epoch: dict[str, Any]) -> dict[str, Any]:
    """An epoch without its times: these runs share their machine with other work."""
    return {name: value for name, value in epoch.items() if name not in TIMES}


def compared(shared: Run, arms: Mapping[str, Arm], rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Metrics of every arm with intervals, and its difference from the first."""
    predictions = {name: read_predictions(shared.folder / name / "predictions.npz") for name in arms}
    first = next(iter(arms))
    for name, each in predictions.items():
        result = compare(each, predictions[first], hypotheses=Hypotheses("balanced_accuracy", METRICS[1:]))
        rows[name]["compared"] = {
            **{metric: result["metrics"][metric] for metric in METRICS},
            "holm": result["hypotheses"]["holm"],
            "recall": {code: each["recall"] for code, each in result["per_class"].items()},
        }
    dataset = Dataset.of_run(shared)
    counts = {name: len(ids) for name, ids in dataset.split.ids.items()}
    return {"reference": first, "split": dataset.split.protocol, "images": counts, "arms": rows}


def run_arms(options: Options, shared: Run, arms: Mapping[str, Arm]) -> dict[str, Any]:
    return compared(shared, arms, {name: trained(options, shared, name, arm) for name, arm in arms.items()})


def network(options: Options) -> dict[str, Any]:
    """The light network against the ConvNeXt that it is made from, both from random weights."""
    same = ("training.epochs=4",)
    shared = training_part(options)
    arms = {
        name: Arm(title, (f"model.name={name}", *same))
        for name, title in (("convnext_atto", "ConvNeXt-Atto"), ("convnext_transformer", "with a transformer stage"))
    }
    return run_arms(options, shared, arms)


def pretraining(options: Options) -> dict[str, Any]:
    """A quarter of the labels: MobileNetV2 from random weights, from SimSiam on all training images, and from ImageNet."""
    same = ("training.epochs=6",)
    settings = ("pretraining.epochs=4", "pretraining.batch_size=64", "pretraining.width=512", "pretraining.learning_rate=1e-3")
    recipe = recipe_of((*same, *settings))
    whole, few, _ = few_labels(options)
    result = pretrain_run(
        Job(whole, recipe, ImageSource(options.data), REPORTER), Dataset.of_run(whole), None, options.world
    ).content
    pretrained = f"model.weights={whole.pretraining / BACKBONE_FILE}"
    arms = {
        "random": Arm("random weights", same),
        "simsiam": Arm("SimSiam", (*same, pretrained), {"pretraining": [untimed(epoch) for epoch in result["epochs"]]}),
        "imagenet": Arm("ImageNet weights", (*same, options.mobilenet)),
    }
    return {"settings": settings, **run_arms(options, few, arms)}


def semi_supervised(options: Options) -> dict[str, Any]:
    """A quarter of the training lesions with diagnoses; the rest without, or not at all."""
    same = ("training.epochs=4", options.mobilenet)
    whole, few, hidden = few_labels(options)
    semi = (f"semi_supervised.images={hidden}", "semi_supervised.ratio=2", "semi_supervised.threshold=0.95")
    arms = {
        "labelled": Arm("a quarter of the labels", same),
        "fixmatch": Arm("with FixMatch", (*same, *semi)),
        "fixmatch_class": Arm("with FixMatch, thresholds by diagnosis", (*same, *semi, "semi_supervised.threshold_by=class")),
    }
    result = run_arms(options, few, arms)
    for name in ("fixmatch", "fixmatch_class"):
        result["arms"][name]["pseudo_labels"] = pseudo_labels(few, name, whole)
    return result


def part(options: Options, name: str, of: Run, share: float) -> Run:
    """A run in FOLDER/NAME with a share of the training lesions of another; validation and test stay whole."""
    dataset, run = Dataset.of_run(of), Run.at(options.work / name, store=of.store)
    if run.split.is_file():
        return run
    lesions = sorted({record.lesion_id for record in dataset.records("train")})
    kept = set(np.random.default_rng(SEED).permutation(lesions)[: round(share * len(lesions))].tolist())
    train = tuple(record.image_id for record in dataset.records("train") if record.lesion_id in kept)
    ids = {**dataset.split.ids, "train": train}
    wanted = {image_id for each in ids.values() for image_id in each}
    index = replace(dataset.index, records=tuple(each for each in dataset.index.records if each.image_id in wanted))
    write_index(index, run.index)
    rate = leak_rate(index, ids, dataset.split.pairs)
    write_split(replace(dataset.split, ids=ids, index_hash=index.hash, leak_rate=rate), run.split)
    return run


def training_part(options: Options) -> Run:
    """What all experiments train on: a part of the training split, so that a run takes minutes."""
    return part(options, "part", shared_run(options, "all", recipe_of(())), TRAINED_SHARE)


def few_labels(options: Options) -> tuple[Run, Run, Path]:
    """The part, a run with few of its labels, and a list of the other training images of the part, without diagnoses."""
    whole = training_part(options)
    few, dataset = part(options, "few", whole, LABELLED_SHARE), Dataset.of_run(whole)
    labelled = set(Dataset.of_run(few).ids("train"))
    path = few.folder / "hidden.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        rest = [record for record in dataset.records("train") if record.image_id not in labelled]
        rows = [[str(dataset.index.image_path(each).absolute()), each.lesion_id] for each in rest]
        csv.writer(stream).writerows([["path", "lesion_id"], *rows])
    return whole, few, path


def pseudo_labels(few: Run, name: str, whole: Run) -> dict[str, Any]:
    """How many of the hidden diagnoses the trained network is sure of, and how many of these are right, by diagnosis."""
    network, info = load_network(few.folder / name / "train" / "best.safetensors")
    dataset, labelled = Dataset.of_run(whole), set(Dataset.of_run(few).ids("train"))
    records = [record for record in dataset.records("train") if record.image_id not in labelled]
    rows = dataset.store.rows([record.image_id for record in records])
    logits = predict_logits(network, dataset.store.images, info.spec, rows=rows)
    probabilities = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    sure, chosen = probabilities.max(axis=1) >= info.recipe.semi_supervised.threshold, probabilities.argmax(axis=1)
    truth = np.array([info.labels.index(record.dx) for record in records])
    return {
        code: {
            "images": int((truth == c).sum()),
            "sure": int((sure & (chosen == c)).sum()),
            "right": int((sure & (chosen == c) & (truth == c)).sum()),
        }
        for c, code in enumerate(info.labels.codes)
    }


def concepts(options: Options) -> dict[str, Any]:
    """A plain classifier against a bottleneck of four weak concepts."""
    same = ("training.epochs=4", options.mobilenet)
    shared = training_part(options)
    table = shared.folder / "weak_concepts.csv"
    if not table.is_file():
        write_concepts(read_index(shared.index), table)
    bottleneck = (f"concepts.table={table}", f"concepts.columns={','.join(CONCEPTS)}")
    arms = {
        "plain": Arm("features to diagnoses", same),
        "bottleneck": Arm("four concepts to diagnoses", (*same, *bottleneck)),
    }
    result = run_arms(options, shared, arms)
    result["arms"]["bottleneck"]["concepts"] = concept_quality(shared, table)
    return result


def concept_quality(shared: Run, table: Path) -> dict[str, Any]:
    """Rank correlation of estimated and weak concepts over the test images, with an interval resampled by lesion."""
    network, info = load_network(shared.folder / "bottleneck" / "train" / "best.safetensors")
    dataset = Dataset.of_run(shared)
    ids = dataset.ids("test")
    estimates: list[torch.Tensor] = []
    bottleneck = bottleneck_of(network)
    assert bottleneck is not None
    bottleneck.concepts.register_forward_hook(lambda layer, inputs, output: estimates.append(output.detach()))
    predict_logits(network, dataset.store.images, info.spec, rows=dataset.store.rows(ids))
    known = read_concepts(table, CONCEPTS, dataset.index.ids, dataset.ids("train")).rows(ids)
    lesions = np.array([record.lesion_id for record in dataset.records("test")])
    logits = torch.cat(estimates).numpy()
    return {name: rank_correlation(logits[:, u], known[:, u], lesions) for u, name in enumerate(CONCEPTS)}


def rank_correlation(estimates: np.ndarray, known: np.ndarray, lesions: np.ndarray) -> dict[str, float]:
    """Spearman's, with the 95 % interval of 500 resamples of lesions."""
    there = ~np.isnan(known)
    estimates, known, lesions = estimates[there], known[there], lesions[there]
    names, of_lesion = np.unique(lesions, return_inverse=True)
    members = [np.flatnonzero(of_lesion == n) for n in range(len(names))]
    rng = np.random.default_rng(SEED)
    drawn = [np.concatenate([members[n] for n in rng.integers(0, len(names), len(names))]) for _ in range(500)]
    values = [float(spearmanr(estimates[rows], known[rows]).statistic) for rows in drawn]
    low, high = np.quantile(values, [0.025, 0.975])
    return {"value": float(spearmanr(estimates, known).statistic), "low": float(low), "high": float(high), "n": len(known)}


EXPERIMENTS = {
    "network": network,
    "pretraining": pretraining,
    "semi_supervised": semi_supervised,
    "concepts": concepts,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=EXPERIMENTS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    options = Options(given.data, given.weights, given.work, World(choose_device("cpu")))
    content = EXPERIMENTS[given.name](options)
    command = f"python benchmarks/future.py {given.name} --data HAM10000 --weights WEIGHTS --work FOLDER"
    write_or_print({"command": command, "commit": commit(), **content}, given.out)


if __name__ == "__main__":
    main()
