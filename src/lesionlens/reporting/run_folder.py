"""A run folder, read whole and checked: every artifact must belong to the one before it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from lesionlens.augment.offline import Plan, plan_facts, plan_inputs, read_plan
from lesionlens.core import legacy
from lesionlens.core.artifact import hash_file, read_json, read_stamp
from lesionlens.core.errors import ArtifactError, CheckpointError
from lesionlens.core.labels import LabelSet
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import load_recipe, recipe_from
from lesionlens.data.index import Index, read_index
from lesionlens.data.split import Split, read_split
from lesionlens.data.store import Store
from lesionlens.evaluation.cases import OVERALL, PER_CLASS
from lesionlens.evaluation.metrics import confusion_matrix
from lesionlens.evaluation.predictions import Predictions, read_predictions
from lesionlens.training.history import Epoch, read_history

CHECKPOINT = Path("train") / "best.safetensors"
EXPLAIN, COMPRESS = "explain", "compress"
NEEDED = {
    "recipe.toml": "lesionlens run, or copy the recipe that was trained there",
    "index.csv": "lesionlens index",
    "split.json": "lesionlens split",
    "predictions.npz": "lesionlens evaluate",
    "scores.json": "lesionlens evaluate",
}
OPTIONAL = {
    "audit.json": "lesionlens audit",
    "audit.jpg": "lesionlens audit",
    "plan.csv": "lesionlens augment",
    "gallery.png": "lesionlens augment",
    "train/history.jsonl": "lesionlens train",
    CHECKPOINT.as_posix(): "lesionlens train",
    f"{EXPLAIN}/faithfulness.json": "lesionlens explain",
    f"{COMPRESS}/compression.json": "lesionlens compress",
}
LATER = (
    f"{EXPLAIN}/faithfulness.json",
    f"{COMPRESS}/compression.json",
)  # left out where made from another checkpoint than the one here
SCORES_KEYS = {"name", "seed", "protocol", "leaks", "leak_rate", "split", "n_images", "n_lesions", "views", "resamples"}
SCORES_KEYS |= {"confidence", "labels", "metrics", "per_class", "confusion", "n_classes_averaged", "made_from"}
TRAINED_SECTIONS = ("seed", "input", "augmentation", "model", "training")
SYNTHETIC_LESION = "SYNL_"


@dataclass(frozen=True)
class Run:
    """Everything a report shows.

    Attributes:
        folder: the run folder.
        recipe: resolved.
        index: all images.
        split: of the index.
        predictions: of one split of the split.
        scores: content of scores.json.
        audit: content of audit.json; None if there is none.
        plan: the offline copies; None if there is none.
        checkpoint: what the checkpoint says of itself; None if there is none.
        history: epochs of the training; empty if there are none.
        explanation: content of explain/faithfulness.json; None if there is none of this checkpoint.
        compression: content of compress/compression.json; likewise.
        store: packed images; None if there are none that can be read.
        left_out: what is missing and how to make it, by name.
    """

    folder: Path
    recipe: Recipe
    index: Index
    split: Split
    predictions: Predictions
    scores: dict[str, Any]
    audit: dict[str, Any] | None
    plan: Plan | None
    checkpoint: dict[str, Any] | None
    history: tuple[Epoch, ...]
    explanation: dict[str, Any] | None
    compression: dict[str, Any] | None
    store: Store | None
    left_out: dict[str, str]

    @property
    def labels(self) -> LabelSet:
        """The diagnoses in the order of the logits."""
        return self.predictions.label_set

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, (N, K)."""
        return self.predictions.probabilities

    @cached_property
    def synthetic(self) -> bool:
        """Whether images were drawn by a program."""
        drawn = any(record.lesion_id.startswith(SYNTHETIC_LESION) for record in self.index.records)
        return drawn or "synthetic" in self.index.source.lower()


def read_run(folder: Path) -> Run:
    """Read and check a run folder.

    Raises:
        ArtifactError: if a needed artifact is missing or damaged, or one was made from another
            than what lies beside it.
        CheckpointError: if the checkpoint is damaged.
        SplitError: if the split leaks under a protocol that must not.
        RecipeError: if the recipe is not readable.
    """
    _check_needed(folder)
    recipe, index = load_recipe(folder / "recipe.toml"), read_index(folder / "index.csv")
    split = read_split(folder / "split.json", index)
    predictions, scores = read_predictions(folder / "predictions.npz"), _read_scores(folder / "scores.json")
    later = {name: _read_later(folder, name) for name in LATER}
    missing = [name for name in OPTIONAL if (later[name] is None if name in later else not (folder / name).exists())]
    run = Run(
        folder=folder,
        recipe=recipe,
        index=index,
        split=split,
        predictions=predictions,
        scores=scores,
        audit=_read_audit(folder / "audit.json", index, split),
        plan=_read_plan(folder / "plan.csv", split, recipe),
        checkpoint=_read_checkpoint(folder / CHECKPOINT),
        history=_read_history(folder / "train" / "history.jsonl"),
        explanation=later[LATER[0]],
        compression=later[LATER[1]],
        store=Store.open(folder / "store") if (folder / "store").is_dir() else None,
        left_out={name: f"make it with: {OPTIONAL[name]}" for name in missing},
    )
    _check_chain(run)
    return run


