"""What composed networks share: parts of timm with their initial weights, a head with heat maps in closed form, a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.errors import WeightsError
from lesionlens.models.timm_networks import create_timm
from lesionlens.models.weights import load_backbone

HEADS = ("head", "classifier", "fc")


EXPANSION, LAYER_SCALE = 4, 1e-6  # of a block of ConvNeXt


@dataclass(frozen=True)
class InitialParts:
    """Makes the parts of a composed network.

    Attributes:
        weights: `none`, `imagenet` (timm's hub), or a folder with `<part>.safetensors` for each part.
        n_classes: number of diagnoses; the classifiers of the parts have it until they are removed.
        size: side of the input, pixels.
        drop_path_rate: stochastic depth of the parts that have it.
    """

    weights: str
    n_classes: int
    size: int
    drop_path_rate: float = 0.0

    def backbone(self, name: str, **options: Any) -> Any:
        """A network of timm without its head.

        Raises:
            WeightsError: if its weights are missing or do not fit, naming the part.
        """
        rates = {"drop_path_rate": self.drop_path_rate} if self.drop_path_rate else {}
        try:
            network = create_timm(name, self.n_classes, self.size, self.weights == "imagenet", {**rates, **options})
        except WeightsError as error:
            raise WeightsError(f"part {name}: {error}") from error
        self.fill(network, name)
        head = next(attribute for attribute in HEADS if hasattr(network, attribute))
        setattr(network, head, nn.Identity())
        return network

    def fill(self, network: nn.Module, name: str) -> None:
        """Load the weights of a part from the folder, if there is one.

        Raises:
            WeightsError: if they are missing or do not fit, naming the part.
        """
        if self.weights not in ("none", "imagenet"):
            load_backbone(network, self._file(name), name)

    def _file(self, name: str) -> Path:
        path = Path(self.weights).expanduser() / f"{name}.safetensors"
        if not path.is_file():
            raise WeightsError(
                f"part {name} has no weights: {path} does not exist; a folder of weights needs one file for each part. "
                "Add it, or start from random weights with --set model.weights=none"
            )
        return path


class ComposedNetwork(nn.Module):
    """Base of composed networks, with the methods of a network of timm that LesionLens calls.

    A subclass gives `forward_features`; average pooling, an optional LayerNorm and one linear layer follow, so heat maps of
    all diagnoses have a closed form in every composed network.

    Args:
        width: channels of the features.
        n_classes: number of diagnoses.
        drop_rate: dropout before the linear layer.
        norm: whether a LayerNorm stands between pooling and the linear layer.
    """

    def __init__(self, width: int, n_classes: int, drop_rate: float = 0.0, norm: bool = False) -> None:
        super().__init__()
        self.num_features = width
        self.head_norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.head_drop = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(width, n_classes)

    def forward_features(self, images: Tensor) -> Tensor:
        """Features (N, C, h, w) of normalised images (N, 3, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} gives no features")

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (N, K) of features (N, C, h, w); with `pre_logits` the pooled features, (N, C)."""
        pooled: Tensor = self.head_drop(self.head_norm(features.mean((2, 3))))
        return pooled if pre_logits else self.get_classifier()(pooled)

    def get_classifier(self) -> nn.Linear:
        """The linear layer."""
        return self.classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of normalised images (N, 3, H, W)."""
        return self.forward_head(self.forward_features(images))


class ConvNeXtBlock(nn.Module):
    """The block of ConvNeXt: depthwise convolution, LayerNorm, two linear layers, layer scale, residual (Liu 2022, fig. 4).

    The scale starts so small that the block changes almost nothing.

    Args:
        channels: of the features, which keep their shape.
        sizes: sides of depthwise convolutions that stand side by side and are added, odd.
    """

    def __init__(self, channels: int, sizes: Sequence[int] = (7,)) -> None:
        super().__init__()
        self.depthwise = nn.ModuleList(nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels) for size in sizes)
        self.norm = nn.LayerNorm(channels)
        hidden = EXPANSION * channels
        self.mixer = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
        self.gamma = nn.Parameter(torch.full((channels,), LAYER_SCALE))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, C, h, w) of the same shape."""
        cells = torch.stack([layer(features) for layer in self.depthwise]).sum(0).permute(0, 2, 3, 1)  # (N, h, w, C)
        added: Tensor = self.gamma * self.mixer(self.norm(cells))
        return features + added.permute(0, 3, 1, 2)


def stages(backbone: Any, images: Tensor, indices: tuple[int, ...]) -> list[Tensor]:
    """Features (N, C, h, w) of some stages of a network of timm, the last of which is its last.

    Args:
        backbone: from `InitialParts.backbone`.
        images: normalised, (N, 3, H, W).
        indices: of the stages, rising; -1 is the last.
    """
    found: list[Tensor] = backbone.forward_intermediates(
        images, indices=[index % _count(backbone) for index in indices], intermediates_only=True
    )
    return found


def _count(backbone: Any) -> int:
    return len(backbone.feature_info)
