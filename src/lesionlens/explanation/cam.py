"""Grad-CAM in closed form: the maps of all classes from one forward pass and one small matrix product.

Behind the last stage of most convolutional networks stand only global average pooling, perhaps a
LayerNorm, and a linear layer. The gradient that Grad-CAM (Selvaraju 2017, equation 1) asks for can
then be written down, so no autograd is needed and the maps can be outputs of an exported graph.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.errors import ModelError

PROBE_SIZE = 96
RELATIVE_TOLERANCE = 1e-3  # of the largest value: covers float32 sums in another order, not another head
ROUNDINGS = 16  # what narrower formats are allowed on top, in roundings


class CamHead(nn.Module):
    """Global average pooling, LayerNorm where the network has one, and the linear layer.

    Args:
        classifier: the network's own linear layer; shared, not copied.
        norm: the network's own LayerNorm between pooling and classifier, or None.
        channels_last: whether the features come as (N, h, w, C), as from Swin, not (N, C, h, w).
    """

    def __init__(self, classifier: nn.Linear, norm: nn.LayerNorm | None = None, channels_last: bool = False) -> None:
        super().__init__()
        self.classifier = classifier
        self.norm = norm
        self.channels_last = channels_last

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the head makes of the last stage's output.

        Args:
            features: (N, C, h, w), or (N, h, w, C) if `channels_last`.

        Returns:
            Logits (N, K), pooled features before the norm (N, C), and raw Grad-CAM maps (N, K, h, w),
            all at least 0. A map's value is what its cell adds to the logit, to first order.
        """
        if self.channels_last:
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
    """A network that gives its Grad-CAM maps with its logits, without autograd.

    Dropout in the head is left out, so use it in evaluation mode, as it comes.

    Args:
        network: a network of timm; shared, not copied, and put into evaluation mode.
        size: side of its input, pixels; only networks of a fixed size care.

    Raises:
        ModelError: if more than pooling, a LayerNorm and a linear layer follow its last stage.
    """

    def __init__(self, network: nn.Module, size: int | None = None) -> None:
        super().__init__()
        head = find_head(network, size)
        if head is None:
            raise ModelError(
                f"{type(network).__name__} has no head of average pooling (and LayerNorm) and one linear layer, so its maps "
                "have no closed form; explain it with: lesionlens explain, which falls back on captum"
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
        found: tuple[Tensor, Tensor, Tensor] = self.head(features)
        return found


@torch.no_grad()
def find_head(network: nn.Module, size: int | None = None) -> CamHead | None:
    """The head of `network` if it is average pooling, perhaps a LayerNorm, and one linear layer.

    Looks at the modules that run behind the last stage, builds the head from them, and compares it
    once with the network itself on a small random input: a head with anything else in it differs.

    Args:
        network: a network of timm.
        size: side of the probe, pixels; by default the size that the network is fixed to, else 96.

    Returns:
        The head, sharing the network's modules, or None if it is another kind of head.
    """
    classifier = network.get_classifier() if hasattr(network, "get_classifier") else None  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear) or not hasattr(network, "forward_features"):
        return None
    was_training = network.training
    network.eval()
    try:
        return _verified(network, classifier, _probe(network, size))
    finally:
        network.train(was_training)


def _verified(network: Any, classifier: nn.Linear, probe: Tensor) -> CamHead | None:
    features = network.forward_features(probe)
    if not isinstance(features, Tensor) or features.ndim != 4:
        return None
    norms, seen = _behind(network, classifier, features.clone())
    channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
    width = features.shape[3 if channels_last else 1]
    if len(norms) > 1 or seen is None or seen.shape != (len(probe), width):
        return None
    head = CamHead(classifier, norms[0] if norms else None, channels_last)
    logits, pooled, _ = head(features)
    normed = pooled if head.norm is None else _layer_norm(pooled, head.norm)
    return head if _close(normed, seen) and _close(logits, network(probe)) else None


def _behind(network: Any, classifier: nn.Linear, features: Tensor) -> tuple[list[nn.LayerNorm], Tensor | None]:
    """The LayerNorms that run behind the features, and what the classifier is given, (N, C)."""
    norms: list[nn.LayerNorm] = []
    seen: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda norm, inputs, output: norms.append(norm))
        for module in network.modules()
        if isinstance(module, nn.LayerNorm)
    ]
    hooks.append(classifier.register_forward_hook(lambda linear, inputs, output: seen.append(inputs[0].clone())))
    try:
        network.forward_head(features)
    finally:
        for hook in hooks:
            hook.remove()
    return norms, seen[0] if len(seen) == 1 else None


@torch.no_grad()
def heads_agree(network: nn.Module, parts: Any, size: int | None = None) -> bool:
    """Whether `parts`, with `stages` that give features (N, C, h, w), gives the same logits as `network`.

    Args:
        network: a network of timm, in evaluation mode.
        parts: the same network in two parts, see `attribution.SpatialThenHead`.
        size: side of the probe, pixels.
    """
    probe = _probe(network, size)
    features = parts.stages(probe)
    if not isinstance(features, Tensor) or features.ndim != 4 or features.shape[2] * features.shape[3] < 2:
        return False
    return _close(parts(probe), network(probe))


def _layer_norm(pooled: Tensor, norm: nn.LayerNorm) -> Tensor:
    return nn.functional.layer_norm(pooled, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _close(found: Tensor, wanted: Tensor) -> bool:
    if found.shape != wanted.shape:
        return False
    relative = max(RELATIVE_TOLERANCE, ROUNDINGS * torch.finfo(wanted.dtype).eps)
    allowed = relative * float(wanted.abs().max())
    return bool((found - wanted).abs().max() <= allowed)


def _probe(network: nn.Module, size: int | None) -> Tensor:
    """Two random images (2, 3, size, size), the same each time."""
    parameter = next(network.parameters())
    size = size or _fixed_size(network) or PROBE_SIZE
    random = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, size, size, generator=random)
    return images.to(device=parameter.device, dtype=parameter.dtype)


def _fixed_size(network: nn.Module) -> int | None:
    chosen = getattr(getattr(network, "patch_embed", None), "img_size", None)
    if isinstance(chosen, tuple):
        return int(chosen[0])
    facts = getattr(network, "pretrained_cfg", None) or {}
    return int(facts["input_size"][-1]) if facts.get("fixed_input_size") else None
