"""Files of tensors with JSON in the header, and the state of a training as such tensors; nothing is ever unpickled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import CheckpointError
from lesionlens.models.weights import METADATA_KEY
from lesionlens.training.state import TrainingState

FORMAT = 1


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


def restore_state(state: TrainingState, tensors: dict[str, Tensor], facts: dict[str, Any], path: Path) -> None:
    """Fill a freshly built state with what `state_tensors` and `state_facts` gave; its history stays as it is.

    Raises:
        CheckpointError: if they belong to another network or optimizer. The state is then unusable.
    """
    load_tensors(state.network, _under(tensors, "network."), path)
    with fitting(path):
        if state.averaged is not None:
            load_tensors(state.averaged.network, _under(tensors, "averaged."), path)
            state.averaged.updates = int(facts["averaged_updates"])
        _load_optimizer(state.optimizer, _under(tensors, "optimizer."))
        for group, rate in zip(state.optimizer.param_groups, facts["rates"], strict=True):
            group["lr"] = rate
        state.schedule.last_epoch = int(facts["steps"])
        if facts["scaler"]:
            state.scaler.load_state_dict(facts["scaler"])


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Turn what a state of another run raises into one line."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit this run ({short(error)}); train from scratch with --restart") from error


def load_tensors(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Fill a network.

    Raises:
        CheckpointError: if the tensors are those of another network.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit its network ({short(error)}); train it again") from error


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
            f"checkpoint {path} is damaged or cut short ({short(error)}); copy it again, or delete it and train again"
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


def short(error: BaseException) -> str:
    """The message of an error in one line."""
    return " ".join(str(error).split())[:200]
