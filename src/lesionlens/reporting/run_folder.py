"""Read a run folder and check that every artifact was made from the ones beside it."""

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
from lesionlens.core.run import Run
from lesionlens.data.index import Index, read_index
from lesionlens.data.split import Split, read_split
from lesionlens.data.store import Store
from lesionlens.evaluation.metrics import confusion_matrix
from lesionlens.evaluation.predictions import Predictions, read_predictions
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS
from lesionlens.training.history import Epoch, read_history

NEEDED = {
    "recipe": "lesionlens train RECIPE, or copy the trained recipe there",
    "index": "lesionlens index ROOT",
    "split": "lesionlens split INDEX",
    "predictions": "lesionlens evaluate CHECKPOINT",
    "scores": "lesionlens evaluate CHECKPOINT",
}
OPTIONAL = {
    "audit": "lesionlens audit INDEX",
    "contact_sheet": "lesionlens audit INDEX",
    "plan": "lesionlens augment INDEX SPLIT",
    "gallery": "lesionlens augment INDEX SPLIT --gallery gallery.png",
    "history": "lesionlens train RECIPE",
    "best": "lesionlens train RECIPE",
    "decisions": "lesionlens assess RUN",
    "faithfulness": "lesionlens explain CHECKPOINT",
    "comparison": "lesionlens compress CHECKPOINT",
    "external": "lesionlens evaluate CHECKPOINT --index INDEX",
    "subgroups": "lesionlens assess RUN",
    "robustness": "lesionlens stress CHECKPOINT",
}
ASSESSMENTS: tuple[str, ...] = ("decisions", "subgroups", "robustness")  # results of this checkpoint with a topic in the report
SCORES_KEYS = {"name", "seed", "protocol", "leaks", "leak_rate", "split", "n_images", "n_lesions", "views", "resamples"}
SCORES_KEYS |= {"confidence", "labels", "metrics", "per_class", "confusion", "n_classes_averaged", "made_from"}
TRAINED_SECTIONS = ("seed", "input", "augmentation", "model", "training", "semi_supervised", "concepts")
SYNTHETIC_LESION = "SYNL_"


@dataclass(frozen=True)
class RunContents:
    """Everything a report shows.

    Attributes:
        paths: where the artifacts lie.
        recipe: resolved.
        index: all images.
        split: of the index.
        predictions: of one split.
        scores: content of scores.json.
        audit: content of audit.json; None if there is none.
        plan: the offline copies; None if there is none.
        checkpoint: the metadata of the best checkpoint; None if there is none.
        checkpoint_hash: SHA-256 of that checkpoint, hexadecimal; empty if there is none.
        history: epochs of the training; empty if there are none.
        explanation: content of faithfulness.json; None if there is none of this checkpoint.
        compression: content of compression.json; None if there is none of this checkpoint.
        assessments: content of the JSON results in `ASSESSMENTS`, by name; None if there is none of this checkpoint.
        store: packed images; None if there is none.
        left_out: what is missing and how to make it, by name.
    """

    paths: Run
    recipe: Recipe
    index: Index
    split: Split
    predictions: Predictions
    scores: dict[str, Any]
    audit: dict[str, Any] | None
    plan: Plan | None
    checkpoint: dict[str, Any] | None
    checkpoint_hash: str
    history: tuple[Epoch, ...]
    explanation: dict[str, Any] | None
    compression: dict[str, Any] | None
    assessments: dict[str, dict[str, Any] | None]
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
        """Whether the images were drawn by a program."""
        synthetic_lesions = any(record.lesion_id.startswith(SYNTHETIC_LESION) for record in self.index.records)
        return synthetic_lesions or "synthetic" in self.index.source.lower()


def file_name(artifact: str) -> str:
    """Name of an artifact in a run folder.

    >>> file_name("best")
    'train/best.safetensors'
    """
    path: Path = getattr(Run.at(Path()), artifact)
    return path.as_posix()


def read_run(run: Path | Run) -> RunContents:
    """Read and check a run.

    Args:
        run: a run folder, or the paths of a run.

    Raises:
        ArtifactError: if a needed artifact is missing or damaged, or was not made from those beside it.
        CheckpointError: if the checkpoint is damaged.
        SplitError: if the split leaks under a protocol that must not.
        RecipeError: if the recipe is not readable.
    """
    paths = run if isinstance(run, Run) else Run.at(run)
    _check_needed(paths)
    recipe, index = load_recipe(paths.recipe), read_index(paths.index)
    split = read_split(paths.split, index)
    checkpoint_hash = hash_file(paths.best) if paths.best.is_file() else ""
    results = {name: _read_result(getattr(paths, name), checkpoint_hash) for name in ("faithfulness", "comparison", *ASSESSMENTS)}
    missing = [name for name in OPTIONAL if not getattr(paths, name).exists() or results.get(name, {}) is None]
    contents = RunContents(
        paths=paths,
        recipe=recipe,
        index=index,
        split=split,
        predictions=read_predictions(paths.predictions),
        scores=_read_scores(paths.scores),
        audit=_read_audit(paths.audit, index, split),
        plan=_read_plan(paths.plan, split, recipe),
        checkpoint=_read_checkpoint(paths.best) if checkpoint_hash else None,
        checkpoint_hash=checkpoint_hash,
        history=read_history(paths.history) if paths.history.is_file() else (),
        explanation=results["faithfulness"],
        compression=results["comparison"],
        assessments={name: results[name] for name in ASSESSMENTS},
        store=Store.open(paths.store) if paths.store.is_dir() else None,
        left_out={file_name(name): f"make it with: {OPTIONAL[name]}" for name in missing},
    )
    _check_predictions(contents)
    _check_scores(contents)
    _check_recipe(contents)
    return contents


