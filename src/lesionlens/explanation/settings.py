"""Settings of the stage `explain`."""

from __future__ import annotations

from dataclasses import dataclass

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import EvaluationRecipe, ExplanationRecipe
from lesionlens.data.protocols import SPLITS
from lesionlens.explanation.curves import STEPS


@dataclass(frozen=True)
class ExplainSettings:
    """Settings of the stage `explain`.

    Attributes:
        split: `train`, `validation` or `test`.
        method: `auto`, `grad-cam`, `integrated-gradients` or `occlusion`; see `build_explainer`.
        limit: number of images, drawn at random; 0 explains the whole split, or `occlusion_images` of it by occlusion.
        occlusion_images: most images that occlusion explains if `limit` is 0; 0 sets no limit, None takes the number in
            the checkpoint's recipe.
        masks: whether agreement with lesion masks is measured.
        random_networks: number of networks with random weights to compare with.
        curve_images: images with deletion and insertion curves, drawn at random; each costs 4 * (steps + 1) passes.
        curve_steps: steps of each curve.
        resamples: bootstrap resamples; 0 uses the number in the checkpoint's recipe.
        images_per_pass: images in one batch, and most in the network at once.
        cases: cases on each side of the gallery.
        device: `auto`, `cpu` or `cuda`.
        seed: seed of the order of the images and of all draws.
    """

    split: str = "test"
    method: str = "grad-cam"
    limit: int = 0
    occlusion_images: int | None = None
    masks: bool = True
    random_networks: int = 3
    curve_images: int = 200
    curve_steps: int = STEPS
    resamples: int = 0
    images_per_pass: int = 32
    cases: int = 4
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise RecipeError(f"split = {self.split!r}; it must be one of {', '.join(SPLITS)}")
        EvaluationRecipe().overridden(resamples=self.resamples)
        ExplanationRecipe.check(occlusion_images=self.occlusion_images or 0)
        bounds = {"limit": 0, "random_networks": 0, "curve_images": 0, "curve_steps": 1, "images_per_pass": 1, "cases": 0}
        for name, least in bounds.items():
            if not least <= getattr(self, name) <= 1_000_000:
                raise RecipeError(f"{name.replace('_', ' ')} = {getattr(self, name)}; it must be from {least} to 1000000")
