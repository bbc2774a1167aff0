"""Recipes: every key with its default, limits, meaning and the paper's value, declared once.

`recipe_file` reads and writes them as TOML; `recipe_table` makes the table in docs/recipes.md from them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import RecipeError
from lesionlens.core.metadata import FIELDS, check_fields
from lesionlens.core.pickles import is_pickle_name, pickle_remedy
from lesionlens.core.recipe_augmentation import AugmentationRecipe as AugmentationRecipe
from lesionlens.core.recipe_concepts import ConceptsRecipe as ConceptsRecipe
from lesionlens.core.recipe_pretraining import PretrainingRecipe as PretrainingRecipe
from lesionlens.core.recipe_section import Section, broken_rule, key, nearest, texts
from lesionlens.core.recipe_semi_supervised import SemiSupervisedRecipe as SemiSupervisedRecipe
from lesionlens.core.recipe_training import TrainingRecipe as TrainingRecipe

VARIANTS = (
    *("fp32", "bf16", "dynamic-int8", "int8", "int8-pointwise", "pruned", "pruned-int8"),
    *("channel-pruned", "channel-pruned-int8", "distilled", "distilled-int8"),
)

NETWORK = "a network of timm or of `lesionlens networks`"
WEIGHTS = "imagenet, none, or the path of a safetensors file"


def _refuse_pickle(name: str, weights: str) -> None:
    if is_pickle_name(weights):
        raise RecipeError(f"{broken_rule(name, weights, WEIGHTS)}, not of a pickle; {pickle_remedy(weights)}")


@dataclass(frozen=True)
class InputRecipe(Section):
    """How pixels are prepared; becomes an InputSpec once mean and standard deviation are known."""

    SECTION: ClassVar[str] = "input"

    size: int = key(224, "Side of the square that the network sees, pixels.", ge=32, le=1024, paper=384)
    frame: int = key(
        0,
        "Side of the square that the store keeps, pixels; 0 means `input.size`. A larger frame is cropped to the size: "
        "at random while training, at the centre otherwise.",
        ge=0,
        le=2048,
        rule="0, or from input.size to 2048",
    )
    resize: Literal["squash", "short_side", "window"] = key(
        "squash",
        "`squash` the whole image into the frame; scale the `short_side` to the frame and crop the centre; or scale the short "
        "side to the frame and cut a `window` of `input.size` out of the whole image, at a place drawn once for each image.",
    )
    normalise: Literal["training", "imagenet", "half"] = key(
        "imagenet",
        "Mean and standard deviation of each channel: `training` (of the train split), `imagenet`, or `half` (0.5).",
        paper="training",
    )

    def __post_init__(self) -> None:
        self.require(self.frame == 0 or self.frame >= self.size, "frame")


@dataclass(frozen=True)
class SplitRecipe(Section):
    """Which protocol splits the images."""

    SECTION: ClassVar[str] = "split"

    protocol: Literal["lesion", "lesion-kfold", "source", "paper", "official"] = key(
        "lesion",
        "`lesion` and `lesion-kfold` keep the images of a lesion together and are stratified by diagnosis; `source` tests on "
        "the images of one clinic or collection; `paper` splits images and leaks lesions; `official` tests on the ISIC 2018 "
        "test set.",
        paper="paper",
    )
    validation: float = key(0.1, "Share of the validation split (all protocols but `paper`).", gt=0, lt=0.9)
    test: float = key(0.2, "Share of the test split (`lesion`).", gt=0, lt=0.9)
    folds: int = key(5, "Number of folds (`lesion-kfold`).", ge=2, le=100)
    fold: int = key(0, "The fold that is the test split (`lesion-kfold`).", ge=0, rule="from 0 to split.folds - 1")
    seed: int = key(0, "Seed of the split alone, so that training seeds can vary on one split.")
    test_source: str = key("", "The value of the column `dataset` whose images are the test split (`source`).", later=True)

    def __post_init__(self) -> None:
        if self.protocol == "source" and not self.test_source:
            raise broken_rule("split.test_source", self.test_source, "the name of a source with protocol source")
        total = self.validation + self.test
        if total >= 0.95:
            raise broken_rule("split.validation + split.test", total, "below 0.95")
        self.require(self.fold < self.folds, "fold")


@dataclass(frozen=True)
class ModelRecipe(Section):
    """Which network, and where its weights come from."""

    SECTION: ClassVar[str] = "model"

    name: str = key(
        "convnext_tiny",
        "A network by name: of timm, of torchvision or composed; `lesionlens networks` lists them.",
        rule=NETWORK,
        paper="convnext_tiny",
    )
    weights: str = key(
        "imagenet",
        "Initial weights: `imagenet` (timm's hub), `none` (random), or the path of a safetensors file, such as a checkpoint of "
        "another run.",
        rule=WEIGHTS,
        paper="imagenet",
    )
    drop_rate: float = key(0.0, "Dropout before the linear layer.", ge=0, lt=1)
    drop_path_rate: float = key(0.0, "Stochastic depth.", ge=0, lt=1)
    metadata: tuple[str, ...] = key(
        (),
        "What the network is told of the patient beside the image: of `age`, `sex` and `site`. Unknown values are allowed.",
        rule=f"of {', '.join(FIELDS)}",
        later=True,
    )
    metadata_dropout: float = key(
        0.3,
        "Share of the known values of `model.metadata` that are hidden while training, so that a missing one does no harm.",
        ge=0,
        lt=1,
        later=True,
    )

    @field_validator("metadata", mode="before")
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        return texts(value)

    def __post_init__(self) -> None:
        _refuse_pickle("model.weights", self.weights)
        check_fields(self.metadata, "model.metadata")


@dataclass(frozen=True)
class EvaluationRecipe(Section):
    """How predictions become metrics."""

    SECTION: ClassVar[str] = "evaluation"

    views: Literal[1, 8] = key(1, "Test-time views averaged: 1, or the 8 flips and right-angle rotations.")
    resamples: int = key(2000, "Bootstrap resamples over lesions.", ge=100, le=100_000)
    confidence: float = key(0.95, "Level of the intervals.", ge=0.5, lt=1)

    def overridden(self, **values: float) -> EvaluationRecipe:
        """This section with other values; 0 keeps a value as it is.

        >>> EvaluationRecipe().overridden(resamples=500, confidence=0)
        EvaluationRecipe(views=1, resamples=500, confidence=0.95)

        Raises:
            RecipeError: if a value breaks the rule of its key.
        """
        given: dict[str, Any] = {name: value for name, value in values.items() if value}
        return dataclasses.replace(self, **given)


@dataclass(frozen=True)
class ExplanationRecipe(Section):
    """How thoroughly a network is explained."""

    SECTION: ClassVar[str] = "explanation"

    occlusion_images: int = key(
        32,
        "Most images that are explained by occlusion, which takes hundreds of passes for each; 0 explains all.",
        ge=0,
        le=1_000_000,
        later=True,
    )


@dataclass(frozen=True)
class CompressionRecipe(Section):
    """Smaller and faster variants of the network; each is a row of one table."""

    SECTION: ClassVar[str] = "compression"

    variants: tuple[str, ...] = key(
        ("bf16", "dynamic-int8", "int8", "pruned", "pruned-int8"),
        "Variants to make; fp32 is always there.",
        rule=f"of {', '.join(VARIANTS)}",
    )
    calibration_images: int = key(300, "Training images that calibrate static int8.", ge=1, le=100_000)
    accuracy_drop: float = key(
        0.0,
        "Above 0: layers of int8 return to float until balanced accuracy on the validation split falls by at most that much "
        "(NNCF's accuracy-aware mode).",
        ge=0,
        le=1,
    )
    default_drop: float = key(
        0.01,
        "Make int8 the default of the bundle if it loses at most that much balanced accuracy on the validation split.",
        ge=0,
        le=1,
    )
    sparsity: float = key(0.3, "Share of the weights that unstructured pruning sets to zero.", ge=0, lt=1, paper=0.3)
    channels_removed: float = key(0.3, "Share of the channels that structured pruning removes (`channel-pruned`).", ge=0, lt=1)
    fine_tune_epochs: int = key(3, "Epochs of fine-tuning after structured pruning.", ge=0, le=100_000)
    fine_tune_learning_rate: float = key(5e-4, "Peak learning rate of fine-tuning.", gt=0, le=10)
    student: str = key("convnext_atto", "The network of timm that is distilled into (`distilled`).", rule=NETWORK)
    student_weights: str = key("none", "Initial weights of the student, as `model.weights`.", rule=WEIGHTS)
    student_epochs: int = key(30, "Epochs of distillation.", ge=1, le=100_000)
    student_learning_rate: float = key(1e-3, "Peak learning rate of distillation.", gt=0, le=10)
    distillation_temperature: float = key(
        4.0, "Temperature T that divides the logits of student and teacher (Hinton 2015).", gt=0, le=100
    )
    distillation_weight: float = key(0.5, "Share of the loss that follows the teacher; the rest follows the labels.", ge=0, le=1)

    @field_validator("variants", mode="before")
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        return texts(value)

    def __post_init__(self) -> None:
        _refuse_pickle("compression.student_weights", self.student_weights)
        for name in self.variants:
            if name not in VARIANTS:
                raise broken_rule("compression.variants", name, f"of {', '.join(VARIANTS)}{nearest(name, VARIANTS)}")
        if len(set(self.variants)) < len(self.variants):
            raise broken_rule("compression.variants", self.variants, "without repetition")


@dataclass(frozen=True)
class Recipe(Section):
    """Everything that decides a run besides the images."""

    name: str = key("unnamed", "Name of the recipe, shown wherever its numbers appear.", rule="a short text")
    seed: int = key(0, "Seed of augmentation, order, initialisation and dropout.", ge=0, le=2**31 - 1)
    input: InputRecipe = Field(default_factory=InputRecipe)
    split: SplitRecipe = Field(default_factory=SplitRecipe)
    augmentation: AugmentationRecipe = Field(default_factory=AugmentationRecipe)
    model: ModelRecipe = Field(default_factory=ModelRecipe)
    training: TrainingRecipe = Field(default_factory=TrainingRecipe)
    evaluation: EvaluationRecipe = Field(default_factory=EvaluationRecipe)
    compression: CompressionRecipe = Field(default_factory=CompressionRecipe)
    explanation: ExplanationRecipe = Field(default_factory=ExplanationRecipe)
    pretraining: PretrainingRecipe = Field(default_factory=PretrainingRecipe)
    semi_supervised: SemiSupervisedRecipe = Field(default_factory=SemiSupervisedRecipe)
    concepts: ConceptsRecipe = Field(default_factory=ConceptsRecipe)

    def __post_init__(self) -> None:
        semi = self.semi_supervised.images
        if semi and self.training.contrastive_weight:
            rule = "empty with training.contrastive_weight above 0, whose loss needs a diagnosis for each image"
            raise broken_rule("semi_supervised.images", semi, rule)
        if semi and self.model.metadata:
            raise broken_rule("semi_supervised.images", semi, "empty with model.metadata: unlabelled images have none")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form with every key, defaults included."""
        return dataclasses.asdict(self)

    def hash(self, *sections: str) -> str:
        """SHA-256 of the whole recipe, or of the named sections alone.

        >>> Recipe(name="a").hash("training") == Recipe(name="b").hash("training")
        True
        """
        values = {name: value.hashed() if isinstance(value, Section) else value for name, value in vars(self).items()}
        values = {name: value for name, value in values.items() if value != {}}  # a section of `later` keys alone
        return hash_value({name: values[name] for name in sections if name in values} if sections else values)
