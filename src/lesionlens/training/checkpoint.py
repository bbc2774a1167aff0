"""Checkpoints: safetensors files with JSON in the header; nothing is ever unpickled.

`best.safetensors` is the network for inference (the averaged one if the recipe averages weights) with
its metadata; `last.safetensors` is everything that a resumed run needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from lesionlens.core import legacy
from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import CheckpointError, LesionLensError, ModelError
from lesionlens.core.labels import LabelSet
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_from
from lesionlens.data.image import InputSpec
from lesionlens.models.build import build_network
from lesionlens.models.channel_pruned import reshape_to
from lesionlens.models.concept_bottleneck import install_bottleneck
from lesionlens.models.weights import BEST, METADATA_KEY
from lesionlens.training.history import Epoch
from lesionlens.training.state import TrainingState

FORMAT = 1
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
    _load(network, tensors, path)
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


def state_tensors(state: TrainingState) -> dict[str, Tensor]:
    """The tensors of a training: weights, averaged weights and the optimizer's moments, each under its prefix."""
    tensors = {f"network.{name}": tensor for name, tensor in state.network.state_dict().items()}
    if state.averaged is not None:
        tensors |= {f"averaged.{name}": tensor for name, tensor in state.averaged.network.state_dict().items()}
    moments = state.optimizer.state_dict()["state"]
    for number, entries in moments.items():
        tensors |= {f"optimizer.{number}.{name}": entry for name, entry in entries.items() if entry is not None}
    return tensors


def state_facts(state: TrainingState) -> dict[str, Any]:
    """What else a training resumes from, JSON-ready."""
    return {
        "rates": [group["lr"] for group in state.optimizer.param_groups],
        "steps": state.schedule.last_epoch,
        "averaged_updates": state.averaged.updates if state.averaged is not None else 0,
        "scaler": state.scaler.state_dict(),
    }


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
    with _fitting(path):
        state.history[:] = [Epoch(**epoch) for epoch in value["history"]]
    return saved


def restore_state(state: TrainingState, tensors: dict[str, Tensor], facts: dict[str, Any], path: Path) -> None:
    """Fill a freshly built state with what `state_tensors` and `state_facts` gave; its history stays as it is.

    Raises:
        CheckpointError: if they belong to another network or optimizer. The state is then unusable.
    """
    _load(state.network, _under(tensors, "network."), path)
    with _fitting(path):
        if state.averaged is not None:
            _load(state.averaged.network, _under(tensors, "averaged."), path)
            state.averaged.updates = int(facts["averaged_updates"])
        _load_optimizer(state.optimizer, _under(tensors, "optimizer."))
        for group, rate in zip(state.optimizer.param_groups, facts["rates"], strict=True):
            group["lr"] = rate
        state.schedule.last_epoch = int(facts["steps"])
        if facts["scaler"]:
            state.scaler.load_state_dict(facts["scaler"])


@contextmanager
def _fitting(path: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit this run ({_short(error)}); train from scratch with --restart") from error


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


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, entry = name.partition(".")
        parameter = parameters[int(number)]
        if tensor.ndim > 0 and tensor.shape != parameter.shape:
            raise ValueError(f"the optimizer's {entry} {number} has shape {tuple(tensor.shape)}, not {tuple(parameter.shape)}")
        if tensor.shape == parameter.shape and tensor.ndim > 0:  # fused kernels need the parameter's own strides
            tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
        state.setdefault(int(number), {})[entry] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _load(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its network ({_short(error)}); train it again") from error


def _reshape(network: nn.Module, tensors: dict[str, Tensor], info: CheckpointInfo, path: Path) -> None:
    try:
        reshape_to(network, tensors, info.spec.size)
    except ModelError as error:
        raise CheckpointError(
            f"{path} does not fit a channel-pruned {info.recipe.model.name}: {_short(error)}; make it again"
        ) from error


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def write_tensors(path: Path, kind: str, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors with JSON-ready facts as a safetensors file, atomically.

    Raises:
        StorageError: if the disk is full; an existing file is kept.
    """
    metadata = {METADATA_KEY: json.dumps({"format": FORMAT, "kind": kind, **facts}, allow_nan=False)}
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    content = safetensors.torch.save(plain, metadata)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file of `write_tensors`.

    Raises:
        CheckpointError: if it is missing, damaged, or of another kind.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist; make it with: lesionlens train RECIPE")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(
            f"checkpoint {path} is damaged or cut short ({_short(error)}); copy it again, or delete it and train again"
        ) from error
    try:
        value: dict[str, Any] = json.loads(metadata[METADATA_KEY])
        format_and_kind = (value["format"], value["kind"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of lesionlens; give a best.safetensors written by lesionlens train"
        ) from error
    if format_and_kind != (FORMAT, kind):
        raise CheckpointError(
            f"{path} is a checkpoint of kind {value['kind']!r}, format {value['format']}; {kind}.safetensors is needed here"
        )
    return tensors, value


def _info(value: dict[str, Any], path: Path) -> CheckpointInfo:
    try:
        return CheckpointInfo.from_json(value["info"])
    except (KeyError, TypeError, LesionLensError) as error:
        raise CheckpointError(f"checkpoint {path} is not readable ({_short(error)}); train it again") from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
