"""Weights in torch's pickle format to safetensors, without running anything that the pickle asks for."""

from __future__ import annotations

import argparse
import json
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lesionlens.core.artifact import atomic_file, hash_file
from lesionlens.core.errors import RecipeError, WeightsError
from lesionlens.models.matching import match_network
from lesionlens.models.weights import looks_like_pickle

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "state_dict_ema", "model_ema")
"""Entries that programs keep the tensors of a network under, in the order of preference."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
"""What wrappers of torch and of training programs put before every name."""
HARMLESS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [argparse.Namespace]
"""Classes that a pickle may hold besides torch's own: options of a program, a plain record. They are dropped."""
DAMAGED = (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError, OSError, struct.error)
FETCH_AGAIN = "fetch or copy it again"
METADATA_KEY = "converted"


@dataclass(frozen=True)
class Conversion:
    """What was taken from a file of weights.

    Attributes:
        tensors: by name, contiguous and sharing no memory.
        entry: where in the file they were, such as `state_dict`; empty if they were at the top.
        prefix: what was removed from the front of every name, such as `module.`.
        dropped: names of everything else in the file.
        network: the network of timm that they fit, or empty if none was named.
        matched: `names` or `order` if a network was named, else empty.
    """

    tensors: dict[str, Tensor]
    entry: str = ""
    prefix: str = ""
    dropped: tuple[str, ...] = ()
    network: str = ""
    matched: str = ""

    @property
    def parameters(self) -> int:
        """Number of values in all tensors."""
        return sum(tensor.numel() for tensor in self.tensors.values())


def convert(source: Path, target: Path, network: str = "") -> Conversion:
    """Write the tensors of a pickle as a safetensors file, which can run no code.

    Args:
        source: a file that torch.save wrote, or a safetensors file.
        target: the file to write, atomically; a name that ends with .safetensors.
        network: a network of timm whose names and shapes the tensors must have, or whose tensors they must be in
            timm's order; empty writes them under their own names.

    Raises:
        RecipeError: if `target` is the source or has another ending.
        WeightsError: if the file is missing, damaged, unsafe, without tensors, or does not fit the network.
        ModelError: if timm does not know the network.
        StorageError: if the disk is full; an existing file is kept.
    """
    if target.suffix != ".safetensors":
        raise RecipeError(f"{target} must end with .safetensors, because that is what is written; rename the second argument")
    if target.exists() and source.exists() and target.samefile(source):
        raise RecipeError(f"{target} is the input itself, which is never overwritten; give another name to write")
    conversion = read_conversion(source, network)
    facts = {"file": source.name, "sha256": hash_file(source), "network": network, "matched": conversion.matched}
    with atomic_file(target) as temporary:
        save_file(conversion.tensors, temporary, {"format": "pt", METADATA_KEY: json.dumps(facts)})
    return conversion


def read_conversion(source: Path, network: str = "") -> Conversion:
    """What `convert` writes; see there."""
    conversion = _unwrapped(_loaded(source), source)
    if not network:
        return conversion
    tensors, dropped, matched = match_network(conversion.tensors, network, source)
    return replace(conversion, tensors=tensors, dropped=(*conversion.dropped, *dropped), network=network, matched=matched)


def _loaded(path: Path) -> Any:
    if not path.is_file():
        raise WeightsError(f"{path} is no file; give a file of weights that torch.save wrote")
    if not looks_like_pickle(path) and (tensors := _safetensors(path)) is not None:
        return tensors
    if _is_torchscript(path):
        raise WeightsError(f"{path} is a TorchScript program, not weights; {_own_remedy('torch.jit.load(FILE)')}")
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(HARMLESS):
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused is None:
            raise WeightsError(f"{path} is damaged, or a pickle that torch.save did not write; {FETCH_AGAIN}") from error
        raise WeightsError(
            f"{path} asks for {refused[1]}, which could run code, so it was not loaded; {_own_remedy('model')}"
        ) from error
    except DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise WeightsError(f"{path} is damaged, or no file of torch.save ({reason}); {FETCH_AGAIN}") from error


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):  # torch says what is wrong with it
        return False


def _own_remedy(model: str) -> str:
    return f"in the program that made it, save tensors alone: torch.save({model}.state_dict(), 'weights.pth')"


def _safetensors(path: Path) -> dict[str, Tensor] | None:
    try:
        return load_file(path)
    except (SafetensorError, OSError):
        return None


def _unwrapped(content: Any, path: Path) -> Conversion:
    """The tensors in `content`, wherever a training program keeps them."""
    entry: list[str] = []
    dropped: list[str] = []
    while isinstance(content, Mapping) and not _has_tensors(content):
        wrapper = next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if wrapper is None:
            break
        dropped += [".".join((*entry, str(name))) for name in content if name != wrapper]
        entry.append(wrapper)
        content = content[wrapper]
    if not isinstance(content, Mapping) or not _has_tensors(content):
        what = f"only {', '.join(map(str, list(content)[:5]))}" if isinstance(content, Mapping) and content else "none"
        raise WeightsError(f"{path} holds no tensors by name ({what}); {_own_remedy('model')}")
    return _plain(content, ".".join(entry), dropped)


def _plain(content: Mapping[Any, Any], entry: str, dropped: list[str]) -> Conversion:
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and _is_plain(value)}
    dropped = [*dropped, *(f"{entry}.{name}" if entry else str(name) for name in content if name not in tensors)]
    prefix = ""
    if "n_averaged" in tensors:  # the counter of torch.optim.swa_utils.AveragedModel
        del tensors["n_averaged"]
        dropped.append("n_averaged")
    while front := next((front for front in PREFIXES if all(name.startswith(front) for name in tensors)), ""):
        tensors = {name.removeprefix(front): value for name, value in tensors.items()}
        prefix += front
    independent = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
    return Conversion(independent, entry, prefix, tuple(dropped))


def _has_tensors(content: Mapping[Any, Any]) -> bool:
    return any(isinstance(name, str) and _is_plain(value) for name, value in content.items())


def _is_plain(value: Any) -> bool:
    """Whether a value is a dense tensor that safetensors can hold."""
    dense = isinstance(value, Tensor) and value.layout == torch.strided
    return dense and not value.is_quantized and not value.is_meta
