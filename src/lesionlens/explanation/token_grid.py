"""Grad-CAM on the patch tokens of transformers, seen as a grid of cells.

A network that averages its patch tokens has a closed form, see `cam.CamHead`. One that reads only its class token
does not: after its last block, no patch token influences the logits. The maps are then those of the last place where
the patch tokens still count, usually the first norm of the last block, as in pytorch-grad-cam.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LEAST_CELLS = 4


@dataclass(frozen=True)
class TokenGrid:
    """Where the patch tokens are among the tokens (N, T, C) of a network, row by row.

    Attributes:
        prefix: number of tokens before them: class token, registers.
        height: rows of the grid.
        width: columns of the grid.
    """

    prefix: int
    height: int
    width: int

    def cells(self, tokens: Tensor) -> Tensor:
        """The patch tokens of `tokens` (N, T, C) as features (N, C, h, w).

        >>> TokenGrid(1, 2, 3).cells(torch.arange(7.0).view(1, 7, 1)).tolist()
        [[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]
        """
        patches = tokens[:, self.prefix :].transpose(1, 2)  # (N, C, h w)
        return patches.reshape(-1, patches.shape[1], self.height, self.width)


def token_grid(network: Any, tokens: object) -> TokenGrid | None:
    """The grid of the patch tokens of a network of timm.

    Images are square, so a network that does not name its grid has a square one.

    Args:
        network: a network of timm.
        tokens: what one of its layers gives, (N, T, C) if it gives tokens.

    Returns:
        The grid, or None if these are not the tokens of a grid of at least 4 cells.
    """
    if not isinstance(tokens, Tensor) or tokens.ndim != 3:
        return None
    named = getattr(network, "num_prefix_tokens", None)
    for prefix in dict.fromkeys((0, 1) if named is None else (named, 0)):  # some networks append the class token late
        count = tokens.shape[1] - prefix
        grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
        if isinstance(grid, tuple) and len(grid) == 2 and grid[0] * grid[1] == count:
            return TokenGrid(prefix, *grid)
        side = math.isqrt(max(0, count))
        if side * side == count >= LEAST_CELLS:
            return TokenGrid(prefix, side, side)
    return None


@dataclass(frozen=True)
class TokenLayer:
    """A place in a network whose patch tokens influence the logits.

    Attributes:
        name: of the place, for people.
        network: the network.
        grid: where its patch tokens are.
        module: the layer, or None for the output of `forward_features`.
        takes_input: whether the tokens are what enters the layer, not what leaves it.
    """

    name: str
    network: Any
    grid: TokenGrid
    module: nn.Module | None = None
    takes_input: bool = False

    def maps(self, images: Tensor, classes: Tensor) -> Tensor:
        """Grad-CAM (Selvaraju 2017, equations 1 and 2) of one class for each image.

        Args:
            images: normalised, (N, 3, H, W).
            classes: the explained class of each image, (N,).

        Returns:
            Raw maps (N, h, w), all at least 0.
        """
        tokens, logits = tokens_and_logits(self.network, images, self.module, self.takes_input)
        (gradients,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), tokens)
        weights = self.grid.cells(gradients).mean((2, 3), keepdim=True)
        return (weights * self.grid.cells(tokens.detach())).sum(1).relu()


def find_token_layer(network: Any, images: Tensor) -> TokenLayer | None:
    """The last place of a network, in evaluation mode, where its patch tokens influence the logits.

    Args:
        network: a network of timm.
        images: a few normalised images to try it on.

    Returns:
        The layer, or None if there is none among those that are tried.
    """
    for name, module, takes_input in _places(network):
        tokens, logits = tokens_and_logits(network, images, module, takes_input)
        grid = token_grid(network, tokens)
        if grid is None or len(tokens) != len(images) or not logits.requires_grad:
            continue
        (gradients,) = torch.autograd.grad(logits.square().sum(), tokens, allow_unused=True)
        if gradients is not None and bool(grid.cells(gradients).any()):
            return TokenLayer(name, network, grid, module, takes_input)
    return None


def tokens_and_logits(network: Any, images: Tensor, module: nn.Module | None, takes_input: bool) -> tuple[Any, Tensor]:
    """What a layer gives, as a leaf to differentiate by, and the logits (N, K) that follow from it.

    What was computed before the layer is not kept, so the memory is that of the layers after it.
    """
    if module is None:
        with torch.no_grad():
            tokens = network.forward_features(images)
        tokens = _leaf(tokens)
        return tokens, network.forward_head(tokens)
    kept: list[Any] = []
    with torch.enable_grad(), _cut(module, takes_input, kept):
        logits: Tensor = network(images)
    return kept[0] if kept else None, logits


def _places(network: Any) -> Iterator[tuple[str, nn.Module | None, bool]]:
    """Places to try, the last one first."""
    if hasattr(network, "forward_features") and hasattr(network, "forward_head"):
        yield "the last layer", None, False
    blocks = getattr(network, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or not len(blocks):
        return
    last = blocks[-1]
    yield "the last block", last, False
    norm = getattr(last, "norm1", None)
    if isinstance(norm, nn.Module):
        yield "norm1 of the last block", norm, False
    yield "the input of the last block", last, True


@contextmanager
def _cut(module: nn.Module, takes_input: bool, kept: list[Any]) -> Iterator[None]:
    """Replace what enters or leaves a layer by a leaf, which is put into `kept`."""

    def before(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        kept.append(_leaf(inputs[0]))
        return (kept[-1], *inputs[1:])

    def after(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        kept.append(_leaf(output))
        return kept[-1]

    hook = module.register_forward_pre_hook(before) if takes_input else module.register_forward_hook(after)
    try:
        yield
    finally:
        hook.remove()


def _leaf(value: Any) -> Any:
    return value.detach().requires_grad_() if isinstance(value, Tensor) and value.is_floating_point() else value
