"""Grad-CAM in closed form: the maps of all classes from one forward pass and one small matrix product.

In most convolutional networks, and in transformers that average their patch tokens, the last stage is
followed only by global average pooling, sometimes a LayerNorm, and a linear layer. The gradient in
Grad-CAM (Selvaraju 2017, equation 1) then has a closed form, so it needs no autograd and the maps can
be outputs of an exported graph.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.errors import ModelError
from lesionlens.explanation.token_grid import TokenGrid, token_grid

PROBE_SIZE = 96
RELATIVE_TOLERANCE = 1e-3  # of the largest value: allows float32 sums in another order, but no other head
ROUNDINGS = 16  # tolerance for narrower formats, in roundings


class CamHead(nn.Module):
    """Global average pooling, LayerNorm where the network has one, and the linear layer.

    Args:
        classifier: the network's own linear layer; shared, not copied.
        norm: the network's own LayerNorm between pooling and classifier, or None.
        channels_last: whether the features are (N, h, w, C), as in Swin, not (N, C, h, w).
        grid: where the patch tokens are if the features are tokens (N, T, C), as in ViT; else None.
    """

    def __init__(
        self,
        classifier: nn.Linear,
        norm: nn.LayerNorm | None = None,
        channels_last: bool = False,
        grid: TokenGrid | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.norm = norm
        self.channels_last = channels_last
        self.grid = grid

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute logits and maps from the output of the last stage.

        Args:
            features: (N, C, h, w), or (N, h, w, C) if `channels_last`, or tokens (N, T, C) if there is a `grid`.

        Returns:
            Logits (N, K), pooled features before the norm (N, C), and raw Grad-CAM maps (N, K, h, w),
            all at least 0. The value of a map is the contribution of its cell to the logit, to first order.
        """
        if self.grid is not None:
            features = self.grid.cells(features)
        elif self.channels_last:
            features = features.permute(0, 3, 1, 2)
        pooled = features.mean((2, 3))  # (N, C)
        logits, gradients = self._logits_and_gradients(pooled)
        return logits, pooled, _maps(features, gradients)

    def _logits_and_gradients(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, K), and their gradients by the pooled features: (N, K, C), or (K, C) without a norm."""
        weight = self.classifier.weight  # (K, C)
        if self.norm is None:
            return self.classifier(pooled), weight
        centred = pooled - pooled.mean(1, keepdim=True)
        scale = (centred.square().mean(1, keepdim=True) + self.norm.eps).rsqrt()  # 1 / s, (N, 1)
        z = centred * scale
        normed = z if self.norm.weight is None else z * self.norm.weight
        normed = normed if self.norm.bias is None else normed + self.norm.bias
        v = weight if self.norm.weight is None else weight * self.norm.weight  # (K, C)
        projection = nn.functional.linear(z, v) / v.shape[1]  # mean(v_c * z), (N, K)
        flat = v - v.mean(1, keepdim=True)
        gradients = (flat - projection.unsqueeze(2) * z.unsqueeze(1)) * scale.unsqueeze(2)
        return self.classifier(normed), gradients


def _maps(features: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM (N, K, h, w) of features (N, C, h, w); each cell has 1 / (h w) of the pooled gradient."""
    cells = features.flatten(2)  # (N, C, h w)
    maps = torch.matmul(gradients, cells) / cells.shape[2]  # (N, K, h w)
    return maps.relu().reshape(-1, maps.shape[1], features.shape[2], features.shape[3])


