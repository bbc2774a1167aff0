"""Attention blocks that several composed networks use; all keep the shape of their features (N, C, h, w)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def convolution(channels_in: int, channels_out: int, size: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias, batch norm and GELU."""
    layer = nn.Conv2d(channels_in, channels_out, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(channels_out), nn.GELU())


class EfficientChannelAttention(nn.Module):
    """ECA (Wang 2020, "ECA-Net", equations 5 and 9): a weight for each channel from its neighbours' means.

    The kernel follows from the number of channels: |log2(C) / 2 + 1 / 2|, made odd.

    >>> [EfficientChannelAttention(channels).mixer.kernel_size[0] for channels in (64, 256, 2048)]
    [3, 5, 7]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        size = int(abs(math.log2(channels) / 2 + 0.5))
        size = size if size % 2 else size + 1
        self.mixer = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Weighted features."""
        means = features.mean((2, 3)).unsqueeze(1)  # (N, 1, C)
        weights = torch.sigmoid(self.mixer(means)).squeeze(1)
        return features * weights[:, :, None, None]


class ChannelAttention(nn.Module):
    """Channel attention of CBAM (Woo 2018, equation 2), from the mean and the maximum of each channel."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(8, channels // reduction)
        self.mixer = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, features: Tensor) -> Tensor:
        """Weighted features."""
        logits = self.mixer(features.mean((2, 3))) + self.mixer(features.amax((2, 3)))
        return features * torch.sigmoid(logits)[:, :, None, None]


class SpatialAttention(nn.Module):
    """Spatial attention of CBAM (Woo 2018, equation 3), from the mean and the maximum over the channels."""

    def __init__(self, size: int = 7) -> None:
        super().__init__()
        self.mixer = nn.Conv2d(2, 1, size, padding=size // 2, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Weighted features."""
        summary = torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], dim=1)
        return features * torch.sigmoid(self.mixer(summary))


class DualAttention(nn.Sequential):
    """Channel attention, then spatial attention (CBAM; Woo 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__(ChannelAttention(channels), SpatialAttention())


class AttentionalFusion(nn.Module):
    """AFF (Dai 2021, "Attentional Feature Fusion", equations 2 to 4): X and Y, weighted by what both contain.

    The global branch has no batch norm: over one cell of a batch of one it would have no variance.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = channels // reduction
        narrow, wide = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
        self.local_context = nn.Sequential(narrow, nn.BatchNorm2d(hidden), nn.ReLU(), wide, nn.BatchNorm2d(channels))
        self.global_context = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """The fused features; both inputs have their shape."""
        both = one + other
        context = self.local_context(both) + self.global_context(both.mean((2, 3)))[:, :, None, None]
        weights = torch.sigmoid(context)
        fused: Tensor = one * weights + other * (1 - weights)
        return fused


class SoftAttention(nn.Module):
    """Soft attention (Datta 2021, "Soft-Attention Improves Skin Cancer Classification Performance", equation 1).

    Each of several maps is a softmax over all cells; their sum weighs the features, which are scaled by a learnt factor and
    added to the input. Datta concatenates; a sum keeps the number of channels. The softmax is multiplied by the number of
    cells, so that a map that prefers nothing has the weight 1, whatever the size of the image.
    """

    def __init__(self, channels: int, heads: int = 16) -> None:
        super().__init__()
        self.maps = nn.Conv2d(channels, heads, 3, padding=1)
        self.scale = nn.Parameter(torch.full((1,), 0.01))

    def forward(self, features: Tensor) -> Tensor:
        """Features with the attended ones added."""
        logits = self.maps(features).flatten(2)  # (N, heads, h w)
        weights = torch.softmax(logits, dim=2).mean(1) * logits.shape[2]
        attended: Tensor = self.scale * features * weights.reshape(-1, 1, *features.shape[2:])
        return features + attended


class HardAttention(nn.Module):
    """Hard attention: only the share of cells with the highest scores passes.

    The selection has no gradient, so the scores learn from a soft copy: forwards the mask is 0 or 1, backwards it is the
    sigmoid (a straight-through estimator, Bengio 2013).

    Args:
        channels: of the features.
        share: of the cells that pass, in (0, 1].
    """

    def __init__(self, channels: int, share: float = 0.5) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        self.share = share

    def forward(self, features: Tensor) -> Tensor:
        """Features with the other cells set to zero."""
        soft = torch.sigmoid(self.score(features))  # (N, 1, h, w)
        cells = soft.flatten(2)
        count = max(1, math.ceil(self.share * cells.shape[2]))
        least = cells.topk(count, dim=2).values[:, :, -1:, None]
        hard = (soft >= least).to(features.dtype)
        return features * (hard + soft - soft.detach())


class SelfAttention(nn.Module):
    """Self-attention over cells (Vaswani 2017, section 3.2.2), added to its input with a factor that starts at 0.

    As in the self-attention of Zhang 2019 (SAGAN, equations 2 and 3), the factor lets a pretrained network start unchanged.

    Args:
        channels: of the features, divisible by `heads`.
        heads: number of heads.
        width: channels of all queries and keys together.
    """

    def __init__(self, channels: int, heads: int = 4, width: int = 256) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Conv2d(channels, width, 1) for _ in range(3))
        self.output = nn.Conv2d(width, channels, 1)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        """Features with the attended ones added."""
        query, key, value = (layer(features).flatten(2) for layer in (self.query, self.key, self.value))
        query, key, value = (each.unflatten(1, (self.heads, -1)).transpose(2, 3) for each in (query, key, value))
        attended = nn.functional.scaled_dot_product_attention(query, key, value)  # (N, heads, h w, C / heads)
        cells = attended.transpose(2, 3).flatten(1, 2).reshape(-1, query.shape[1] * query.shape[3], *features.shape[2:])
        added: Tensor = features + self.scale * self.output(cells)
        return added
