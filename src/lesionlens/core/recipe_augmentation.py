"""The section `augmentation` of a recipe."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from lesionlens.core.recipe_section import Section, broken_rule, key
from lesionlens.core.recipe_transforms import check_names, checked_transforms

RANDAUGMENT = re.compile(r"rand(-(m\d+|n[1-9]|p[01](\.\d+)?|mstd\d+(\.\d+)?|mmax\d+|inc[01]|t(weights|3aw?)))*")


@dataclass(frozen=True)
class AugmentationRecipe(Section):
    """The two phases of augmentation: offline copies of rare classes, then mixing of mini-batches."""

    SECTION: ClassVar[str] = "augmentation"

    offline_fill: float = key(
        1.0, "Augmented copies fill every class up to this share of the largest class; 0 makes none.", ge=0, le=1
    )
    offline_pixels: Literal["fixed", "fresh"] = key(
        "fixed", "Draw each copy once (`fixed`), or again in each epoch (`fresh`).", paper="fixed"
    )
    originals: bool = key(
        False,
        "Augment the originals like the copies.",
        rule='false unless augmentation.offline_pixels is "fresh"',
    )
    mixup_p: float = key(0.3, "Probability that MixUp mixes a mini-batch.", ge=0, le=1, paper=0.3)
    mixup_alpha: float = key(1.0, "Both parameters of MixUp's Beta distribution.", gt=0, paper=1.0)
    cutmix_p: float = key(0.2, "Probability that CutMix mixes a mini-batch.", ge=0, le=1, paper=0.2)
    cutmix_alpha: float = key(1.0, "Both parameters of CutMix's Beta distribution.", gt=0, paper=1.0)
    probabilities: dict[str, Annotated[float, Field(ge=0, le=1)]] = key(
        {},
        "Probabilities of transforms other than those of the paper's table 3, by the transform's name: "
        "`{ gaussian_blur = 0.1 }`.",
        rule="from 0 to 1",
        paper={},
    )

    randaugment: str = key(
        "",
        "RandAugment of every training image in each epoch, after the offline copies are made: timm's configuration, such as "
        "`rand-m9-n2-mstd0.5-inc1`; empty turns it off.",
        later=True,
    )
    random_erasing_p: float = key(
        0.0,
        "Probability that a rectangle of a training image is erased after normalisation (Zhong 2020).",
        ge=0,
        le=1,
        later=True,
    )
    random_erasing_mode: Literal["const", "rand", "pixel"] = key(
        "pixel",
        "What the rectangle is filled with: the mean colour (`const`), one random colour (`rand`), or noise (`pixel`).",
        later=True,
    )
    random_erasing_count: int = key(1, "Most rectangles of an image; they share the area of one.", ge=1, le=100, later=True)
    style: Literal["lesionlens", "paper"] = key(
        "lesionlens",
        "Parameters of the transforms where the paper's table 3 gives none: `lesionlens`, or `paper` for those of the library "
        "that it used (Albumentations 1.3).",
        later=True,
    )
    transforms: dict[str, dict[str, Any]] = key(
        {},
        "Parameters of transforms other than those of the style, by the transform's name: "
        "`{ coarse_dropout = { p = 0.3, holes = [5, 8], size_px = 8 } }`.",
        rule="a table for each transform, such as { hue_saturation_value = { saturation = 30 } }",
        later=True,
    )

    def __post_init__(self) -> None:
        total = self.mixup_p + self.cutmix_p
        if total > 1:
            raise broken_rule("augmentation.mixup_p + cutmix_p", total, "at most 1")
        if self.randaugment and not RANDAUGMENT.fullmatch(self.randaugment):
            rule = "empty, or timm's configuration: rand, then parts such as m9, n2, p0.5, mstd0.5, mmax10, inc1, tweights"
            raise broken_rule("augmentation.randaugment", self.randaugment, rule)
        check_names("augmentation.probabilities", self.probabilities)
        object.__setattr__(self, "transforms", checked_transforms(self.transforms))
        twice = [name for name, values in self.transforms.items() if "p" in values and name in self.probabilities]
        if twice:
            name = twice[0]
            both = f"augmentation.probabilities.{name} and augmentation.transforms.{name}.p"
            raise broken_rule(both, (self.probabilities[name], self.transforms[name]["p"]), "given once")
        self.require(not self.originals or self.offline_pixels == "fresh", "originals")