class ExplainedNetwork(nn.Module):
    """A network that gives its Grad-CAM maps together with its logits, without autograd.

    It omits dropout in the head, so keep it in evaluation mode, its initial state.

    Args:
        network: a network of timm; shared, not copied, and put into evaluation mode.
        size: side of its input, pixels; needed only by networks of a fixed size.

    Raises:
        ModelError: if more than pooling, a LayerNorm and a linear layer follow its last stage.
    """

    def __init__(self, network: nn.Module, size: int | None = None) -> None:
        super().__init__()
        head = find_head(network, size)
        if head is None:
            raise ModelError(
                f"{type(network).__name__} has no head of average pooling (and LayerNorm) and one linear layer, so its maps "
                "have no closed form; explain it with: lesionlens explain, which falls back on autograd"
            )
        self.network = network
        self.head = head
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Explain normalised images.

        Args:
            images: normalised floats (N, 3, H, W).

        Returns:
            Logits (N, K), pooled features (N, C), and raw Grad-CAM maps (N, K, h, w) with ReLU applied.
        """
        features = self.network.forward_features(images)  # type: ignore[operator]
        outputs: tuple[Tensor, Tensor, Tensor] = self.head(features)
        return outputs


@torch.no_grad()
def find_head(network: nn.Module, size: int | None = None) -> CamHead | None:
    """The head of `network` if it consists of average pooling, optionally a LayerNorm, and one linear layer.

    Inspects the modules that run after the last stage, builds the head from them, and compares it
    once with the network itself on a small random input, on which a head with other operations differs.

    Args:
        network: a network of timm.
        size: side of the probe, pixels; by default the size that the network is fixed to, else 96.

    Returns:
        The head, sharing the network's modules, or None if the head is of another kind.
    """
    classifier = network.get_classifier() if hasattr(network, "get_classifier") else None  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear) or not hasattr(network, "forward_features"):
        return None
    was_training = network.training
    network.eval()
    try:
        return _verified_head(network, classifier, probe_images(network, size))
    finally:
        network.train(was_training)


def _verified_head(network: Any, classifier: nn.Linear, probe: Tensor) -> CamHead | None:
    features = network.forward_features(probe)
    grid = token_grid(network, features)
    if not isinstance(features, Tensor) or (features.ndim != 4 and grid is None):
        return None
    norms, head_input = _after_stages(network, classifier, features.clone())
    channels_last = grid is None and getattr(network, "output_fmt", "NCHW") == "NHWC"
    width = features.shape[1 if grid is None and not channels_last else -1]
    if len(norms) > 1 or head_input is None or head_input.shape != (len(probe), width):
        return None
    head = CamHead(classifier, norms[0] if norms else None, channels_last, grid)
    logits, pooled, _ = head(features)
    normed = pooled if head.norm is None else _layer_norm(pooled, head.norm)
    return head if _close(normed, head_input) and _close(logits, network(probe)) else None


def _after_stages(network: Any, classifier: nn.Linear, features: Tensor) -> tuple[list[nn.LayerNorm], Tensor | None]:
    """The LayerNorms that run after the last stage, and the input of the classifier, (N, C)."""
    norms: list[nn.LayerNorm] = []
    head_inputs: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda norm, inputs, output: norms.append(norm))
        for module in network.modules()
        if isinstance(module, nn.LayerNorm)
    ]
    hooks.append(classifier.register_forward_hook(lambda linear, inputs, output: head_inputs.append(inputs[0].clone())))
    try:
        network.forward_head(features)
    finally:
        for hook in hooks:
            hook.remove()
    return norms, head_inputs[0] if len(head_inputs) == 1 else None


@torch.no_grad()
def heads_agree(network: nn.Module, parts: Any, size: int | None = None) -> bool:
    """Whether `parts`, with `stages` that give features (N, C, h, w), gives the same logits as `network`.

    Args:
        network: a network of timm, in evaluation mode.
        parts: the same network in two parts, see `attribution.SpatialThenHead`.
        size: side of the probe, pixels.
    """
    probe = probe_images(network, size)
    features = parts.stages(probe)
    if not isinstance(features, Tensor) or features.ndim != 4 or features.shape[2] * features.shape[3] < 2:
        return False
    return _close(parts(probe), network(probe))


def _layer_norm(pooled: Tensor, norm: nn.LayerNorm) -> Tensor:
    return nn.functional.layer_norm(pooled, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _close(actual: Tensor, expected: Tensor) -> bool:
    if actual.shape != expected.shape:
        return False
    relative = max(RELATIVE_TOLERANCE, ROUNDINGS * torch.finfo(expected.dtype).eps)
    allowed = relative * float(expected.abs().max())
    return bool((actual - expected).abs().max() <= allowed)


def probe_images(network: nn.Module, size: int | None) -> Tensor:
    """Two random images (2, 3, size, size), the same each time."""
    parameter = next(network.parameters())
    size = size or _fixed_size(network) or PROBE_SIZE
    random = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, size, size, generator=random)
    return images.to(device=parameter.device, dtype=parameter.dtype)


def _fixed_size(network: nn.Module) -> int | None:
    size = getattr(getattr(network, "patch_embed", None), "img_size", None)
    if isinstance(size, tuple):
        return int(size[0])
    config = getattr(network, "pretrained_cfg", None) or {}
    return int(config["input_size"][-1]) if config.get("fixed_input_size") else None
