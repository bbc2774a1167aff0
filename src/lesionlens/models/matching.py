"""Tensors of a file against the names and shapes of a network of timm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lesionlens.core.errors import WeightsError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.build import build_network
from lesionlens.models.weights import head_names, other_head_names

COUNTER = "num_batches_tracked"
BY_NAMES, BY_ORDER = "names", "order"


def match_network(tensors: Mapping[str, Tensor], network: str, path: Path) -> tuple[dict[str, Tensor], list[str], str]:
    """The tensors under timm's names, without counters of batch norms and hidden layers of a classifier that the network lacks.

    They fit if every name and shape is the network's. Otherwise they fit if, one by one in their order, all shapes are
    those of the network. The classifier may be absent, or have any number of classes.

    Args:
        tensors: by the names of the file.
        network: a name of timm.
        path: the file, for messages.

    Returns:
        The tensors, the names of those that were dropped, and how they fit: `names` or `order`.

    Raises:
        ModelError: if timm does not know the network.
        WeightsError: if the tensors fit in neither way.
    """
    with torch.device("meta"):
        built = build_network(ModelRecipe(network, weights="none"), 2, pretrained=False)
    expected, head = dict(built.state_dict()), head_names(built)
    unused = [name for name in tensors if name.endswith(COUNTER) and name not in expected]
    unused += sorted(other_head_names(head, tensors))
    given = {name: tensor for name, tensor in tensors.items() if name not in unused}
    problem = _name_problem(given, expected, head)
    if problem is None:
        return given, unused, BY_NAMES
    plain = {name: tensor for name, tensor in given.items() if not name.endswith(COUNTER)}
    names = [name for name in expected if not name.endswith(COUNTER)]
    for order in (names, [name for name in names if name not in head]):
        if _same_shapes(plain, order, expected, head):
            dropped = [*unused, *(name for name in given if name.endswith(COUNTER))]
            return dict(zip(order, plain.values(), strict=True)), dropped, BY_ORDER
    raise WeightsError(
        f"{path} does not fit {network} by name ({problem}), nor by order ({len(plain)} tensors for {len(names)}); give the "
        "network that the file was made for with --network, or leave --network out to keep the file's own names"
    )


def _name_problem(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], head: set[str]) -> str | None:
    missing = [name for name in expected if name not in given and name not in head and not name.endswith(COUNTER)]
    unknown = [name for name in given if name not in expected]
    if missing or unknown:
        return f"{len(missing)} missing and {len(unknown)} unknown, for example {(unknown or missing)[0]}"
    for name, tensor in given.items():
        if not _fits(name, tensor, expected, head):
            return f"{name} has shape {tuple(tensor.shape)}, the network {tuple(expected[name].shape)}"
    return None


def _same_shapes(given: Mapping[str, Tensor], order: list[str], expected: Mapping[str, Tensor], head: set[str]) -> bool:
    pairs = zip(order, given.values(), strict=False)
    return len(order) == len(given) and all(_fits(name, tensor, expected, head) for name, tensor in pairs)


def _fits(name: str, tensor: Tensor, expected: Mapping[str, Tensor], head: set[str]) -> bool:
    if name in head:
        return tensor.ndim == expected[name].ndim and tensor.shape[1:] == expected[name].shape[1:]
    return tensor.shape == expected[name].shape
