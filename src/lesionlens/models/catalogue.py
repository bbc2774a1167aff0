"""Networks that timm does not have: those of torchvision, and the composed ones of `models.fusion`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from lesionlens.core.recipe import ModelRecipe

if TYPE_CHECKING:
    from torch import nn

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


def _composed(module: str) -> Callable[[ModelRecipe, int, int, str], nn.Module]:
    """The builder of a module of `models.fusion`, imported when it is asked for: none of them is needed to know the names."""

    def build(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> nn.Module:
        network: nn.Module = import_module(f"lesionlens.models.fusion.{module}").build(recipe, n_classes, size, weights)
        return network

    return build


HALF = (0.5, 0.5, 0.5)
XCEPTION_INPUT = InputConfig((3, 299, 299), False, HALF, HALF)
XCEPTION = OwnNetwork(_composed("xception_attention"), XCEPTION_INPUT, ("legacy_xception",))
EFFICIENTNET_INPUT = InputConfig((3, 300, 300), False, HALF, HALF)
COMPOSED = {
    "densenet_convnext": OwnNetwork(_composed("densenet_convnext"), parts=("densenet201", "convnext_large")),
    "convnext_st_aff": OwnNetwork(
        _composed("convnext_st_aff"), InputConfig((3, 224, 224), True), ("convnext_tiny", "swin_tiny_patch4_window7_224")
    ),
    "caformer_convnext": OwnNetwork(_composed("caformer_convnext"), parts=("caformer_s36",)),
    **dict.fromkeys(("xception_soft_attention", "xception_hard_attention", "xception_self_attention"), XCEPTION),
    "multiscale_efficientnetv2": OwnNetwork(_composed("multiscale_efficientnetv2"), EFFICIENTNET_INPUT, ("tf_efficientnetv2_s",)),
    "efam_net": OwnNetwork(_composed("efam_net"), parts=("convnext_tiny",)),
    "fuscanet": OwnNetwork(_composed("fuscanet"), InputConfig((3, 256, 256), False, (0.0,) * 3, (1.0,) * 3), ("mobilevit_s",)),
    "eff2net": OwnNetwork(_composed("eff2net"), EFFICIENTNET_INPUT, ("tf_efficientnetv2_s",)),
    "skintrans": OwnNetwork(_composed("skintrans"), InputConfig((3, 224, 224), True, HALF, HALF), ("vit_small_patch16_224",)),
    "convnext_transformer": OwnNetwork(_composed("convnext_transformer"), parts=("convnext_atto",)),
    "inherent_cnn": OwnNetwork(_composed("inherent_cnn"), no_imagenet="its paper trains it from random ones"),
    "xception_shufflenet": OwnNetwork(
        _composed("xception_shufflenet"),
        XCEPTION_INPUT,
        ("legacy_xception", "shufflenet_v2_x1_0"),
        "torchvision publishes those of its part shufflenet_v2_x1_0 as a pickle; convert that file with: lesionlens convert "
        "FILE.pth FOLDER/shufflenet_v2_x1_0.safetensors --network shufflenet_v2_x1_0, put legacy_xception.safetensors beside "
        "it, then --set model.weights=FOLDER",
    ),
}
"""The composed networks, by name; `parts` are the names of their files in a folder of weights."""

OWN: dict[str, OwnNetwork] = {
    "alexnet": _of_torchvision(_alexnet, "alexnet", "AlexNet_Weights"),
    **{
        f"shufflenet_v2_x{width}": _of_torchvision(_shufflenet, f"shufflenet_v2_x{width}", f"ShuffleNet_V2_X{width}_Weights")
        for width in ("0_5", "1_0", "1_5", "2_0")
    },
    **COMPOSED,
}
"""By name; `model.name` looks here before it asks timm."""


def is_network(name: str) -> bool:
    """Whether a network of that name can be built.

    >>> is_network("shufflenet_v2_x1_0"), is_network("convnext_tiny"), is_network("convnext_tinny")
    (True, True, False)
    """
    from lesionlens.models.operators import timm

    return name in OWN or bool(timm().is_model(name))


def known_names() -> list[str]:
    """Names of all networks, the own ones first."""
    from lesionlens.models.operators import timm

    return [*OWN, *timm().list_models()]


def input_config(name: str) -> InputConfig | None:
    """What a network's pretrained weights expect of its input; None if timm does not say.

    >>> input_config("inception_v3").input_size
    (3, 299, 299)
    """
    if name in OWN:
        return OWN[name].config
    from lesionlens.models.operators import timm

    config = timm().get_pretrained_cfg(name)
    if config is None:
        return None
    (red, green, blue), (red_std, green_std, blue_std) = config.mean, config.std
    return InputConfig(config.input_size, bool(config.fixed_input_size), (red, green, blue), (red_std, green_std, blue_std))
