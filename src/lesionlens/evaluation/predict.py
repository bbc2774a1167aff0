"""Logits of a network for stored images, over one view or eight."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.core.errors import ModelError, RecipeError
from lesionlens.data.image import InputSpec, centre_crop
from lesionlens.models.build import Normalise
from lesionlens.models.metadata_head import head_of
from lesionlens.training.precision import autocast, resolve_precision

VIEWS = (1, 8)


def predict_logits(
    network: nn.Module,
    images: np.ndarray,
    spec: InputSpec,
    *,
    rows: np.ndarray | None = None,
    views: int = 1,
    batch_size: int = 64,
    precision: str = "auto",
    progress: Callable[[int], None] | None = None,
    metadata: np.ndarray | None = None,
) -> np.ndarray:
    """Logits of `network` for stored frames, centre-cropped and normalised as `spec` says.

    The network runs on the device of its parameters, in evaluation mode; its mode is restored afterwards.

    Args:
        network: takes normalised floats (N, 3, size, size) and returns logits (N, K).
        images: frames, uint8 (M, F, F, 3); a memory map is read batch by batch.
        spec: how the pixels of the network are prepared.
        rows: frames to process, in this order; all of them if None.
        views: 1, or 8: the flips and right-angle rotations of the square. Their probabilities are
            averaged, and the logarithm of that mean is returned.
        batch_size: images in one pass.
        precision: `fp32`, `bf16`, `fp16`, or `auto`, the one of training on this device.
        progress: called with the number of images of each batch.
        metadata: encoded, float32 (N, D), one row for each of `rows`, for a network with a metadata head; without them,
            nothing is known of any patient.

    Returns:
        Logits, float32 (N, K).

    Raises:
        ModelError: if a logit is NaN or infinite.
        RecipeError: if `views` or `precision` is not supported.
    """
    if views not in VIEWS:
        raise RecipeError(f"views = {views!r}; it must be 1, or 8 (all flips and right-angle rotations)")
    rows = np.arange(len(images)) if rows is None else np.asarray(rows)
    device = next(network.parameters()).device
    normalise = Normalise(spec.mean, spec.std).to(device)
    was_training = network.training
    network.eval()
    logits = []
    try:
        with torch.inference_mode(), autocast(device, resolve_precision(precision, device)):
            for start in range(0, len(rows), batch_size):
                batch = rows[start : start + batch_size]
                pixels = _to_tensor(centre_crop(images[batch], spec.size)).to(device)
                added = _added(network, metadata, slice(start, start + len(batch)), device)
                logits.append((_mean_over_views(network, normalise, pixels, views) + added).cpu().numpy())
                if progress is not None:
                    progress(len(batch))
    finally:
        network.train(was_training)
    return _check_finite(np.concatenate(logits) if logits else np.zeros((0, 0), np.float32), rows)


def _added(network: nn.Module, metadata: np.ndarray | None, rows: slice, device: torch.device) -> Tensor | float:
    """Logits that metadata add, the same for all views of an image: they shift the mean over views, too."""
    head = head_of(network)
    if head is None or metadata is None:
        return 0.0
    added: Tensor = head(torch.from_numpy(metadata[rows]).to(device)).float()
    return added


def _to_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)  # (N, 3, S, S), channels_last in memory


def _mean_over_views(network: nn.Module, normalise: nn.Module, pixels: Tensor, views: int) -> Tensor:
    if views == 1:
        logits: Tensor = network(normalise(pixels)).float()
        return logits
    each = [network(normalise(view)).float().log_softmax(1) for view in square_views(pixels)]
    return torch.stack(each).logsumexp(0) - float(np.log(len(each)))


def square_views(images: Tensor) -> list[Tensor]:
    """The eight flips and right-angle rotations of square images (N, 3, S, S), the identity first."""
    rotated = [torch.rot90(images, turns, (2, 3)) for turns in range(4)]
    flipped = [torch.flip(image, (3,)) for image in rotated]
    return [view.contiguous(memory_format=torch.channels_last) for view in (*rotated, *flipped)]


def _check_finite(logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise ModelError(
            f"the network returns NaN or infinity for {len(bad)} of {len(rows)} images (first: row {rows[bad[0]]}); "
            "its weights are damaged or the precision is too low. Try --precision fp32, or train again"
        )
    return logits
