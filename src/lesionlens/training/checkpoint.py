"""Checkpoints: safetensors files with JSON in the header; nothing is ever unpickled.

`best.safetensors` is the network for inference (the averaged one if the recipe averages weights) with
its metadata; `last.safetensors` is everything that a resumed run needs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core import legacy
from lesionlens.core.errors import CheckpointError, LesionLensError, ModelError
from lesionlens.core.labels import LabelSet
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_from
from lesionlens.data.image import InputSpec
from lesionlens.models.build import build_network
from lesionlens.models.channel_pruned import reshape_to
from lesionlens.models.concept_bottleneck import install_bottleneck
from lesionlens.models.weights import BEST
from lesionlens.training.history import Epoch
from lesionlens.training.state import TrainingState
from lesionlens.training.state_file import (
    fitting,
    load_tensors,
    read_tensors,
    restore_state,
    short,
    state_facts,
    state_tensors,
    write_tensors,
)

LAST = "last"
TRAINED_WITH = ("torch", "timm", "numpy", "safetensors")


@dataclass(frozen=True)
class CheckpointInfo:
    """The metadata of a network: what it is and how it was trained.

    Attributes:
        labels: the diagnoses, in the order of its outputs.
        spec: how its pixels are prepared.
        recipe: the resolved recipe.
        split_hash: hash of the split it was trained on.
        plan_hash: hash of its augmentation plan.
        index_hash: hash of the index of its images.
        protocol: name of the split's protocol.
        leaks: whether that protocol is known to leak.
        epoch: the epoch of these weights, 0 before the first.
        metrics: validation metrics of that epoch.
        averaged: whether these are averaged weights.
        versions: versions of Python and of the libraries that trained it.
        channel_pruned: whether it has fewer channels than its recipe's network; the tensors give the numbers.
        derived: how it was made from another checkpoint, {} if it was not: `by` (pruned, channel-pruned or
            distilled), `parent` (SHA-256 of that checkpoint), and the settings.
        initial_weights: the file that training started from, see `models.weights.InitialWeights`; {} if there was none.
        unlabelled_hash: hash of the unlabelled images that it was trained with; empty if there were none.
        concepts: of a concept bottleneck, see `data.concepts.Concepts.facts`; {} without one.
    """

    labels: LabelSet
    spec: InputSpec
    recipe: Recipe
    split_hash: str
    plan_hash: str
    index_hash: str
    protocol: str
    leaks: bool
    epoch: int = 0
    metrics: dict[str, float | None] = field(default_factory=dict)
    averaged: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    channel_pruned: bool = False
    derived: dict[str, Any] = field(default_factory=dict)
    initial_weights: dict[str, Any] = field(default_factory=dict)
    unlabelled_hash: str = ""
    concepts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_json` reads back."""
        fields = {name: value for name, value in vars(self).items() if name not in ("labels", "spec", "recipe")}
        return {"labels": self.labels.to_json(), "spec": self.spec.to_json(), "recipe": self.recipe.to_json(), **fields}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> CheckpointInfo:
        """Read what `to_json` wrote; unknown fields are errors."""
        objects = {
            "labels": LabelSet.from_json(value["labels"]),
            "spec": InputSpec.from_json(value["spec"]),
            "recipe": recipe_from(value["recipe"], where="the checkpoint's recipe"),
        }
        return cls(**{**legacy.current(value), **objects})


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that train."""
    return {
        "python": sys.version.split()[0],
        "lesionlens": version("lesionlens"),
        **{name: version(name) for name in TRAINED_WITH},
    }


def save_network(network: nn.Module, info: CheckpointInfo, path: Path) -> None:
    """Write a network for inference, atomically.

    Raises:
        StorageError: if the disk is full; an existing file is kept.
    """
    write_tensors(path, BEST, network.state_dict(), {"info": info.to_json()})


def load_network(path: Path, device: torch.device | str = "cpu") -> tuple[nn.Module, CheckpointInfo]:
    """Read a network, in evaluation mode, and its metadata.

    Raises:
        CheckpointError: if the file is missing, truncated, no checkpoint of a network, or does not
            fit the network that its own recipe names.
    """
    tensors, value = read_tensors(path, BEST)
    info = _info(value, path)
    network = build_network(info.recipe.model, len(info.labels), info.spec.size, pretrained=False)
    if info.concepts:
        install_bottleneck(network, len(info.concepts["units"]))
    if info.channel_pruned:
        _reshape(network, tensors, info, path)
    load_tensors(network, tensors, path)
    return network.eval().to(device), info


def load_info(path: Path) -> CheckpointInfo:
    """Read the metadata of a network without building it.

    Raises:
        CheckpointError: if the file is missing, damaged, or no checkpoint of a network.
    """
    return _info(read_tensors(path, BEST)[1], path)


def save_state(state: TrainingState, info: CheckpointInfo, path: Path) -> None:
    """Write everything that a resumed run needs, atomically.

    Raises:
        StorageError: if the disk is full; an existing file is kept.
    """
    facts = {"info": info.to_json(), **state_facts(state), "history": [epoch.to_json() for epoch in state.history]}
    write_tensors(path, LAST, state_tensors(state), facts)


def load_state(state: TrainingState, info: CheckpointInfo, path: Path) -> CheckpointInfo:
    """Restore a freshly built state from `path`; returns the metadata there.

    Args:
        state: as `build_state` makes it; changed in place.
        info: of the run that resumes; it must match the run that wrote the file.
        path: a last.safetensors.

    Raises:
        CheckpointError: if the file is missing, truncated, or belongs to another recipe, split,
            plan, network or label set. The state is then unusable.
    """
    tensors, value = read_tensors(path, LAST)
    saved = _info(value, path)
    check_same_run(saved, info, path)
    restore_state(state, tensors, value, path)
    with fitting(path):
        state.history[:] = [Epoch(**epoch) for epoch in value["history"]]
    return saved


def check_same_run(saved: CheckpointInfo, current: CheckpointInfo, path: Path) -> None:
    """Refuse to resume from the checkpoint of another run.

    Name, split and evaluation sections of the recipe do not change training and may differ; the
    split itself may not.

    Raises:
        CheckpointError: naming the first difference.
    """
    then, now = _training_keys(saved.recipe), _training_keys(current.recipe)
    differing = [key for key in now if then.get(key) != now[key]]
    if differing:
        key = differing[0]
        raise CheckpointError(
            f"{path} belongs to another recipe: {key} is {then.get(key)!r} there and {now[key]!r} here. "
            "Resume with that recipe, choose another --out, or train from scratch with --restart"
        )
    if saved.derived != current.derived:
        keys = saved.derived.keys() | current.derived.keys()
        key = min(key for key in keys if saved.derived.get(key) != current.derived.get(key))
        raise CheckpointError(
            f"{path} derives from another checkpoint or with other settings: {key} is {saved.derived.get(key)!r} there and "
            f"{current.derived.get(key)!r} here; choose another --out, or train from scratch with --restart"
        )
    for name in ("labels", "spec", "index_hash", "split_hash", "plan_hash", "unlabelled_hash", "concepts"):
        if getattr(saved, name) != getattr(current, name):
            what = (
                name.removesuffix("_hash")
                .replace("unlabelled", "set of unlabelled images")
                .replace("concepts", "table of concepts")
            )
            raise CheckpointError(
                f"{path} was trained with another {what}; choose another --out, or train from scratch with --restart"
            )


def _training_keys(recipe: Recipe) -> dict[str, Any]:
    value = recipe.to_json()
    sections = {name: value[name] for name in ("input", "augmentation", "model", "training", "semi_supervised", "concepts")}
    flat = {f"{section}.{key}": item for section, keys in sections.items() for key, item in keys.items()}
    return {"seed": recipe.seed, **flat}


def _reshape(network: nn.Module, tensors: dict[str, Tensor], info: CheckpointInfo, path: Path) -> None:
    try:
        reshape_to(network, tensors, info.spec.size)
    except ModelError as error:
        raise CheckpointError(
            f"{path} does not fit a channel-pruned {info.recipe.model.name}: {short(error)}; make it again"
        ) from error


def _info(value: dict[str, Any], path: Path) -> CheckpointInfo:
    try:
        return CheckpointInfo.from_json(value["info"])
    except (KeyError, TypeError, LesionLensError) as error:
        raise CheckpointError(f"checkpoint {path} is not readable ({short(error)}); train it again") from error
