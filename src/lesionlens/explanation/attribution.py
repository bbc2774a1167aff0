"""Methods of explanation behind one signature: Grad-CAM, integrated gradients and occlusion.

Grad-CAM uses the closed form where the network has one and autograd for the tokens of transformers; everything else
is computed by captum. With every method, at most `images_per_pass` images are in the network at once, and the value of a map is
the positive part of what its cell adds to the logit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.errors import ModelError, RecipeError
from lesionlens.explanation.cam import ExplainedNetwork, find_head, heads_agree, probe_images
from lesionlens.explanation.token_grid import TokenLayer, find_token_layer

GRID = 28
"""Side of the maps of the methods that work on pixels; a whole test split of them fits in memory."""


@dataclass(frozen=True)
class BatchMaps:
    """Maps of one batch.

    Attributes:
        logits: (N, K).
        classes: the explained classes, (N, M): all K in order, or the predicted and the true one.
        maps: raw maps, (N, M, h, w), all at least 0.
    """

    logits: Tensor
    classes: Tensor
    maps: Tensor


@dataclass(frozen=True)
class Explainer:
    """A method of explanation bound to a network.

    Attributes:
        name: name of the method, with the engine, for example `grad-cam (closed form)`.
        explain: a function from normalised images (N, 3, H, W) and labels (N,) to `BatchMaps`.
        occlusion_passes: passes of the network for one map if the method is occlusion, else 0.
    """

    name: str
    explain: Callable[[Tensor, Tensor], BatchMaps]
    occlusion_passes: int = 0


def build_explainer(network: nn.Module, size: int, method: str = "grad-cam", images_per_pass: int = 32) -> Explainer:
    """Bind a method of `METHODS` to a network.

    Args:
        network: a network of timm; put into evaluation mode.
        size: side of its input, pixels.
        method: `grad-cam`, `integrated-gradients`, `occlusion`, or `auto`: Grad-CAM where the network has a
            layer of cells or patch tokens before its head, else occlusion.
        images_per_pass: most images in the network at once; it affects memory and speed, not the maps.

    Raises:
        RecipeError: if the method is unknown or the bound is not positive.
        ModelError: if the method is Grad-CAM and the network has no such layer.
    """
    if method not in METHODS:
        raise RecipeError(f"method = {method!r}; it must be one of {', '.join(METHODS)}")
    if images_per_pass < 1:
        raise RecipeError(f"images per pass = {images_per_pass}; it must be at least 1")
    return METHODS[method](network.eval(), size, images_per_pass)


def _grad_cam(network: nn.Module, size: int, images_per_pass: int) -> Explainer:
    if find_head(network, size) is None:
        layer = find_token_layer(network, probe_images(network, size))
        return _captum_grad_cam(network, size, images_per_pass) if layer is None else _token_grad_cam(layer, images_per_pass)
    explained = ExplainedNetwork(network, size)

    @torch.no_grad()
    def explain(images: Tensor, labels: Tensor) -> BatchMaps:
        outputs = [explained(chunk) for chunk in torch.split(images, images_per_pass)]
        logits, maps = (torch.cat([output[number] for output in outputs]) for number in (0, 2))
        classes = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
        return BatchMaps(logits, classes, maps)

    return Explainer("grad-cam (closed form)", explain)


def _token_grad_cam(layer: TokenLayer, images_per_pass: int) -> Explainer:
    maps_of = _by_chunks(layer.network, layer.maps, images_per_pass, images_per_pass)
    return Explainer(f"grad-cam (tokens of {layer.name})", maps_of)


def _captum_grad_cam(network: nn.Module, size: int, images_per_pass: int) -> Explainer:
    staged = SpatialThenHead(network)
    staged.check(size)
    method = _captum().LayerGradCam(staged, staged.stages)

    def attribute(images: Tensor, classes: Tensor) -> Tensor:
        maps: Tensor = method.attribute(images, target=classes, relu_attributions=True)
        return maps[:, 0].detach()

    return Explainer("grad-cam (captum)", _by_chunks(network, attribute, images_per_pass, images_per_pass))


class SpatialThenHead(nn.Module):
    """A network of timm in two parts: `stages` gives features (N, C, h, w), the rest gives logits.

    It lets captum attribute to the last spatial layer of any architecture, regardless of its name.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.stages = _Stages(network)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of normalised images (N, 3, H, W)."""
        logits: Tensor = self.stages.network.forward_head(_channels(self.stages.network, self.stages(images), back=True))  # type: ignore[operator]
        return logits

    @torch.no_grad()
    def check(self, size: int) -> None:
        """Check that there is a spatial layer and that both parts together equal the network.

        Raises:
            ModelError: if there is none, or they differ.
        """
        network = self.stages.network
        if not hasattr(network, "forward_head") or not heads_agree(network, self, size):
            raise ModelError(
                f"{type(network).__name__} has no layer of cells or patch tokens before its head, so Grad-CAM is not defined; "
                "explain it with --method occlusion or --method integrated-gradients"
            )


class _Stages(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return _channels(self.network, self.network.forward_features(images))  # type: ignore[operator]


def _channels(network: nn.Module, features: Tensor, back: bool = False) -> Tensor:
    """Features in the layout of captum, (N, C, h, w), or `back` in that of the network."""
    if getattr(network, "output_fmt", "NCHW") != "NHWC" or features.ndim != 4:
        return features
    return features.permute(0, 2, 3, 1) if back else features.permute(0, 3, 1, 2)


def _integrated_gradients(network: nn.Module, size: int, images_per_pass: int) -> Explainer:
    def attribute(images: Tensor, classes: Tensor) -> Tensor:
        return _cells(integrated_gradients(network, images, classes, images_per_pass=images_per_pass))

    return Explainer("integrated gradients (captum)", _by_chunks(network, attribute, 1, images_per_pass))


def integrated_gradients(
    network: nn.Module, images: Tensor, classes: Tensor, steps: int = 32, images_per_pass: int = 32
) -> Tensor:
    """Integrated gradients (Sundararajan 2017, equation 1) from the mean colour to the image.

    Args:
        network: takes normalised images.
        images: normalised, (N, 3, H, W).
        classes: the explained class of each image, (N,).
        steps: steps of the integral (Gauss-Legendre).
        images_per_pass: most images in the network at once.

    Returns:
        Signed attributions (N, H, W), summed over the channels. The sum over an image is its
        logit minus that of a uniform image of the mean colour, up to the error of numerical integration.
    """
    method = _captum().IntegratedGradients(network)
    attributions = [
        method.attribute(image[None], target=int(class_), n_steps=steps, internal_batch_size=images_per_pass)
        for image, class_ in zip(images, classes, strict=True)
    ]
    return torch.cat(attributions).sum(1).detach()


def _occlusion(network: nn.Module, size: int, images_per_pass: int) -> Explainer:
    window = max(2, size // 7)
    stride = max(1, window // 2)
    passes = (math.ceil((size - window) / stride) + 1) ** 2 + 1

    def attribute(images: Tensor, classes: Tensor) -> Tensor:
        drops = occlusion(network, images, classes, window, stride, images_per_pass)
        return nn.functional.adaptive_avg_pool2d(drops[:, None], min(GRID, size))[:, 0].relu()

    return Explainer("occlusion (captum)", _by_chunks(network, attribute, 1, images_per_pass), passes)


def occlusion(network: nn.Module, images: Tensor, classes: Tensor, window: int, stride: int, images_per_pass: int = 32) -> Tensor:
    """Drop of the logit when a square of the mean colour covers a place (Zeiler 2014).

    Args:
        network: takes normalised images.
        images: normalised, (N, 3, H, W).
        classes: the explained class of each image, (N,).
        window: side of the square, pixels.
        stride: distance between squares, pixels.
        images_per_pass: most images in the network at once.

    Returns:
        Mean drop of the logit over the squares that cover a pixel, (N, H, W); negative where
        covering raises it.
    """
    method, shape, strides = _captum().Occlusion(network), (3, window, window), (3, stride, stride)
    with torch.no_grad():
        drops = [
            method.attribute(image[None], shape, strides, target=int(class_), perturbations_per_eval=images_per_pass)
            for image, class_ in zip(images, classes, strict=True)
        ]
    return torch.cat(drops)[:, 0].detach()  # equal in each channel, because a square covers all three


def _cells(attributions: Tensor) -> Tensor:
    """Positive part of the sums over cells, (N, g, g), of attributions (N, H, W)."""
    height, width = attributions.shape[1:]
    side = min(GRID, height, width)
    means = nn.functional.adaptive_avg_pool2d(attributions[:, None], side)[:, 0]
    return (means * (height * width / side**2)).relu()


def _by_chunks(
    network: nn.Module, attribute: Callable[[Tensor, Tensor], Tensor], chunk: int, images_per_pass: int
) -> Callable[[Tensor, Tensor], BatchMaps]:
    """Explain the predicted and the true class; if they are equal, the class is explained once."""

    def maps_of(images: Tensor, classes: Tensor) -> Tensor:
        pairs = zip(torch.split(images, chunk), torch.split(classes, chunk), strict=True)
        return torch.cat([attribute(*pair) for pair in pairs])

    def explain(images: Tensor, labels: Tensor) -> BatchMaps:
        with torch.no_grad():
            logits = torch.cat([network(part) for part in torch.split(images, images_per_pass)])
        predicted = logits.argmax(1)
        maps = maps_of(images, predicted)
        both = torch.stack([maps, maps], dim=1)  # (N, 2, h, w)
        wrong = predicted != labels
        if wrong.any():
            both[wrong, 1] = maps_of(images[wrong], labels[wrong])
        return BatchMaps(logits, torch.stack([predicted, labels], dim=1), both)

    return explain


def _captum() -> Any:
    try:
        import captum.attr as module
    except ImportError as error:
        raise ModelError(
            "captum is not installed, and this explanation needs it; run: pip install 'lesionlens[train]'"
        ) from error
    return module


def _first_that_fits(network: nn.Module, size: int, images_per_pass: int) -> Explainer:
    try:
        return _grad_cam(network, size, images_per_pass)
    except ModelError:
        return _occlusion(network, size, images_per_pass)


METHODS: dict[str, Callable[[Any, int, int], Explainer]] = {
    "auto": _first_that_fits,
    "grad-cam": _grad_cam,
    "integrated-gradients": _integrated_gradients,
    "occlusion": _occlusion,
}
