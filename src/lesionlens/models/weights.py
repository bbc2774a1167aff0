"""Initial weights from a local safetensors file, checked name by name and shape by shape."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lesionlens.core import legacy
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import DataError, WeightsError
from lesionlens.core.labels import LabelSet
from lesionlens.core.pickles import is_pickle_name, pickle_remedy
from lesionlens.models.metadata_head import NAME as METADATA_HEAD

IMAGENET_CLASSES = (1000, 11821, 12000, 21841, 21843)
"""Classifier sizes of ImageNet weights; these classifiers are replaced, others are refused."""
METADATA_KEY = "lesionlens"
"""Where a checkpoint of LesionLens keeps its JSON in the header of the file."""
PICKLE_STARTS = (b"PK\x03\x04", b"\x80")
SHOWN_LABELS = 8

BEST, PRETRAINED = "best", "pretrained"
"""Kinds of files with weights: the best checkpoint of a run; and a network without classifier of `lesionlens pretrain`, with the
images that it saw."""
KEPT, REPLACED, ABSENT = "kept", "replaced", "absent"


@dataclass(frozen=True)
class InitialWeights:
    """Where the initial weights of a training came from, and what became of their classifier.

    Attributes:
        file: name of the file, without its folder.
        sha256: of the file.
        labels: codes of the diagnoses of a checkpoint of LesionLens, in the order of its outputs; empty for other files.
        classifier: `kept`, `replaced` by a new one, or `absent` from the file.
        reason: why, in words.
    """

    file: str
    sha256: str
    labels: tuple[str, ...]
    classifier: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form, for checkpoints."""
        return {**vars(self), "labels": list(self.labels)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> InitialWeights:
        """Read what `to_json` wrote."""
        return cls(**{**value, "labels": tuple(value["labels"])})

    def note(self) -> str:
        """One line for people."""
        what = {
            KEPT: "its classifier is kept",
            REPLACED: "its classifier is replaced by a new one",
            ABSENT: "it has no classifier, so training starts with a new one",
        }
        return f"initial weights from {self.file}: {what[self.classifier]}" + (f" ({self.reason})" if self.reason else "")


class _File(NamedTuple):
    path: Path
    tensors: dict[str, Tensor]
    checkpoint: Mapping[str, Any] | None  # the metadata of a checkpoint of LesionLens


def load_weights(network: torch.nn.Module, path: Path, name: str, labels: Sequence[str] | None = None) -> InitialWeights:
    """Fill `network` from a safetensors file whose parameter names are timm's.

    The network's own new classifier stays if the file has none, or one of ImageNet, or is a checkpoint of
    LesionLens with other diagnoses or another order of them.

    Args:
        network: a timm network, changed in place.
        path: the file.
        name: the network's name, for messages.
        labels: codes of the diagnoses in the order of the network's outputs. If None, only their number is compared.

    Raises:
        WeightsError: if the file is missing, damaged, a pickle, or does not fit the network.
    """
    file = _read(path)
    trained_labels = _check_checkpoint(file, name) if file.checkpoint is not None else ()
    head, expected = head_names(network), network.state_dict()
    other_head = other_head_names(head, file.tensors)
    classifier, reason = _classifier(file.tensors, expected, head, trained_labels, labels)
    if classifier == ABSENT and other_head:
        classifier, reason = REPLACED, "it has a hidden layer"
    state = file.tensors if classifier == KEPT else _without(head | other_head, file.tensors)
    if file.checkpoint is not None and file.checkpoint["kind"] == PRETRAINED:
        reason = f"pretrained without diagnoses, by {file.checkpoint['method']}"
    metadata = _metadata_names((*expected, *state))
    if classifier != KEPT or not _same_metadata(state, expected):
        state = _without(metadata, state)
    _check_tensors(state, expected, head | metadata, path, name)
    network.load_state_dict(state, strict=False)
    return InitialWeights(path.name, hash_file(path), trained_labels, classifier, reason)


def check_weights(network: torch.nn.Module, path: Path, name: str) -> None:
    """Make sure that `load_weights` could read a file, its classifier aside, before the diagnoses are known.

    Raises:
        WeightsError: as `load_weights`.
    """
    _backbone_state(network, path, name)


def images_of_pretraining(path: Path) -> dict[str, Any] | None:
    """Which images the weights of a file were pretrained on; None unless `lesionlens pretrain` wrote it.

    Raises:
        WeightsError: if it is missing, damaged or a pickle.
    """
    checkpoint = _read(path).checkpoint
    if checkpoint is None or checkpoint["kind"] != PRETRAINED:
        return None
    return dict(checkpoint["images"])


def load_backbone(network: torch.nn.Module, path: Path, name: str) -> None:
    """Fill everything but the classifier, whatever classifier the file has.

    Raises:
        WeightsError: as `load_weights`.
    """
    network.load_state_dict(_backbone_state(network, path, name), strict=False)


def _backbone_state(network: torch.nn.Module, path: Path, name: str) -> dict[str, Tensor]:
    file = _read(path)
    if file.checkpoint is not None:
        _check_checkpoint(file, name)
    head, expected = head_names(network), network.state_dict()
    ignored = head | other_head_names(head, file.tensors) | _metadata_names((*expected, *file.tensors))
    state = _without(ignored, file.tensors)
    _check_tensors(state, expected, ignored, path, name)
    return state


def _metadata_names(names: Iterable[str]) -> set[str]:
    """Parameters of a metadata head: a file may lack them, and they start anew where the diagnoses or the fields are others."""
    return {name for name in names if name.startswith(f"{METADATA_HEAD}.")}


def _same_metadata(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    names = _metadata_names((*tensors, *expected))
    return all(name in tensors and name in expected and tensors[name].shape == expected[name].shape for name in names)


def _without(head: set[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in tensors.items() if key not in head}


def _read(path: Path) -> _File:
    if is_pickle_name(str(path)):
        raise WeightsError(f"{path} is a pickle, which can run code when it is loaded; {pickle_remedy(str(path))}")
    if not path.is_file():
        raise WeightsError(f"weights {path!s} is neither imagenet, none, nor an existing safetensors file; check model.weights")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError) as error:
        if looks_like_pickle(path):
            raise WeightsError(f"{path} is a pickle in spite of its name; {pickle_remedy(str(path))}") from error
        raise WeightsError(f"{path} is not a readable safetensors file ({error}); fetch or copy it again") from error
    return _File(path, tensors, _checkpoint(metadata, path))


def looks_like_pickle(path: Path) -> bool:
    """Whether a file starts as torch's zip archives and pickles do."""
    with path.open("rb") as stream:
        return stream.read(4).startswith(PICKLE_STARTS)


def _checkpoint(metadata: Mapping[str, str], path: Path) -> Mapping[str, Any] | None:
    if METADATA_KEY not in metadata:
        return None
    try:
        value = json.loads(metadata[METADATA_KEY])
        return {"kind": str(value["kind"]), **legacy.current(value["info"])}
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is a checkpoint whose metadata are not readable ({error!r}); copy it again") from error


def _check_checkpoint(file: _File, name: str) -> tuple[str, ...]:
    """The codes of the checkpoint's diagnoses, none if it was pretrained without; it must be a network, of this name, with all
    its channels."""
    assert file.checkpoint is not None
    kind = file.checkpoint["kind"]
    if kind not in (BEST, PRETRAINED):
        raise WeightsError(
            f"{file.path} is the state of a training run; give the best.safetensors (or backbone.safetensors) beside it"
        )
    try:
        network = file.checkpoint["recipe"]["model"]["name"]
        codes = LabelSet.from_json(file.checkpoint["labels"]).codes if kind == BEST else ()
    except (KeyError, TypeError, DataError) as error:
        raise WeightsError(f"{file.path} is a checkpoint whose metadata are not readable ({error!r}); copy it again") from error
    if network.partition(".")[0] != name.partition(".")[0]:  # behind the dot, timm names pretrained weights
        raise WeightsError(f"{file.path} is a checkpoint of {network}, not of {name}; train it with --set model.name={network}")
    if file.checkpoint.get("channel_pruned", False):
        raise WeightsError(
            f"{file.path} is a channel-pruned {name}, which has other shapes; give the checkpoint that it was pruned from"
        )
    return codes


def _classifier(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    head: set[str],
    trained_labels: tuple[str, ...],
    labels: Sequence[str] | None,
) -> tuple[str, str]:
    """What becomes of the file's classifier, and why."""
    present = sorted(head & tensors.keys())
    if not present:
        return ABSENT, ""
    n_classes = len(tensors[present[0]])
    if trained_labels and labels is not None:
        if trained_labels == tuple(labels):
            return KEPT, "the same diagnoses"
        what = "another order of diagnoses" if set(trained_labels) == set(labels) else "other diagnoses"
        return REPLACED, f"{what}: {_listed(trained_labels)} there, {_listed(labels)} here"
    if n_classes != len(expected[present[0]]) and n_classes in IMAGENET_CLASSES:
        return REPLACED, f"{n_classes} classes of ImageNet"
    return KEPT, f"{n_classes} classes; the file does not say which" if not trained_labels else f"{n_classes} classes"


def _listed(labels: Sequence[str]) -> str:
    rest = len(labels) - SHOWN_LABELS
    return ", ".join(labels[:SHOWN_LABELS]) + (f" and {rest} more" if rest > 0 else "")


def _check_tensors(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], head: set[str], path: Path, name: str) -> None:
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


def head_names(network: torch.nn.Module) -> set[str]:
    """Names of the parameters of a network's classifier."""
    head = network.get_classifier()  # type: ignore[operator]
    owner = next(name for name, module in network.named_modules() if module is head)
    return {f"{owner}.{name}" for name, _ in head.named_parameters()}


def other_head_names(head: set[str], tensors: Mapping[str, Tensor]) -> set[str]:
    """Names in a file that belong to a classifier of another kind in the place of `head`, such as CAFormer's hidden layer.

    >>> sorted(other_head_names({"head.fc.weight"}, dict.fromkeys(("head.fc.fc1.weight", "head.norm.weight"))))
    ['head.fc.fc1.weight']
    """
    owners = {name.rpartition(".")[0] for name in head}
    return {name for name in tensors if name not in head and any(name.startswith(f"{owner}.") for owner in owners)}


def _shape_message(path: Path, name: str, key: str, value: Tensor, expected: Tensor, head: set[str]) -> str:
    if key in head and value.shape[1:] == expected.shape[1:]:
        return (
            f"{path} holds a classifier of {value.shape[0]} classes for {expected.shape[0]} labels; the numbers must match. "
            f"Use weights without a classifier, or data with the same labels"
        )
    return (
        f"{path} does not fit {name}: {key} has shape {tuple(value.shape)}, the network has {tuple(expected.shape)}; "
        "choose the network that the file was made for with --set model.name=..."
    )
