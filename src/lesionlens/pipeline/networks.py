"""Networks that LesionLens can build: size, input, normalisation, and kind of heat map."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import nn

from lesionlens.core.errors import LesionLensError, ModelError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.core.recipe_file import load_recipe, recipe_names
from lesionlens.explanation.attribution import build_explainer
from lesionlens.models.build import build_network, outline
from lesionlens.models.catalogue import OWN, input_config
from lesionlens.models.operators import timm

N_CLASSES = 7
PROBE_SIZE = 128
LARGEST_TRIED = 100_000_000
"""Parameters up to which a network is built to find its kind of heat map; a larger one takes long and much memory."""
NOT_TRIED = "not tried"
FAMILIES = (
    *("convnext_*", "convnextv2_*", "mobilenetv2_*", "mobilenetv3_*", "efficientnet_b*", "tf_efficientnet_lite*"),
    *("resnet*", "regnety_*", "densenet*", "swin_tiny_*", "vit_tiny_*", "mambaout_femto*"),
)
"""Patterns of the families that are listed without a pattern, by their first network with pretrained weights."""
NORMALISATIONS = {
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)): "imagenet",
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)): "half",
}
"""Mean and standard deviation by the value of `input.normalise` that gives them."""


@dataclass(frozen=True)
class Network:
    """What can be known of a network before it is trained.

    Attributes:
        name: as `model.name`.
        parameters: with a classifier of seven diagnoses.
        input_size: side of the images that its pretrained weights saw, pixels.
        any_size: whether it takes images of other sizes; if not, it is built for `input.size` and keeps that size.
        normalise: the value of `input.normalise` that its pretrained weights expect, or `other` (give `training`).
        weights: number of sets of pretrained weights in timm's hub; for a composed network, 1 if all its parts have some.
        heat_map: kind of heat map, as `lesionlens explain` names it, or `not tried` for a very large network.
    """

    name: str
    parameters: int
    input_size: int
    any_size: bool
    normalise: str
    weights: int
    heat_map: str

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return dict(vars(self))


def network_names(pattern: str = "") -> list[str]:
    """Names of networks, those that timm does not have first.

    Args:
        pattern: a shell pattern such as `resnet*`, or how names start, in any case; with a dot, the names of sets of
            pretrained weights (`convnext_tiny.`); if empty, the networks of the recipes, then the
            first network with pretrained weights of each of `FAMILIES`.

    Raises:
        ModelError: if no name fits.
    """
    library = timm()
    if not pattern:
        first = [name for family in FAMILIES for name in _architectures(family)[:1]]
        return list(dict.fromkeys([*(load_recipe(name).model.name for name in recipe_names()), *first]))
    pattern, tagged = pattern.lower(), "." in pattern
    pattern_of_names = pattern if set(pattern) & set("*?[") else f"{pattern}*"
    names: list[str] = [*fnmatch.filter(OWN, pattern_of_names), *library.list_models(pattern_of_names, pretrained=tagged)]
    if not names:
        known = [*OWN, *library.list_models(pretrained=tagged)]
        near = (
            difflib.get_close_matches(pattern.strip("*"), known, n=3)
            or [name for name in known if pattern.strip("*") in name][:3]
        )
        raise ModelError(
            f"no network of timm fits {pattern!r}; near are {', '.join(near) or 'none'}. Give the start of a name, or a pattern "
            "such as '*net*'"
        )
    return names


def own_names() -> list[str]:
    """Names of the networks that timm does not have.

    >>> "alexnet" in own_names()
    True
    """
    return list(OWN)


def describe_networks(
    names: Sequence[str], progress: Callable[[int], None] = lambda steps: None
) -> tuple[list[Network], dict[str, str]]:
    """Describe networks; those that LesionLens cannot build are left out.

    They are built without values. The kind of heat map follows from what comes after the last stage, so of all networks
    with the same class and head, only the smallest is built with values and tried.

    Args:
        names: of networks.
        progress: called with 1 after each network.

    Returns:
        The networks in the order of `names`, and the reason for each name that was left out.
    """
    outlines: list[_Outline] = []
    left_out: dict[str, str] = {}
    for name in names:
        try:
            outlines.append(_outline(name))
        except LesionLensError as error:
            left_out[name] = str(error)
        progress(1)
    kinds: dict[Any, str] = {}
    for each in sorted(outlines, key=lambda each: each.network.parameters):
        if each.head not in kinds:
            kinds[each.head] = _heat_map(each.network)
    return [replace(each.network, heat_map=kinds[each.head]) for each in outlines], left_out


class _Outline(NamedTuple):
    network: Network
    head: Any  # equal for networks whose heat maps are of the same kind


def _outline(name: str) -> _Outline:
    """A network without its kind of heat map.

    Raises:
        ModelError: if it cannot be built, has no linear classifier, or takes no square images of three channels.
    """
    config = input_config(name)
    if config is None:
        raise ModelError("timm does not say what its input is")
    channels, height, width = config.input_size
    if channels != 3 or height != width:
        raise ModelError(f"its input is {channels} x {height} x {width}, not a square of three channels")
    shapes = outline(ModelRecipe(name, weights="none"), N_CLASSES, height)
    network = Network(
        name=name,
        parameters=sum(parameter.numel() for parameter in shapes.parameters()),
        input_size=height,
        any_size=not config.fixed_input_size,
        normalise=NORMALISATIONS.get((config.mean, config.std), "other"),
        weights=_weight_sets(name),
        heat_map=NOT_TRIED,
    )
    return _Outline(network, _head_structure(shapes))


def _weight_sets(name: str) -> int:
    if name in OWN:
        return int(not OWN[name].no_imagenet)
    return 1 if "." in name else len(timm().list_models(f"{name}.*", pretrained=True))


def _head_structure(network: nn.Module) -> tuple[Any, ...]:
    """The class of a network and of its parts, those in the part of the classifier in full."""
    classifier = network.get_classifier()  # type: ignore[operator]
    parts = list(network.named_children())
    head = [part for _, part in parts if any(module is classifier for module in part.modules())]
    inner = [type(module) for part in head for module in part.modules()]
    pooling = str(getattr(network, "global_pool", ""))  # ViTs with averaged tokens have the modules of those with a class token
    return type(network), tuple((name, type(part)) for name, part in parts), tuple(inner), pooling


def _heat_map(network: Network) -> str:
    if network.parameters > LARGEST_TRIED:
        return NOT_TRIED
    size = min(network.input_size, PROBE_SIZE) if network.any_size else network.input_size
    built = build_network(ModelRecipe(network.name, weights="none"), N_CLASSES, size)
    return build_explainer(built, size, "auto").name


def _architectures(pattern: str) -> list[str]:
    """Names without the tag of their weights, in timm's order."""
    names = timm().list_models(pattern, pretrained=True)
    return list(dict.fromkeys(name.partition(".")[0] for name in names))
