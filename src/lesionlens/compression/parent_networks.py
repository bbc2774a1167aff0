"""Float networks with a bundle: the checkpoint itself, and the networks with other weights derived from it."""

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
from lesionlens.models.weights import InitialWeights
from lesionlens.training.checkpoint import load_info, load_network
from lesionlens.training.run import BEST_FILE, HISTORY_FILE, LAST_FILE, TrainingData

BUNDLE = "bundle"
BEGUN_FILE = "begun"
DISTILLATION_KEYS = ("distillation_temperature", "distillation_weight")
RECIPE_KEYS = {
    "pruned": ("sparsity",),
    "channel-pruned": ("channels_removed", "fine_tune_epochs", "fine_tune_learning_rate", *DISTILLATION_KEYS),
    "distilled": ("student", "student_weights", "student_epochs", "student_learning_rate", *DISTILLATION_KEYS),
}


@dataclass(frozen=True)
class ParentNetwork:
    """A float network with a bundle, from which other variants are built.

    Attributes:
        name: `fp32`, `pruned`, `channel-pruned` or `distilled`.
        checkpoint: its file.
        network: in evaluation mode.
        bundle: its bundle.
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
        """The divisor of its logits."""
        return float(self.bundle.facts["temperature"]["value"])


def parent_network(source: Source, name: str = "fp32") -> ParentNetwork:
    """The network called `name`, built unless it is current."""
    if name == "fp32":
        return ParentNetwork(name, source.checkpoint, source.network, read_bundle(source.bundle))
    checkpoint = _derived_checkpoint(source, name)
    made_from = {"checkpoint": hash_file(checkpoint), **source.images_hash()}
    folder = source.out / name / BUNDLE
    if not ((folder / FACTS_FILE).is_file() and is_current(folder, made_from)):
        source.reporter.note(f"{name}: writing its bundle")
        stamp_path(folder).unlink(missing_ok=True)
        settings = PredictionSettings(views=1, batch_size=source.settings.batch_size)
        predictions = predict_split(checkpoint, source.dataset, settings)
        export(checkpoint, source.dataset, folder, predictions, _export_settings(source, name))
        write_stamp(folder, made_from)
    return ParentNetwork(name, checkpoint, load_network(checkpoint)[0], open_bundle(folder))


def _export_settings(source: Source, name: str) -> ExportSettings:
    """The defaults of `export`, without a gate for `pruned`, which is only compared and never deployed."""
    count = source.settings.compared_images
    settings = ExportSettings(compared_images=count, selftest_images=min(4, count))
    return replace(settings, gate_images=0) if name == "pruned" else settings


def _derived_checkpoint(source: Source, name: str) -> Path:
    """The checkpoint of a network with other weights, written unless it is current."""
    folder = source.out / name
    path, made_from = folder / BEST_FILE, _checkpoint_inputs(source, name)
    if is_current(path, made_from):
        return path
    _remove_outdated(folder, made_from)
    if name == "pruned":
        source.reporter.note(f"pruned: setting {source.recipe.sparsity:.0%} of the weights to zero")
        pruned(source.checkpoint, folder, source.recipe)
    else:
        _train(source, name, folder)
    write_stamp(path, made_from)
    return path


def _train(source: Source, name: str, folder: Path) -> None:
    dataset, plan, recipe = source.dataset, source.plan, source.recipe
    assert plan is not None, "open_source requires the plan"
    data = TrainingData(dataset.index, dataset.split, dataset.store, plan)
    train, epochs = (channel_pruned, recipe.fine_tune_epochs) if name == "channel-pruned" else (distill, recipe.student_epochs)
    source.reporter.note(f"{name}: training for {epochs} epochs")
    with source.reporter.bar(f"Training {name}", epochs * len(plan)) as advance:
        path = train(source.checkpoint, data, recipe, folder, advance)
    if start := load_info(path).initial_weights:
        source.reporter.note(f"{name}: {InitialWeights.from_json(start).note()}")


def _checkpoint_inputs(source: Source, name: str) -> dict[str, str]:
    settings = {key: getattr(source.recipe, key) for key in RECIPE_KEYS[name]}
    made_from = {"checkpoint": source.hash, "settings": hash_value(settings)}
    if source.plan is None or name == "pruned":
        return made_from
    return {**made_from, "plan": source.plan.hash, **source.images_hash()}


def _remove_outdated(folder: Path, made_from: dict[str, str]) -> None:
    """Remove files that were made from other inputs; an interrupted training with the same inputs is kept and resumes."""
    begun = folder / BEGUN_FILE
    if not is_current(begun, made_from):
        for name in (BEST_FILE, LAST_FILE, HISTORY_FILE):
            (folder / name).unlink(missing_ok=True)
        write_text(begun, "")
        write_stamp(begun, made_from)
