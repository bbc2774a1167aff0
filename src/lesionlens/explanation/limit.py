"""The default limit of occlusion, which takes hundreds of passes for each image, and an estimate of its time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from lesionlens.core.recipe import ExplanationRecipe
from lesionlens.explanation.attribution import Explainer
from lesionlens.explanation.cam import probe_images
from lesionlens.explanation.settings import ExplainSettings


@dataclass(frozen=True)
class OcclusionLimit:
    """How many images occlusion explains, and how long it takes.

    Attributes:
        n_images: number of images that are explained.
        n_split: number of images of the split in the store.
        passes_per_image: passes of the network for each image, at most, control networks included.
        pass_s: seconds of one pass of one image, measured once.
    """

    n_images: int
    n_split: int
    passes_per_image: int
    pass_s: float

    def seconds(self, n_images: int) -> float:
        """Estimated time of some images, at most, seconds."""
        return n_images * self.passes_per_image * self.pass_s

    def to_json(self) -> dict[str, Any]:
        """What faithfulness.json says about the limit."""
        fields = {"n_images": self.n_images, "n_split": self.n_split, "passes_per_image": self.passes_per_image}
        return {**fields, "estimated_s": self.seconds(self.n_images), "estimated_s_all": self.seconds(self.n_split)}

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"occlusion explains {self.n_images} of {self.n_split} images, with up to {self.passes_per_image} passes each: up to "
            f"about {_duration(self.seconds(self.n_images))} (all: {_duration(self.seconds(self.n_split))}). Another number: "
            "--limit N of explain, or --set explanation.occlusion_images=N of run, where 0 explains all"
        )


def limited(settings: ExplainSettings, recipe: ExplanationRecipe, explainer: Explainer) -> ExplainSettings:
    """The settings with the default limit of occlusion in place of `limit` 0."""
    most = recipe.occlusion_images if settings.occlusion_images is None else settings.occlusion_images
    return replace(settings, limit=most) if explainer.occlusion_passes and settings.limit == 0 else settings


def occlusion_limit(
    network: nn.Module, explainer: Explainer, settings: ExplainSettings, size: int, n_images: int, n_split: int
) -> OcclusionLimit | None:
    """Estimate the time of occlusion from one timed pass; None for every other method.

    Args:
        network: the explained network, in evaluation mode.
        explainer: bound to it.
        settings: which maps are made.
        size: side of the input, pixels.
        n_images: number of images that are explained.
        n_split: number of images of the split.
    """
    if not explainer.occlusion_passes:
        return None
    networks = 1 + (settings.random_networks if settings.masks else 0)
    passes = 2 * networks * explainer.occlusion_passes  # predicted and true class
    images = probe_images(network, size)
    with torch.no_grad():
        network(images)  # the first pass is slower
        start = time.perf_counter()
        network(images)
    return OcclusionLimit(n_images, n_split, passes, (time.perf_counter() - start) / len(images))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