def _check_needed(folder: Path) -> None:
    if not folder.is_dir():
        raise ArtifactError(f"run folder {folder} does not exist; make one with: lesionlens run RECIPE --out {folder}")
    for name, remedy in NEEDED.items():
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder / name} is missing; a report needs it. Make it with: {remedy}")


def _read_scores(path: Path) -> dict[str, Any]:
    scores = legacy.current(read_json(path))
    lacking = SCORES_KEYS - scores.keys() if isinstance(scores, dict) else SCORES_KEYS
    if not lacking:
        lacking = set(OVERALL) - scores["metrics"].keys()
        lacking |= {f"per_class.{code}" for code, row in scores["per_class"].items() if not {"n", *PER_CLASS} <= row.keys()}
    if lacking:
        raise ArtifactError(f"{path} lacks {', '.join(sorted(lacking))}; make it again with: lesionlens evaluate")
    return dict(scores)


def _read_audit(path: Path, index: Index, split: Split) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    audit = legacy.current(read_json(path))
    if not isinstance(audit, dict):
        raise ArtifactError(f"{path} is not an audit; make it again with: lesionlens audit index.csv")
    for name, own in (("index", index.hash), ("split", split.hash)):
        if audit.get(f"{name}_hash") not in ("", own):
            raise ArtifactError(f"{path} was made from another {name}; make it again with: lesionlens audit index.csv")
    return audit


def _read_plan(path: Path, split: Split, recipe: Recipe) -> Plan | None:
    if not path.is_file():
        return None
    plan = read_plan(path, split)
    facts, expected = plan_facts(read_stamp(path)), plan_inputs(split, recipe)
    if {name: facts.get(name) for name in expected} != expected:
        raise ArtifactError(f"{path} was made by another recipe than recipe.toml; make it again with: lesionlens augment")
    return plan


def _read_history(path: Path) -> tuple[Epoch, ...]:
    return read_history(path) if path.is_file() else ()


def _read_checkpoint(path: Path) -> dict[str, Any] | None:
    """What a checkpoint says of itself (recipe, versions, ...), from its header alone; None if there is none."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            info = json.loads((file.metadata() or {})["lesionlens"])["info"]
        return {**info, "versions": dict(info["versions"]), "recipe": dict(info["recipe"])}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint of lesionlens ({error!s:.100}); train again") from error


def _read_later(folder: Path, name: str) -> dict[str, Any] | None:
    """What a later stage wrote; None if it is not there, or of another checkpoint."""
    path, checkpoint = folder / name, folder / CHECKPOINT
    if not path.is_file() or not checkpoint.is_file():
        return None
    value = legacy.current(read_json(path))
    if not isinstance(value, dict) or value.get("made_from", {}).get("checkpoint") != hash_file(checkpoint):
        return None
    return value


def _check_chain(run: Run) -> None:
    origin, folder = run.predictions.origin, run.folder
    expected = {"index": run.index.hash, "split": run.split.hash}
    if (folder / CHECKPOINT).is_file():
        expected["checkpoint"] = hash_file(folder / CHECKPOINT)
    for name, own in expected.items():
        stated = origin.hashes.get(name)
        if stated is not None and stated != own:
            raise ArtifactError(
                f"{folder / 'predictions.npz'} was made from another {name} (hash {stated[:12]}, not {own[:12]}); "
                "predict again with: lesionlens evaluate"
            )
    _check_scores(run)
    _check_recipe(run)


def _check_recipe(run: Run) -> None:
    """The recipe must be the one that was trained; where no checkpoint tells, name and seed must fit the scores."""
    stated = _flat(run.recipe.to_json())
    if run.checkpoint is None:
        trained = {name: run.scores[name] for name in ("name", "seed")}
    else:
        whole = recipe_from(run.checkpoint["recipe"], where="the checkpoint's recipe").to_json()
        trained = _flat({name: whole[name] for name in TRAINED_SECTIONS})
    for name, value in trained.items():
        if stated[name] != value:
            raise ArtifactError(
                f"{run.folder / 'recipe.toml'} says {name} = {stated[name]!r}, but these scores were made with {value!r}; "
                "put the recipe there that was trained, or train again with: lesionlens run"
            )


def _flat(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe's keys as `section.key`."""
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        flat.update({f"{name}.{key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value})
    return flat


def _check_scores(run: Run) -> None:
    """The scores must be of just these predictions, and these of the split they name."""
    predictions, path = run.predictions, run.folder / "scores.json"
    unknown = set(predictions.image_ids.tolist()) - set(run.split.ids.get(predictions.split, ()))
    if unknown:
        raise ArtifactError(
            f"{run.folder / 'predictions.npz'} holds {len(unknown)} images that are not in the {predictions.split} split of the "
            f"split, the first is {min(unknown)!r}; predict again with: lesionlens evaluate"
        )
    confusion = confusion_matrix(predictions.labels, predictions.predicted, len(predictions.label_set)).tolist()
    same = run.scores["made_from"] == predictions.origin.hashes and run.scores["confusion"] == confusion
    if not same or run.scores["split"] != predictions.split:
        raise ArtifactError(f"{path} was made from other predictions than predictions.npz; score again with: lesionlens evaluate")
