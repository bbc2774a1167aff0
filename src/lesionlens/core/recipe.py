"""Recipes: every key with its default, limits, meaning and the paper's value, declared once.

`recipe_file` reads and writes them as TOML; `recipe_table` makes the table in docs/recipes.md from them.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import RecipeError
from lesionlens.core.pickles import is_pickle_name, pickle_remedy
from lesionlens.core.recipe_section import Section, broken_rule, key, nearest

VARIANTS = (
    *("fp32", "bf16", "dynamic-int8", "int8", "pruned", "pruned-int8"),
    *("channel-pruned", "channel-pruned-int8", "distilled", "distilled-int8"),
)

NETWORK = "a network that timm knows"
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
    resize: Literal["squash", "short_side"] = key(
        "squash",
        "`squash` the whole image into the frame, or scale the `short_side` to the frame and crop the centre.",
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
    test_source: str = key("", "The value of the column `dataset` whose images are the test split (`source`).")

    def __post_init__(self) -> None:
        if self.protocol == "source" and not self.test_source:
            raise broken_rule("split.test_source", self.test_source, "the name of a source with protocol source")
        total = self.validation + self.test
        if total >= 0.95:
            raise broken_rule("split.validation + split.test", total, "below 0.95")
        self.require(self.fold < self.folds, "fold")


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

    def __post_init__(self) -> None:
        total = self.mixup_p + self.cutmix_p
        if total > 1:
            raise broken_rule("augmentation.mixup_p + cutmix_p", total, "at most 1")
        self.require(not self.originals or self.offline_pixels == "fresh", "originals")


@dataclass(frozen=True)
class ModelRecipe(Section):
    """Which network, and where its weights come from."""

    SECTION: ClassVar[str] = "model"

    name: str = key("convnext_tiny", "A network of timm, by timm's name.", rule=NETWORK, paper="convnext_tiny")
    weights: str = key(
        "imagenet",
        "Initial weights: `imagenet` (timm's hub), `none` (random), or the path of a safetensors file, such as a checkpoint of "
        "another run.",
        rule=WEIGHTS,
        paper="imagenet",
    )
    drop_rate: float = key(0.0, "Dropout before the linear layer.", ge=0, lt=1)
    drop_path_rate: float = key(0.0, "Stochastic depth.", ge=0, lt=1)

    def __post_init__(self) -> None:
        _refuse_pickle("model.weights", self.weights)


@dataclass(frozen=True)
class TrainingRecipe(Section):
    """The optimizer, its schedule and the loss; the defaults are table 6 of the paper."""

    SECTION: ClassVar[str] = "training"

    epochs: int = key(100, "Passes over the training plan.", ge=1, le=100_000, paper=100)
    batch_size: int = key(
        64,
        "Images per mini-batch, over all processes together.",
        ge=2,
        le=100_000,
        rule="from 2 to 100000 (batch norms and MixUp need at least 2)",
        paper=64,
    )
    accumulate: int = key(1, "Mini-batches per optimizer step.", ge=1, le=100_000)
    optimizer: Literal["adamw", "adam", "nadam", "sgd"] = key("adamw", "The optimizer.", paper="adamw")
    learning_rate: float = key(5e-5, "Peak learning rate.", gt=0, le=10, paper=5e-5)
    beta1: float = key(0.9, "Momentum (first beta of the Adam family).", ge=0, lt=1, paper=0.9)
    weight_decay: float = key(5e-3, "Weight decay; not applied to biases and norms.", ge=0, paper=5e-3)
    schedule: Literal["onecycle", "cosine", "constant"] = key(
        "onecycle", "Schedule of the learning rate after the warm-up.", paper="onecycle"
    )
    warmup_epochs: float = key(
        30.0,
        "Epochs from `training.warmup_learning_rate` to the peak; may be a fraction.",
        ge=0,
        rule="from 0 to below training.epochs",
        paper=30.0,
    )
    warmup_learning_rate: float = key(
        5e-6, "Learning rate of the first step.", ge=0, rule="from 0 to training.learning_rate", paper=5e-6
    )
    final_learning_rate: float = key(0.0, "Learning rate of the last step.", ge=0, rule="from 0 to training.learning_rate")
    loss: Literal["cross_entropy", "focal"] = key("cross_entropy", "The loss.", paper="cross_entropy")
    focal_gamma: float = key(2.0, "Focusing parameter of the focal loss.", ge=0)
    label_smoothing: float = key(0.1, "Label smoothing e: the target is y(1-e)+e/K.", ge=0, lt=1, paper=0.1)
    class_weights: Literal["none", "inverse", "effective"] = key(
        "none", "Weights of the classes in the loss: `inverse` to their frequency, or `effective` number (Cui 2019)."
    )
    logit_adjustment: float = key(0.0, "Logit adjustment tau (Menon 2021); 0 turns it off.", ge=0)
    sampler: Literal["shuffle", "balanced"] = key("shuffle", "Order of the images: `shuffle`, or all classes alike (`balanced`).")
    ema_decay: float = key(0.0, "Decay of the moving average of the weights; 0 turns it off.", ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = key(
        "auto",
        "Number format of the forward pass; `auto` takes mixed precision where the device supports it.",
        paper="mixed",
    )
    channels_last: bool = key(True, "Memory format of the network and its images.")
    compile: bool = key(False, "Run the network through torch.compile.")
    clip_norm: float = key(0.0, "Largest norm of the gradient; 0 turns clipping off.", ge=0)
    patience: int = key(0, "Epochs without a better validation before training stops; 0 never stops early.", ge=0)
    monitor: Literal["balanced_accuracy", "accuracy", "macro_f1", "loss"] = key(
        "balanced_accuracy", "The validation metric that selects the best epoch."
    )
    tensorboard: bool = key(False, "Write TensorBoard events as well.")

    def __post_init__(self) -> None:
        for name in ("warmup_learning_rate", "final_learning_rate"):
            self.require(getattr(self, name) <= self.learning_rate, name)
        self.require(self.warmup_epochs < self.epochs, "warmup_epochs")


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
        """Accept one text with commas, which needs no quotes after --set, and TOML's and JSON's lists."""
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return tuple(value) if isinstance(value, list) else value

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

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form with every key, defaults included."""
        return dataclasses.asdict(self)

    def hash(self, *sections: str) -> str:
        """SHA-256 of the whole recipe, or of the named sections alone.

        >>> Recipe(name="a").hash("training") == Recipe(name="b").hash("training")
        True
        """
        value = self.to_json()
        if self.explanation == ExplanationRecipe():  # younger than the first hashes, which do not change
            del value["explanation"]
        if not self.split.test_source:
            del value["split"]["test_source"]  # younger, too
        return hash_value({key: value[key] for key in sections if key in value} if sections else value)
