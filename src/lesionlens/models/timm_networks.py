"""Networks of timm by name, with weights of its hub or without."""

from __future__ import annotations

import difflib
from typing import Any

from torch import nn

from lesionlens.core.errors import ModelError, WeightsError
from lesionlens.models.catalogue import known_names
from lesionlens.models.operators import timm

PLAIN_HEADS = {"metaformer": {"use_mlp_head": False}}
"""Options, by the module of timm, that give a linear head where timm's own has a hidden layer (CAFormer, ConvFormer).

The hidden layer belongs to the classifier of ImageNet, which is replaced; pooling, LayerNorm and one linear layer remain, as
in ConvNeXt, so the heat maps have a closed form.
"""


def create_timm(name: str, n_classes: int, size: int, download: bool, options: dict[str, Any]) -> nn.Module:
    """A network of timm.

    Args:
        name: with or without the tag of its weights, as in `convnext_tiny.fb_in1k`.
        n_classes: outputs of its classifier.
        size: side of the input, pixels; only networks of a fixed input size use it.
        download: whether to load the weights of timm's hub, in safetensors.
        options: others of timm's `create_model`.

    Raises:
        ModelError: if timm does not know the name, or it cannot be built so.
        WeightsError: if its weights are not available.
    """
    library = timm()
    if not library.is_model(name):
        similar = difflib.get_close_matches(name, known_names(), n=3)
        raise ModelError(
            f"timm knows no network {name!r}; near are {', '.join(similar) or 'none'}. "
            "List networks with: lesionlens networks PATTERN"
        )
    options = {"num_classes": n_classes, **options, **_options_of(name)}
    cfg = library.get_pretrained_cfg(name)
    if cfg is not None and cfg.fixed_input_size:
        options["img_size"] = size
    try:
        network: nn.Module = library.create_model(name, pretrained=download, **options)
    except TypeError as error:
        unknown = next((key for key in options if f"'{key}'" in str(error)), "")
        if not unknown:
            raise
        raise ModelError(f"{name} has no {unknown}; leave model.{unknown} at its default, or choose another network") from error
    except (OSError, RuntimeError) as error:
        if not download:
            raise ModelError(f"{name} cannot be built for {size} pixels and {n_classes} classes: {error}") from error
        raise WeightsError(
            f"ImageNet weights of {name} are not available ({_first_line(error)}); connect to the internet, give a "
            "file with --set model.weights=FILE.safetensors, or start from random weights with --set model.weights=none"
        ) from error
    return network


def _options_of(name: str) -> dict[str, Any]:
    modules = [module for module in PLAIN_HEADS if timm().models.is_model_in_modules(name, {module})]
    return {key: value for module in modules for key, value in PLAIN_HEADS[module].items()}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
