"""Networks by name, of timm and of `models.catalogue`, with a classifier for these diagnoses."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from lesionlens.core.errors import LesionLensError, ModelError, WeightsError
from lesionlens.core.labels import LabelSet
from lesionlens.core.machine import library_threads
from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.catalogue import OWN, input_config, is_network
from lesionlens.models.metadata_head import NAME as METADATA_HEAD
from lesionlens.models.metadata_head import MetadataHead
from lesionlens.models.timm_networks import create_timm
from lesionlens.models.weights import InitialWeights, check_weights, load_weights

HEAD_STD = 0.01
N_CLASSES_CHECKED = 2  # of a network that is only built to see whether it can be
WEIGHTS_WITHOUT_FILE = ("imagenet", "none")
SIZES_TRIED = (32, 48, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512)
NOT_TAKEN = (RuntimeError, ValueError, AssertionError, TypeError, IndexError, ZeroDivisionError)
"""What networks of timm raise for a size that they do not take."""


class Normalise(nn.Module):
    """uint8 pixels to normalised floats: (value / 255 - mean) / std, per channel.

    Args:
        mean: per channel (R, G, B), in [0, 1].
        std: per channel, in (0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalise `images` (N, 3, H, W), uint8 or float in [0, 255]."""
        return (images.float() - self.mean) / self.std


def build_network(recipe: ModelRecipe, n_classes: int, size: int = 224, pretrained: bool = True) -> nn.Module:
    """A network with global pooling and a linear classifier for `n_classes`.

    The classifier is initialised small (normal, std 0.01): with few classes, timm's initialisation of
    EfficientNet and MobileNet is so large that the first steps damage a pretrained backbone.

    Args:
        recipe: name, weights and drop rates.
        n_classes: number of diagnoses.
        size: side of the input, pixels; only networks of a fixed input size (most transformers) use it.
        pretrained: whether to load `recipe.weights`; False if a checkpoint is loaded afterwards.

    Raises:
        ModelError: if no network has the name, or it cannot be built for the size.
        WeightsError: if the weights are not available or do not fit.
    """
    bound_threads()
    network = _create(recipe, n_classes, size, recipe.weights if pretrained and not _in_file(recipe) else "none")
    head = network.get_classifier()  # type: ignore[operator]
    if not isinstance(head, nn.Linear):
        raise ModelError(
            f"{recipe.name} has no linear classifier but {type(head).__name__}; choose a plain classification network"
        )
    nn.init.normal_(head.weight, std=HEAD_STD)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
    if recipe.metadata:
        network.add_module(METADATA_HEAD, MetadataHead(recipe.metadata, n_classes))
    if pretrained and _in_file(recipe):
        load_weights(network, Path(recipe.weights).expanduser(), recipe.name)
    return network


def build_initial_network(recipe: ModelRecipe, labels: LabelSet, size: int = 224) -> tuple[nn.Module, InitialWeights | None]:
    """A network to start training from, and what became of the file of its weights, if there is one.

    Unlike `build_network`, it compares the diagnoses of a checkpoint with `labels`, not only their number.

    Args:
        recipe: name, weights and drop rates.
        labels: the diagnoses of the training, in the order of the outputs.
        size: side of the input, pixels.

    Raises:
        ModelError: if no network has the name, or it does not take the size.
        WeightsError: if the weights are not available or do not fit.
    """
    check_takes(recipe, size)
    if not _in_file(recipe):
        return build_network(recipe, len(labels), size), None
    network = build_network(recipe, len(labels), size, pretrained=False)
    return network, load_weights(network, Path(recipe.weights).expanduser(), recipe.name, labels.codes)


def check_network(recipe: ModelRecipe, size: int = 224) -> None:
    """Make sure that a network can be built and its weights be read, before the diagnoses are known.

    Raises:
        ModelError, WeightsError: as `build_initial_network`.
    """
    check_takes(recipe, size)
    with_file = _in_file(recipe)
    network = build_network(recipe, N_CLASSES_CHECKED, size, pretrained=not with_file)
    if with_file:
        check_weights(network, Path(recipe.weights).expanduser(), recipe.name)


def bound_threads() -> None:
    """Lower the number of torch's threads to the CPU quota of the container, which torch does not know of."""
    threads = library_threads()
    if 0 < threads < torch.get_num_threads():
        torch.set_num_threads(threads)


def outline(recipe: ModelRecipe, n_classes: int, size: int) -> nn.Module:
    """A network without values: its tensors have shapes only, so it takes no memory.

    >>> sum(each.numel() for each in outline(ModelRecipe("convnext_tiny"), 7, 224).parameters())
    27825511
    """
    with torch.device("meta"):
        return build_network(recipe, n_classes, size, pretrained=False)


@lru_cache(maxsize=256)  # it takes most of a second, and a pipeline asks before its first stage and again before the training
def check_takes(recipe: ModelRecipe, size: int) -> None:
    """Make sure that a network takes images of `size` pixels, without memory for its weights.

    Raises:
        ModelError: if no network has the name, or it does not take the size; the message names sizes that it takes.
    """
    if not is_network(recipe.name):
        outline(recipe, N_CLASSES_CHECKED, size)  # says which names are near
    reason = _refusal(recipe, size)
    if not reason:
        return
    fixed = getattr(input_config(recipe.name), "fixed_input_size", True)
    network = None if fixed else outline(recipe, N_CLASSES_CHECKED, size)
    taken = [str(each) for each in SIZES_TRIED if not _refusal(recipe, each, network)]
    if not taken:
        raise ModelError(f"{recipe.name} cannot be trained at any size: {reason}")
    raise ModelError(
        f"{recipe.name} does not take images of {size} pixels ({reason[:120]}); of {SIZES_TRIED[0]} to {SIZES_TRIED[-1]} "
        f"it takes {', '.join(taken)}. Set input.size to one of them"
    )


def _refusal(recipe: ModelRecipe, size: int, network: nn.Module | None = None) -> str:
    """Why a network does not take images of this size; empty if it does. It is outlined for the size if it is not given."""
    try:
        network = outline(recipe, N_CLASSES_CHECKED, size) if network is None else network
        with torch.no_grad():
            network.eval()(torch.zeros(2, 3, size, size, device="meta"))
    except (LesionLensError, *NOT_TAKEN) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def _in_file(recipe: ModelRecipe) -> bool:
    """Whether the weights are one file of the whole network; those of a composed network's parts may be a folder of files."""
    composed = recipe.name in OWN and bool(OWN[recipe.name].parts)
    return recipe.weights not in WEIGHTS_WITHOUT_FILE and not (composed and Path(recipe.weights).expanduser().is_dir())


def _create(recipe: ModelRecipe, n_classes: int, size: int, weights: str) -> nn.Module:
    if recipe.name not in OWN:
        return create_timm(recipe.name, n_classes, size, weights == "imagenet", _drop_rates(recipe))
    own = OWN[recipe.name]
    if weights == "imagenet" and own.no_imagenet:
        raise WeightsError(
            f"{recipe.name} has no ImageNet weights to load: {own.no_imagenet}; random weights are --set model.weights=none"
        )
    return own.build(recipe, n_classes, size, weights)


def _drop_rates(recipe: ModelRecipe) -> dict[str, float]:
    rates = {"drop_rate": recipe.drop_rate}
    return {**rates, "drop_path_rate": recipe.drop_path_rate} if recipe.drop_path_rate else rates
