"""The section `training` of a recipe."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from lesionlens.core.recipe_section import Section, key


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
    learning_rate_scaling: Literal["none", "linear", "sqrt"] = key(
        "none",
        "Scale every learning rate by the images per optimizer step over `training.learning_rate_batch`, or by the square "
        "root of that (`sqrt`, usual for the Adam family).",
        later=True,
    )
    learning_rate_batch: int = key(
        256, "Images per step that the learning rates are stated for; used if they are scaled.", ge=1, le=1_000_000, later=True
    )
    layer_decay: float = key(
        1.0,
        "Layer-wise decay of the learning rate: each layer, from the head down, learns at this share of the rate of the layer "
        "above it; 1 gives all the same rate.",
        gt=0,
        le=1,
        later=True,
    )
    weight_decay: float = key(5e-3, "Weight decay; see `training.weight_decay_on`.", ge=0, paper=5e-3)
    weight_decay_on: Literal["weights", "all"] = key(
        "weights",
        "What decays: the `weights`, without biases, norms and what the network names in `no_weight_decay`; or `all` parameters.",
        later=True,
    )
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
    contrastive_weight: float = key(
        0.0,
        "Weight of a contrastive loss on the features before the classifier, which draws images of one diagnosis together "
        "(TransFG, as in SkinTrans); 0 turns it off.",
        ge=0,
        le=100,
        later=True,
    )
    contrastive_margin: float = key(
        0.4, "Cosine similarity up to which features of different diagnoses count as different enough.", ge=-1, lt=1, later=True
    )
    sampler: Literal["shuffle", "balanced"] = key("shuffle", "Order of the images: `shuffle`, or all classes alike (`balanced`).")
    ema_decay: float = key(0.0, "Decay of the moving average of the weights; 0 turns it off.", ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = key(
        "auto",
        "Number format of the forward pass; `auto` takes mixed precision where the device supports it.",
        paper="mixed",
    )
    progressive: float = key(
        1.0,
        "Side of the training images in the first epoch, as a share of `input.size`; it grows to all of it over two thirds of "
        "the epochs (progressive resizing). 1 turns it off.",
        ge=0.3,
        le=1,
        later=True,
    )
    channels_last: bool = key(True, "Memory format of the network and its images.")
    compile: bool = key(False, "Run the network through torch.compile.")
    sync_batchnorm: bool = key(
        False, "Share the statistics of batch norms between the processes of a run; needs CUDA GPUs.", later=True
    )
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