def _check_needed(paths: Run) -> None:
    if not paths.folder.is_dir():
        raise ArtifactError(
            f"run folder {paths.folder} does not exist; make one with: lesionlens run RECIPE --data DATA --run {paths.folder}"
        )
    for name, remedy in NEEDED.items():
        path = getattr(paths, name)
        if not path.is_file():
            raise ArtifactError(f"{path} is missing; a report needs it. Make it with: {remedy}")


def _read_scores(path: Path) -> dict[str, Any]:
    scores = legacy.current(read_json(path))
    missing = SCORES_KEYS - scores.keys() if isinstance(scores, dict) else SCORES_KEYS
    if not missing:
        missing = set(OVERALL) - scores["metrics"].keys()
        missing |= {f"per_class.{code}" for code, row in scores["per_class"].items() if not {"n", *PER_CLASS} <= row.keys()}
    if missing:
        raise ArtifactError(f"{path} lacks {', '.join(sorted(missing))}; make it again with: lesionlens evaluate CHECKPOINT")
    return dict(scores)


def _read_audit(path: Path, index: Index, split: Split) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    audit = legacy.current(read_json(path))
    if not isinstance(audit, dict):
        raise ArtifactError(f"{path} is not an audit; make it again with: lesionlens audit INDEX")
    for name, own in (("index", index.hash), ("split", split.hash)):
        if audit.get(f"{name}_hash") not in ("", own):
            raise ArtifactError(f"{path} was made from another {name}; make it again with: lesionlens audit INDEX")
    return audit


def _read_plan(path: Path, split: Split, recipe: Recipe) -> Plan | None:
    if not path.is_file():
        return None
    plan = read_plan(path, split)
    facts, expected = plan_facts(read_stamp(path)), plan_inputs(split, recipe)
    if {name: facts.get(name) for name in expected} != expected:
        raise ArtifactError(
            f"{path} was made by another recipe than that of the run; make it again with: lesionlens augment INDEX SPLIT"
        )
    return plan


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """The metadata of a checkpoint (recipe, versions, ...), from the header alone."""
    try:
        with safe_open(path, framework="numpy") as file:
            info = json.loads((file.metadata() or {})["lesionlens"])["info"]
        return {**info, "versions": dict(info["versions"]), "recipe": dict(info["recipe"])}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or is no checkpoint of lesionlens ({error!s:.100}); train again") from error


def _read_result(path: Path, checkpoint_hash: str) -> dict[str, Any] | None:
    """The JSON result of a later stage; None if there is none, or none of this checkpoint."""
    if not path.is_file() or not checkpoint_hash:
        return None
    value = legacy.current(read_json(path))
    if not isinstance(value, dict) or value.get("made_from", {}).get("checkpoint") != checkpoint_hash:
        return None
    return value


def _check_predictions(contents: RunContents) -> None:
    """The predictions must be made from this index, split and checkpoint, and cover the split that they name."""
    predictions, split, path = contents.predictions, contents.split, contents.paths.predictions
    hashes = {"index": contents.index.hash, "split": split.hash, "checkpoint": contents.checkpoint_hash}
    for name, expected in hashes.items():
        stated = predictions.origin.hashes.get(name, expected)
        if expected and stated != expected:
            raise ArtifactError(
                f"{path} was made from another {name} (hash {stated[:12]}, not {expected[:12]}); "
                "predict again with: lesionlens evaluate CHECKPOINT"
            )
    foreign = set(predictions.image_ids.tolist()) - set(split.ids.get(predictions.split, ()))
    if foreign:
        raise ArtifactError(
            f"{path} holds {len(foreign)} images that are not in the {predictions.split} split, "
            f"the first is {min(foreign)!r}; predict again with: lesionlens evaluate CHECKPOINT"
        )


def _check_scores(contents: RunContents) -> None:
    """The scores must be those of the predictions."""
    predictions, scores = contents.predictions, contents.scores
    confusion = confusion_matrix(predictions.labels, predictions.predicted, len(predictions.label_set)).tolist()
    stated = (scores["made_from"], scores["confusion"], scores["split"])
    if stated != (predictions.origin.hashes, confusion, predictions.split):
        raise ArtifactError(
            f"{contents.paths.scores} was made from other predictions than {contents.paths.predictions.name}; "
            "score again with: lesionlens evaluate CHECKPOINT"
        )


def _check_recipe(contents: RunContents) -> None:
    """The recipe must be the trained one; without a checkpoint, its name and seed must match the scores."""
    stated = _flat(contents.recipe.to_json())
    if contents.checkpoint is None:
        trained = {name: contents.scores[name] for name in ("name", "seed")}
    else:
        whole = recipe_from(contents.checkpoint["recipe"], where="the checkpoint's recipe").to_json()
        trained = _flat({name: whole[name] for name in TRAINED_SECTIONS})
    for name, value in trained.items():
        if stated[name] != value:
            raise ArtifactError(
                f"{contents.paths.recipe} says {name} = {stated[name]!r}, but these scores were made with {value!r}; "
                "restore the trained recipe, or train again with: lesionlens train RECIPE"
            )


def _flat(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe's keys as `section.key`."""
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        flat.update({f"{name}.{key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value})
    return flat
