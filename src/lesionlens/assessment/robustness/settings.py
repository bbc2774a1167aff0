"""What a stress test does to how many images."""

from __future__ import annotations

from dataclasses import dataclass

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.robustness.corruptions import select_corruptions
from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import EvaluationRecipe
from lesionlens.data.protocols import SPLITS


@dataclass(frozen=True)
class StressSettings:
    """How a network is put under stress.

    Attributes:
        split: `train`, `validation` or `test`.
        images: about how many images are corrupted and turned, whole lesions drawn at random; 0 takes all of the split.
        corruptions: names of corruptions; all of them if empty.
        batch_size: images in memory and in one pass.
        precision: `fp32`, `bf16`, `fp16` or `auto`.
        device: `auto`, `cpu` or `cuda`.
        seed: of the lesions, of what is drawn on images, and of the resamples.
        resamples: of the bootstrap over lesions.
        confidence: level of the intervals, in (0, 1).

    Raises:
        RecipeError: if a value is out of range, or a corruption unknown.
    """

    split: str = "test"
    images: int = 0
    corruptions: tuple[str, ...] = ()
    batch_size: int = 32
    precision: str = "fp32"
    device: str = "auto"
    seed: int = 0
    resamples: int = 2000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise RecipeError(f"split = {self.split!r}; it must be one of {', '.join(SPLITS)}")
        for name, value, least in (("images", self.images, 0), ("batch size", self.batch_size, 1), ("seed", self.seed, 0)):
            if not least <= value <= 10_000_000:
                raise RecipeError(f"{name} = {value}; it must be from {least} to 10000000")
        select_corruptions(self.corruptions)
        EvaluationRecipe.check(resamples=self.resamples, confidence=self.confidence)

    @property
    def resampling(self) -> Resampling:
        """How intervals are resampled."""
        return Resampling(self.resamples, self.confidence, self.seed)
