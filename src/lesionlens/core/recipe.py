"""Recipes: frozen dataclasses that are checked as they are made; `recipe_file` reads and writes them."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import Any, Literal

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import RecipeError

VARIANTS = (
    *("fp32", "bf16", "dynamic-int8", "int8", "pruned", "pruned-int8"),
    *("channel-pruned", "channel-pruned-int8", "distilled", "distilled-int8"),
)


def _check(condition: bool, name: str, value: object, rule: str) -> None:
    if not condition:
        raise RecipeError(f"{name} = {value!r}; it must be {rule}")


@dataclass(frozen=True)
class InputRecipe:
    """How pixels are prepared; becomes an InputSpec once mean and std are known.

    Attributes:
        size: side of the square that the network sees, pixels.
        frame: side of the square that the store keeps, pixels; 0 means `size`. A larger frame is
            cropped to `size`: anywhere while training, in the centre otherwise.
        resize: `squash` the whole image into the frame, or `short_side`: scale the short side to
            the frame and cut its centre.
        normalise: `training` (mean and std of the training split), `imagenet`, or `half` (0.5).
    """

    size: int = 224
    frame: int = 0
    resize: Literal["squash", "short_side"] = "squash"
    normalise: Literal["training", "imagenet", "half"] = "imagenet"

    def __post_init__(self) -> None:
        _check(32 <= self.size <= 1024, "input.size", self.size, "from 32 to 1024 pixels")
        _check(self.frame == 0 or self.size <= self.frame <= 2048, "input.frame", self.frame, "0, or from input.size to 2048")


@dataclass(frozen=True)
class SplitRecipe:
    """Which protocol splits the images.

    Attributes:
        protocol: `lesion` (grouped by lesion, stratified), `lesion-kfold`, `paper` (leaks), `official`.
        validation: share of the validation split (`lesion`).
        test: share of the test split (`lesion`).
        folds: number of folds (`lesion-kfold`).
        fold: which fold is the test split, from 0 (`lesion-kfold`).
        seed: seed of the split alone, so that training seeds can vary on one split.
    """

    protocol: Literal["lesion", "lesion-kfold", "paper", "official"] = "lesion"
    validation: float = 0.1
    test: float = 0.2
    folds: int = 5
    fold: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _check(0 < self.validation < 0.9, "split.validation", self.validation, "between 0 and 0.9")
        _check(0 < self.test < 0.9, "split.test", self.test, "between 0 and 0.9")
        _check(self.validation + self.test < 0.95, "split.validation + split.test", self.validation + self.test, "below 0.95")
        _check(2 <= self.folds <= 100, "split.folds", self.folds, "from 2 to 100")
        _check(0 <= self.fold < self.folds, "split.fold", self.fold, "from 0 to split.folds - 1")


@dataclass(frozen=True)
class AugmentationRecipe:
    """The two phases of the method.

    Attributes:
        offline_fill: each class is filled up with augmented copies to this share of the largest
            class; 1 is the paper's default, 0 makes none.
        offline_pixels: `fixed` draws each copy once (the paper); `fresh` draws it anew each epoch.
        originals: whether the originals pass through the same transforms too (only if `fresh`).
        mixup_p: probability that a mini-batch is mixed by MixUp.
        mixup_alpha: both parameters of its Beta distribution.
        cutmix_p: probability that a mini-batch is mixed by CutMix.
        cutmix_alpha: both parameters of its Beta distribution.
        probabilities: overrides of table 3's probabilities by transform name, for example
            `{ "gaussian_blur" = 0.0 }`.
    """

    offline_fill: float = 1.0
    offline_pixels: Literal["fixed", "fresh"] = "fixed"
    originals: bool = False
    mixup_p: float = 0.3
    mixup_alpha: float = 1.0
    cutmix_p: float = 0.2
    cutmix_alpha: float = 1.0
    probabilities: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(0 <= self.offline_fill <= 1, "augmentation.offline_fill", self.offline_fill, "from 0 to 1")
        for name in ("mixup_p", "cutmix_p"):
            _check(0 <= getattr(self, name) <= 1, f"augmentation.{name}", getattr(self, name), "from 0 to 1")
        _check(self.mixup_p + self.cutmix_p <= 1, "augmentation.mixup_p + cutmix_p", self.mixup_p + self.cutmix_p, "at most 1")
        for name in ("mixup_alpha", "cutmix_alpha"):
            _check(getattr(self, name) > 0, f"augmentation.{name}", getattr(self, name), "above 0")
        for name, p in self.probabilities.items():
            _check(0 <= p <= 1, f"augmentation.probabilities.{name}", p, "from 0 to 1")
        _check(
            not self.originals or self.offline_pixels == "fresh",
            "augmentation.originals",
            self.originals,
            'false unless augmentation.offline_pixels is "fresh"',
        )


@dataclass(frozen=True)
class ModelRecipe:
    """Which network, and where its weights come from.

    Attributes:
        name: a network of timm, in timm's own name.
        weights: `imagenet` (timm's hub), `none` (random), or the path of a safetensors file.
        drop_rate: dropout before the linear layer.
        drop_path_rate: stochastic depth.
    """

    name: str = "convnext_tiny"
    weights: str = "imagenet"
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0

    def __post_init__(self) -> None:
        _check(bool(self.name), "model.name", self.name, "a network that timm knows")
        _check(bool(self.weights), "model.weights", self.weights, "imagenet, none, or the path of a safetensors file")
        for name in ("drop_rate", "drop_path_rate"):
            _check(0 <= getattr(self, name) < 1, f"model.{name}", getattr(self, name), "from 0 to below 1")


@dataclass(frozen=True)
class TrainingRecipe:
    """The optimiser, its schedule and the loss; defaults are table 6 of the paper.

    Attributes:
        epochs: passes over the plan.
        batch_size: images per optimiser step on all processes together, before `accumulate`.
        accumulate: mini-batches per optimiser step.
        optimizer: `adamw`, `adam`, `nadam` or `sgd`.
        learning_rate: peak rate.
        beta1: momentum (first beta of the Adam family).
        weight_decay: not applied to biases and norms.
        schedule: `onecycle`, `cosine` or `constant`.
        warmup_epochs: epochs from `warmup_learning_rate` up to the peak; may be a fraction.
        warmup_learning_rate: rate of the first step.
        final_learning_rate: rate of the last step.
        loss: `cross_entropy` or `focal`.
        focal_gamma: focusing parameter of the focal loss.
        label_smoothing: target y(1-e)+e/K.
        class_weights: `none`, `inverse` (of the class frequency) or `effective` (Cui 2019).
        logit_adjustment: tau of Menon 2021; 0 turns it off.
        sampler: `shuffle`, or `balanced` (classes drawn alike).
        ema_decay: decay of the averaged weights; 0 turns them off.
        precision: `auto`, `fp32`, `bf16` or `fp16` (with loss scaling).
        channels_last: memory format of the network and its images.
        compile: run the network through torch.compile.
        clip_norm: largest norm of the gradient; 0 turns clipping off.
        patience: epochs without a better validation before stopping; 0 never stops early.
        monitor: the validation metric that picks the best epoch.
        tensorboard: also write TensorBoard events.
    """

    epochs: int = 100
    batch_size: int = 64
    accumulate: int = 1
    optimizer: Literal["adamw", "adam", "nadam", "sgd"] = "adamw"
    learning_rate: float = 5e-5
    beta1: float = 0.9
    weight_decay: float = 5e-3
    schedule: Literal["onecycle", "cosine", "constant"] = "onecycle"
    warmup_epochs: float = 30.0
    warmup_learning_rate: float = 5e-6
    final_learning_rate: float = 0.0
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: float = 2.0
    label_smoothing: float = 0.1
    class_weights: Literal["none", "inverse", "effective"] = "none"
    logit_adjustment: float = 0.0
    sampler: Literal["shuffle", "balanced"] = "shuffle"
    ema_decay: float = 0.0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool = True
    compile: bool = False
    clip_norm: float = 0.0
    patience: int = 0
    monitor: Literal["balanced_accuracy", "accuracy", "macro_f1", "loss"] = "balanced_accuracy"
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            _check(1 <= getattr(self, name) <= 100_000, f"training.{name}", getattr(self, name), "from 1 to 100000")
        _check(self.batch_size > 1, "training.batch_size", self.batch_size, "at least 2 (batch norms and MixUp need pairs)")
        _check(0 < self.learning_rate <= 10, "training.learning_rate", self.learning_rate, "above 0 and at most 10")
        for name in ("warmup_learning_rate", "final_learning_rate"):
            _check(
                0 <= getattr(self, name) <= self.learning_rate,
                f"training.{name}",
                getattr(self, name),
                "from 0 to training.learning_rate",
            )
        _check(
            0 <= self.warmup_epochs < self.epochs, "training.warmup_epochs", self.warmup_epochs, "from 0 to below training.epochs"
        )
        for name in ("beta1", "label_smoothing", "ema_decay"):
            _check(0 <= getattr(self, name) < 1, f"training.{name}", getattr(self, name), "from 0 to below 1")
        for name in ("weight_decay", "focal_gamma", "logit_adjustment", "clip_norm", "patience"):
            _check(getattr(self, name) >= 0, f"training.{name}", getattr(self, name), "0 or above")


@dataclass(frozen=True)
class EvaluationRecipe:
    """How predictions become metrics.

    Attributes:
        views: test-time views averaged: 1, or the 8 flips and right-angle rotations.
        resamples: bootstrap resamples over lesions.
        confidence: level of the intervals.
    """

    views: int = 1
    resamples: int = 2000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        _check(self.views in (1, 8), "evaluation.views", self.views, "1 or 8")
        _check(100 <= self.resamples <= 100_000, "evaluation.resamples", self.resamples, "from 100 to 100000")
        _check(0.5 <= self.confidence < 1, "evaluation.confidence", self.confidence, "from 0.5 to below 1")


@dataclass(frozen=True)
class CompressionRecipe:
    """Smaller and faster forms of the network; each is a row of one table.

    Attributes:
        variants: which to make, of `VARIANTS`; fp32 is always there.
        calibration_images: training images that static int8 takes the ranges of activations from.
        accuracy_drop: above 0, layers of int8 go back to float until balanced accuracy on the
            validation split falls by at most that much (NNCF's accuracy-aware mode).
        default_drop: int8 becomes the bundle's default if it loses at most that much balanced
            accuracy on the validation split.
        sparsity: share of the weights that unstructured pruning sets to zero.
        channels_removed: share of the channels that structured pruning takes out (`channel-pruned`).
        fine_tune_epochs: epochs after structured pruning.
        fine_tune_learning_rate: their peak rate.
        student: network of timm that is taught (`distilled`).
        student_weights: where its weights come from, as `model.weights`.
        student_epochs: epochs of teaching.
        student_learning_rate: their peak rate.
        distillation_temperature: T by which both networks' logits are divided (Hinton 2015).
        distillation_weight: share of the loss that follows the teacher; the rest follows the labels.
    """

    variants: tuple[str, ...] = ("bf16", "dynamic-int8", "int8", "pruned", "pruned-int8")
    calibration_images: int = 300
    accuracy_drop: float = 0.0
    default_drop: float = 0.01
    sparsity: float = 0.3
    channels_removed: float = 0.3
    fine_tune_epochs: int = 3
    fine_tune_learning_rate: float = 5e-4
    student: str = "convnext_atto"
    student_weights: str = "none"
    student_epochs: int = 30
    student_learning_rate: float = 1e-3
    distillation_temperature: float = 4.0
    distillation_weight: float = 0.5

    def __post_init__(self) -> None:
        for name in self.variants:
            near = difflib.get_close_matches(name, VARIANTS, n=1)
            rule = f"of {', '.join(VARIANTS)}{f'; did you mean {near[0]}?' if near else ''}"
            _check(name in VARIANTS, "compression.variants", name, rule)
        _check(len(set(self.variants)) == len(self.variants), "compression.variants", self.variants, "without repetition")
        _check(bool(self.student), "compression.student", self.student, "a network that timm knows")
        _check(bool(self.student_weights), "compression.student_weights", self.student_weights, "as model.weights")
        for name, low, high in (
            ("calibration_images", 1, 100_000),
            ("fine_tune_epochs", 0, 100_000),
            ("student_epochs", 1, 100_000),
            ("accuracy_drop", 0, 1),
            ("default_drop", 0, 1),
            ("distillation_weight", 0, 1),
        ):
            _check(low <= getattr(self, name) <= high, f"compression.{name}", getattr(self, name), f"from {low} to {high}")
        for name in ("sparsity", "channels_removed"):
            _check(0 <= getattr(self, name) < 1, f"compression.{name}", getattr(self, name), "from 0 to below 1")
        for name in ("fine_tune_learning_rate", "student_learning_rate"):
            _check(0 < getattr(self, name) <= 10, f"compression.{name}", getattr(self, name), "above 0 and at most 10")
        temperature = self.distillation_temperature
        _check(0 < temperature <= 100, "compression.distillation_temperature", temperature, "above 0 and at most 100")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run besides the images.

    Attributes:
        name: shown wherever the numbers appear.
        seed: seed of augmentation, order, initialisation and dropout.
    """

    name: str = "unnamed"
    seed: int = 0
    input: InputRecipe = field(default_factory=InputRecipe)
    split: SplitRecipe = field(default_factory=SplitRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    model: ModelRecipe = field(default_factory=ModelRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    evaluation: EvaluationRecipe = field(default_factory=EvaluationRecipe)
    compression: CompressionRecipe = field(default_factory=CompressionRecipe)

    def __post_init__(self) -> None:
        _check(bool(self.name), "name", self.name, "a short text")
        _check(0 <= self.seed < 2**31, "seed", self.seed, "from 0 to 2147483647")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form with every key, defaults included."""
        return dataclasses.asdict(self)

    def hash(self, *sections: str) -> str:
        """SHA-256 of the whole recipe, or of the named sections alone."""
        value = self.to_json()
        return hash_value({key: value[key] for key in sections} if sections else value)
