"""The section `semi_supervised` of a recipe."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from lesionlens.core.recipe_section import Section, key


@dataclass(frozen=True)
class SemiSupervisedRecipe(Section):
    """Unlabelled images beside the labelled ones while training (FixMatch); off unless `semi_supervised.images` names some."""

    SECTION: ClassVar[str] = "semi_supervised"

    images: str = key(
        "",
        "Images without diagnoses: a folder, or a CSV (image_id, lesion_id, patient_id). Those that validation or test hold are "
        "left out. Empty turns it off.",
        later=True,
    )
    ratio: float = key(1.0, "Unlabelled images per labelled one in a mini-batch.", gt=0, le=16, later=True)
    threshold: float = key(0.95, "Probability that a prediction needs to become a pseudo-label.", ge=0, lt=1, later=True)
    threshold_by: Literal["all", "class"] = key(
        "all",
        "One threshold for `all` diagnoses; or a lower one for each `class` that got fewer pseudo-labels in the epoch before "
        "than its share of the training images lets expect.",
        later=True,
    )
    weight: float = key(1.0, "Weight of the loss of the unlabelled images.", gt=0, le=100, later=True)
    strong: str = key(
        "rand-m10-n2-mstd0.5-inc1",
        "RandAugment of the strong view: timm's configuration. A hole is cut as well.",
        rule="timm's configuration, such as rand-m10-n2-mstd0.5-inc1",
        later=True,
    )
