"""timm networks, by timm's names, with a classifier for these diagnoses."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.errors import ModelError, WeightsError
from lesionlens.core.labels import LabelSet
from lesionlens.core.machine import library_threads
from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.operators import timm
from lesionlens.models.weights import InitialWeights, check_weights, load_weights

HEAD_STD = 0.01
N_CLASSES_CHECKED = 2  # of a network that is only built to see whether it can be
WEIGHTS_WITHOUT_FILE = ("imagenet", "none")


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
        ModelError: if timm does not know the name.
        WeightsError: if the weights are not available or do not fit.
    """
    bound_threads()
    network = _create(recipe, n_classes, size, pretrained and recipe.weights == "imagenet")
    head = network.get_classifier()  # type: ignore[operator]
    if not isinstance(head, nn.Linear):
        raise ModelError(
            f"{recipe.name} has no linear classifier but {type(head).__name__}; choose a plain classification network"
        )
    nn.init.normal_(head.weight, std=HEAD_STD)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
    if pretrained and recipe.weights not in WEIGHTS_WITHOUT_FILE:
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
        ModelError: if timm does not know the name.
        WeightsError: if the weights are not available or do not fit.
    """
    if recipe.weights in WEIGHTS_WITHOUT_FILE:
        return build_network(recipe, len(labels), size), None
    network = build_network(recipe, len(labels), size, pretrained=False)
    return network, load_weights(network, Path(recipe.weights).expanduser(), recipe.name, labels.codes)


def check_network(recipe: ModelRecipe, size: int = 224) -> None:
    """Make sure that a network can be built and its weights be read, before the diagnoses are known.

    Raises:
        ModelError, WeightsError: as `build_initial_network`.
    """
    with_file = recipe.weights not in WEIGHTS_WITHOUT_FILE
    network = build_network(recipe, N_CLASSES_CHECKED, size, pretrained=not with_file)
    if with_file:
        check_weights(network, Path(recipe.weights).expanduser(), recipe.name)


def bound_threads() -> None:
    """Lower the number of torch's threads to the CPU quota of the container, which torch does not know of."""
    threads = library_threads()
    if 0 < threads < torch.get_num_threads():
        torch.set_num_threads(threads)


def _create(recipe: ModelRecipe, n_classes: int, size: int, download: bool) -> nn.Module:
    library = timm()
    if not library.is_model(recipe.name):
        similar = difflib.get_close_matches(recipe.name, library.list_models(), n=3)
        raise ModelError(
            f"timm knows no network {recipe.name!r}; near are {', '.join(similar) or 'none'}. "
            "List networks with: lesionlens networks PATTERN"
        )
    options: dict[str, Any] = {"num_classes": n_classes, "drop_rate": recipe.drop_rate}
    if recipe.drop_path_rate:
        options["drop_path_rate"] = recipe.drop_path_rate
    cfg = library.get_pretrained_cfg(recipe.name)
    if cfg is not None and cfg.fixed_input_size:
        options["img_size"] = size
    try:
        network: nn.Module = library.create_model(recipe.name, pretrained=download, **options)
    except (OSError, RuntimeError) as error:
        if not download:
            raise ModelError(f"{recipe.name} cannot be built for {size} pixels and {n_classes} classes: {error}") from error
        raise WeightsError(
            f"ImageNet weights of {recipe.name} are not available ({_first_line(error)}); connect to the internet, give a "
            "file with --set model.weights=FILE.safetensors, or start from random weights with --set model.weights=none"
        ) from error
    return network


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
