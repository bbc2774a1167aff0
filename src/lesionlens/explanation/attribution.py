"""Methods of explanation behind one signature: Grad-CAM, integrated gradients, occlusion.

Grad-CAM takes the closed form where the network has it; everything else is captum's. Whatever the
method, no more than `images_per_pass` images are in the network at once, and a map's value is what
its cell adds to the logit, positive parts only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.core.errors import ModelError, RecipeError
from lesionlens.explanation.cam import ExplainedNetwork, find_head, heads_agree

GRID = 28
"""Side of the maps of the methods that work on pixels; a whole test split of them fits in memory."""


@dataclass(frozen=True)
class BatchMaps:
    """Maps of one batch.

    Attributes:
        logits: (N, K).
        classes: which classes the maps are of, (N, M): all K in order, or the predicted and the true one.
        maps: raw maps, (N, M, h, w), all at least 0.
    """

    logits: Tensor
    classes: Tensor
    maps: Tensor


@dataclass(frozen=True)
class Explainer:
    """A method bound to a network.

    Attributes:
        name: of the method, with the engine, for example `grad-cam (closed form)`.
        explain: normalised images (N, 3, H, W) and labels (N,) to `BatchMaps`.
    """

    name: str
    explain: Callable[[Tensor, Tensor], BatchMaps]


def build_explainer(network: nn.Module, size: int, method: str = "grad-cam", images_per_pass: int = 32) -> Explainer:
    """Bind a method of `METHODS` to a network.

    Args:
        network: a network of timm; put into evaluation mode.
        size: side of its input, pixels.
        method: `grad-cam`, `integrated-gradients`, `occlusion`, or `auto`: Grad-CAM where the network has a
            spatial layer before its head, else occlusion.
        images_per_pass: most images in the network at once; decides memory and speed, not the maps.

    Raises:
        RecipeError: if the method is unknown or the bound is not positive.
        ModelError: if Grad-CAM is asked for and the network has no spatial layer before its head.
    """
    if method not in METHODS:
        raise RecipeError(f"method = {method!r}; it must be one of {', '.join(METHODS)}")
    if images_per_pass < 1:
        raise RecipeError(f"images per pass = {images_per_pass}; it must be at least 1")
    return METHODS[method](network.eval(), size, images_per_pass)


def _grad_cam(network: nn.Module, size: int, images_per_pass: int) -> Explainer:
    if find_head(network, size) is None:
        return _captum_grad_cam(network, size, images_per_pass)
    explained = ExplainedNetwork(network, size)

    @torch.no_grad()
    def explain(images: Tensor, labels: Tensor) -> BatchMaps:
        found = [explained(chunk) for chunk in torch.split(images, images_per_pass)]
        logits, maps = torch.cat([each[0] for each in found]), torch.cat([each[2] for each in found])
        classes = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
        return BatchMaps(logits, classes, maps)

    return Explainer("grad-cam (closed form)", explain)


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

    So captum can attribute to the last spatial layer of any architecture, whatever it is called there.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.stages = _Stages(network)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K) of normalised images (N, 3, H, W)."""
        logits: Tensor = self.stages.network.forward_head(_turn(self.stages.network, self.stages(images), back=True))  # type: ignore[operator]
        return logits

    @torch.no_grad()
    def check(self, size: int) -> None:
        """Make sure that there is a spatial layer and that both parts together are the network.

        Raises:
            ModelError: if they are not.
        """
        network = self.stages.network
        if not hasattr(network, "forward_head") or not heads_agree(network, self, size):
            raise ModelError(
                f"{type(network).__name__} has no spatial layer before its head, so Grad-CAM cannot be drawn; "
                "explain it with --method occlusion or --method integrated-gradients"
            )


class _Stages(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return _turn(self.network, self.network.forward_features(images))  # type: ignore[operator]


def _turn(network: nn.Module, features: Tensor, back: bool = False) -> Tensor:
    """Features with the channels where captum wants them, or `back` where the network has them."""
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
        classes: the class to explain of each image, (N,).
        steps: of the integral (Gauss-Legendre).
        images_per_pass: most images in the network at once.

    Returns:
        Signed attributions (N, H, W), summed over the channels. Those of an image add up to its
        logit minus that of a uniform image of the mean colour, up to the error of the integral.
    """
    method = _captum().IntegratedGradients(network)
    parts = [
        method.attribute(image[None], target=int(chosen), n_steps=steps, internal_batch_size=images_per_pass)
        for image, chosen in zip(images, classes, strict=True)
    ]
    return torch.cat(parts).sum(1).detach()


def _occlusion(network: nn.Module, size: int, images_per_pass: int) -> Explainer:
    def attribute(images: Tensor, classes: Tensor) -> Tensor:
        window = max(2, size // 7)
        drops = occlusion(network, images, classes, window, max(1, window // 2), images_per_pass)
        return nn.functional.adaptive_avg_pool2d(drops[:, None], min(GRID, size))[:, 0].relu()

    return Explainer("occlusion (captum)", _by_chunks(network, attribute, 1, images_per_pass))


def occlusion(network: nn.Module, images: Tensor, classes: Tensor, window: int, stride: int, images_per_pass: int = 32) -> Tensor:
    """How far the logit falls when a square of the mean colour covers a place (Zeiler 2014).

    Args:
        network: takes normalised images.
        images: normalised, (N, 3, H, W).
        classes: the class to explain of each image, (N,).
        window: side of the square, pixels.
        stride: from square to square, pixels.
        images_per_pass: most images in the network at once.

    Returns:
        Mean fall of the logit over the squares that cover a pixel, (N, H, W); negative where
        covering raises it.
    """
    method, shape, strides = _captum().Occlusion(network), (3, window, window), (3, stride, stride)
    with torch.no_grad():
        parts = [
            method.attribute(image[None], shape, strides, target=int(chosen), perturbations_per_eval=images_per_pass)
            for image, chosen in zip(images, classes, strict=True)
        ]
    return torch.cat(parts)[:, 0].detach()  # the same in each channel, because a square covers all three


def _cells(attributions: Tensor) -> Tensor:
    """Positive part of the sums over cells, (N, g, g), of attributions (N, H, W)."""
    height, width = attributions.shape[1:]
    side = min(GRID, height, width)
    means = nn.functional.adaptive_avg_pool2d(attributions[:, None], side)[:, 0]
    return (means * (height * width / side**2)).relu()


def _by_chunks(
    network: nn.Module, attribute: Callable[[Tensor, Tensor], Tensor], chunk: int, images_per_pass: int
) -> Callable[[Tensor, Tensor], BatchMaps]:
    """Maps of the predicted and of the true class; where both are one, it is explained once."""

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
