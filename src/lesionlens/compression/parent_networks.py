"""Networks in float that have a bundle: the checkpoint itself, and those with other weights that are made from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from lesionlens.bundle.bundle import FACTS_FILE, Bundle, open_bundle, read_bundle
from lesionlens.compression.distill import distill
from lesionlens.compression.prune import channel_pruned, pruned
from lesionlens.compression.source import Source
from lesionlens.core.artifact import hash_file, hash_value, is_current, stamp_path, write_stamp, write_text
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split
from lesionlens.export.export import ExportSettings, export
from lesionlens.training.checkpoint import load_network
from lesionlens.training.run import BEST_FILE, HISTORY_FILE, LAST_FILE, TrainingData

BUNDLE = "bundle"
BEGUN_FILE = "begun"


@dataclass(frozen=True)
class Parent:
    """A network in float with a bundle: the checkpoint itself, or one with other weights.

    Attributes:
        name: `fp32`, `pruned`, `channel-pruned` or `distilled`.
        checkpoint: its file.
        network: in evaluation mode.
        bundle: of it.
    """

    name: str
    checkpoint: Path
    network: nn.Module
    bundle: Bundle

    @property
    def graph(self) -> Path:
        """Its fp32 graph."""
        return self.bundle.path / next(iter(self.bundle.variants["fp32"].graphs.values()))

    @property
    def temperature(self) -> float:
        """That its logits are divided by."""
        return float(self.bundle.facts["temperature"]["value"])


def parent_of(source: Source, name: str = "fp32") -> Parent:
    """The network called `name`, made if it was not made from the same before."""
    if name == "fp32":
        return Parent(name, source.checkpoint, source.network, read_bundle(source.bundle))
    checkpoint = _other_weights(source, name)
    made_from = {"checkpoint": hash_file(checkpoint), **source.images_hash()}
    folder = source.out / name / BUNDLE
    if not ((folder / FACTS_FILE).is_file() and is_current(folder, made_from)):
        source.reporter.note(f"{name}: writing its bundle")
        wanted = PredictionSettings(views=1, batch_size=source.settings.batch_size)
        dataset = source.dataset
        stamp_path(folder).unlink(missing_ok=True)
        measured = predict_split(checkpoint, dataset, wanted)
        export(checkpoint, dataset, folder, measured, _export_settings(source, name))
        write_stamp(folder, made_from)
    return Parent(name, checkpoint, load_network(checkpoint)[0], open_bundle(folder))


def _export_settings(source: Source, name: str) -> ExportSettings:
    """As `export` does by itself; `pruned` is there to be compared, not to be used, and needs no gate."""
    settings = ExportSettings(
        compared_images=source.settings.compared_images, selftest_images=min(4, source.settings.compared_images)
    )
    return replace(settings, gate_images=0) if name == "pruned" else settings


def _other_weights(source: Source, name: str) -> Path:
    """The checkpoint of a network with other weights, made if it was not made from the same before."""
    folder = source.out / name
    path, made_from = folder / BEST_FILE, _weights_inputs(source, name)
    if is_current(path, made_from):
        return path
    _clear_others(folder, made_from)
    if name == "pruned":
        source.reporter.note(f"pruned: setting {source.recipe.sparsity:.0%} of the weights to zero")
        made = pruned(source.checkpoint, folder, source.recipe)
    else:
        made = _trained(source, name, folder)
    write_stamp(made, made_from)
    return made


def _trained(source: Source, name: str, folder: Path) -> Path:
    dataset, plan, recipe = source.dataset, source.plan, source.recipe
    assert plan is not None, "open_source asked for it"
    inputs = TrainingData(dataset.index, dataset.split, dataset.store, plan)
    epochs = recipe.fine_tune_epochs if name == "channel-pruned" else recipe.student_epochs
    source.reporter.note(f"{name}: training for {epochs} epochs")
    with source.reporter.bar(f"Training {name}", epochs * len(plan)) as advance:
        return (channel_pruned if name == "channel-pruned" else distill)(source.checkpoint, inputs, recipe, folder, advance)


USED_BY = {
    "pruned": ("sparsity",),
    "channel-pruned": (
        "channels_removed",
        "fine_tune_epochs",
        "fine_tune_learning_rate",
        "distillation_temperature",
        "distillation_weight",
    ),
    "distilled": (
        *("student", "student_weights", "student_epochs", "student_learning_rate"),
        *("distillation_temperature", "distillation_weight"),
    ),
}


def _weights_inputs(source: Source, name: str) -> dict[str, str]:
    settings = {key: getattr(source.recipe, key) for key in USED_BY[name]}
    made_from = {"checkpoint": source.hash, "settings": hash_value(settings)}
    trained_on = {} if source.plan is None or name == "pruned" else {"plan": source.plan.hash}
    return {**made_from, **trained_on, **(source.images_hash() if trained_on else {})}


def _clear_others(folder: Path, made_from: dict[str, str]) -> None:
    """Remove what an earlier call made from something else; what was begun from the same is gone on with."""
    begun = folder / BEGUN_FILE
    if not is_current(begun, made_from):
        for name in (BEST_FILE, LAST_FILE, HISTORY_FILE):
            (folder / name).unlink(missing_ok=True)
        write_text(begun, "")
        write_stamp(begun, made_from)
