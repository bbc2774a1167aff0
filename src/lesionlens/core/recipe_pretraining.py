"""The section `pretraining` of a recipe."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from lesionlens.core.recipe_section import Section, key


@dataclass(frozen=True)
class PretrainingRecipe(Section):
    """Self-supervised pretraining (SimSiam) by `lesionlens pretrain`; `train` does not use it."""

    SECTION: ClassVar[str] = "pretraining"

    epochs: int = key(100, "Passes over the images.", ge=1, le=100_000, later=True)
    batch_size: int = key(
        64, "Images per mini-batch, each of them in two views.", ge=4, le=100_000, rule="from 4 to 100000", later=True
    )
    optimizer: Literal["adamw", "adam", "nadam", "sgd"] = key("adamw", "The optimizer.", later=True)
    learning_rate: float = key(1e-3, "Peak learning rate; it falls along half a cosine.", gt=0, le=10, later=True)
    warmup_epochs: float = key(1.0, "Epochs of linear warm-up.", ge=0, rule="from 0 to below pretraining.epochs", later=True)
    weight_decay: float = key(1e-4, "Weight decay.", ge=0, later=True)
    width: int = key(
        1024, "Width of the projections; the predictor's hidden layer has a quarter of it.", ge=16, le=8192, later=True
    )
    smallest_crop: float = key(0.25, "Smallest share of the image's area that a view shows.", gt=0, le=1, later=True)

    def __post_init__(self) -> None:
        self.require(self.warmup_epochs < self.epochs, "warmup_epochs")
