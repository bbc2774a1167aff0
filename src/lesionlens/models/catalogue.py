"""Networks that timm does not have: those of torchvision, and the composed ones of `models.fusion`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.operators import timm

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class InputConfig(NamedTuple):
    """What a network's pretrained weights expect of its input.

    Attributes:
        input_size: channels, height and width of their images.
        fixed_input_size: whether the network is built for one size; if not, it takes others.
        mean: per channel.
        std: per channel.
    """

    input_size: tuple[int, int, int]
    fixed_input_size: bool = False
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


USUAL_INPUT = InputConfig((3, 224, 224))


@dataclass(frozen=True)
class OwnNetwork:
    """A network that is built here and not in timm.

    Attributes:
        build: makes it with a linear classifier, from recipe, number of diagnoses, side of the input and initial weights:
            `none`, `imagenet` or a folder with a file for each of its parts.
        config: of its input.
        parts: the networks of timm that it is composed of, whose ImageNet weights it can start from.
        no_imagenet: why there are no ImageNet weights for it, and what to do; empty if there are.
    """

    build: Callable[[ModelRecipe, int, int, str], nn.Module]
    config: InputConfig = USUAL_INPUT
    parts: tuple[str, ...] = ()
    no_imagenet: str = ""


def _alexnet(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> nn.Module:
    from lesionlens.models.torchvision_networks import ALEXNET_DROPOUT, AlexNetOfTorchvision

    return AlexNetOfTorchvision(n_classes, dropout=recipe.drop_rate or ALEXNET_DROPOUT)


def _shufflenet(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> nn.Module:
    from lesionlens.models.torchvision_networks import ShuffleNetOfTorchvision

    return ShuffleNetOfTorchvision(recipe.name, n_classes, recipe.drop_rate)


def _of_torchvision(build: Callable[[ModelRecipe, int, int, str], nn.Module], name: str, enum: str) -> OwnNetwork:
    reason = (
        f"torchvision publishes them as a pickle (torchvision.models.{enum}.DEFAULT.url); fetch it and run: lesionlens convert "
        f"FILE.pth FILE.safetensors --network {name}, then --set model.weights=FILE.safetensors"
    )
    return OwnNetwork(build, no_imagenet=reason)


OWN: dict[str, OwnNetwork] = {
    "alexnet": _of_torchvision(_alexnet, "alexnet", "AlexNet_Weights"),
    **{
        f"shufflenet_v2_x{width}": _of_torchvision(_shufflenet, f"shufflenet_v2_x{width}", f"ShuffleNet_V2_X{width}_Weights")
        for width in ("0_5", "1_0", "1_5", "2_0")
    },
}
"""By name; `model.name` looks here before it asks timm."""


def is_network(name: str) -> bool:
    """Whether a network of that name can be built.

    >>> is_network("shufflenet_v2_x1_0"), is_network("convnext_tiny"), is_network("convnext_tinny")
    (True, True, False)
    """
    return name in OWN or bool(timm().is_model(name))


def known_names() -> list[str]:
    """Names of all networks, the own ones first."""
    return [*OWN, *timm().list_models()]


def input_config(name: str) -> InputConfig | None:
    """What a network's pretrained weights expect of its input; None if timm does not say.

    >>> input_config("inception_v3").input_size
    (3, 299, 299)
    """
    if name in OWN:
        return OWN[name].config
    config = timm().get_pretrained_cfg(name)
    if config is None:
        return None
    (red, green, blue), (red_std, green_std, blue_std) = config.mean, config.std
    return InputConfig(config.input_size, bool(config.fixed_input_size), (red, green, blue), (red_std, green_std, blue_std))
