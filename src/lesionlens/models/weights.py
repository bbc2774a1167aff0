"""Weights from a local safetensors file, checked name by name and shape by shape."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lesionlens.core.errors import WeightsError

IMAGENET_CLASSES = (1000, 11821, 12000, 21841, 21843)
"""Classifier sizes of ImageNet weights; these classifiers are replaced, others are refused."""


def load_weights(network: torch.nn.Module, path: Path, name: str) -> None:
    """Fill `network` from a safetensors file whose parameter names are timm's.

    The classifier is unchanged if the file has none, or one of ImageNet.

    Args:
        network: a timm network, changed in place.
        path: the file.
        name: the network's name, for messages.

    Raises:
        WeightsError: if the file is missing, damaged, a pickle, or does not fit the network.
    """
    state = _read(path)
    expected = network.state_dict()
    head = _head_names(network)
    state = {key: value for key, value in state.items() if not _is_imagenet_head(key, value, head, expected)}
    missing = [key for key in expected if key not in state and key not in head and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in expected]
    if missing or unknown:
        example = (unknown or missing)[0]
        raise WeightsError(
            f"{path} does not fit {name}: {len(missing)} parameters are missing and {len(unknown)} are unknown "
            f"(for example {example}); choose the network that the file was made for with --set model.name=..."
        )
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise WeightsError(_shape_message(path, name, key, value, expected[key], head))
    network.load_state_dict(state, strict=False)


def _read(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix in {".pth", ".pt", ".bin", ".pkl", ".ckpt"}:
        raise WeightsError(f"{path} is a pickle, which can run code when it is loaded; convert it to .safetensors first")
    if not path.is_file():
        raise WeightsError(f"weights {path!s} is neither imagenet, none, nor an existing safetensors file; check model.weights")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error}); fetch or copy it again") from error


def _head_names(network: torch.nn.Module) -> set[str]:
    head = network.get_classifier()  # type: ignore[operator]
    owner = next(name for name, module in network.named_modules() if module is head)
    return {f"{owner}.{name}" for name, _ in head.named_parameters()}


def _is_imagenet_head(key: str, value: torch.Tensor, head: set[str], expected: dict[str, torch.Tensor]) -> bool:
    return key in head and value.shape != expected[key].shape and value.shape[0] in IMAGENET_CLASSES


def _shape_message(path: Path, name: str, key: str, value: torch.Tensor, expected: torch.Tensor, head: set[str]) -> str:
    if key in head and value.shape[1:] == expected.shape[1:]:
        return (
            f"{path} holds a classifier of {value.shape[0]} classes for {expected.shape[0]} labels; the numbers must match. "
            f"Use weights without a classifier, or data with the same labels"
        )
    return (
        f"{path} does not fit {name}: {key} has shape {tuple(value.shape)}, the network has {tuple(expected.shape)}; "
        "choose the network that the file was made for with --set model.name=..."
    )
