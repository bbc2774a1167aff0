"""What can be known before the first stage: whether libraries, network, weights and images are usable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from lesionlens.compression.prune import require_torch_pruning
from lesionlens.compression.quantize import check_installed as require_nncf
from lesionlens.compression.variants import available_runtimes
from lesionlens.core.recipe import Recipe
from lesionlens.data.audit.corrections import listed_pairs
from lesionlens.data.audit.keypoints import require_opencv
from lesionlens.data.index import Index
from lesionlens.data.sources.source import read_source
from lesionlens.data.sources.table import Columns, load_table
from lesionlens.data.sources.unlabelled import read_unlabelled
from lesionlens.data.split import make_split
from lesionlens.export.graph import require_exporter
from lesionlens.models.build import check_network
from lesionlens.pipeline.job import ImageSource


def check_stages(recipe: Recipe, todo: Mapping[str, bool], resume: bool = False) -> None:
    """Make sure that the stages to run find their libraries, and `train` its network and weights.

    Args:
        recipe: of the run.
        todo: whether each stage will run; see `execution.plan`.
        resume: whether a training resumes, and so does not read its initial weights again.

    Raises:
        DataError, ModelError, WeightsError: what the stage would raise itself, later.
    """
    if resume:
        recipe = replace(recipe, model=replace(recipe.model, weights="none"))
    for name, needed in todo.items():
        if needed and name in CHECKS:
            CHECKS[name](recipe)


def check_images(source: ImageSource, recipe: Recipe) -> None:
    """Make sure that the images can be indexed and split, without writing anything.

    Images inside one file (.npz) are not looked at, because they would have to be unpacked.

    Raises:
        DataError, RecipeError: if they cannot be indexed.
        SplitError: if the recipe's protocol cannot split them.
    """
    if source.root is not None and source.root.suffix.lower() != ".npz":
        check_split(read_source(source.root, source.layout, source.rules, Columns(**source.columns)), recipe)


def check_split(index: Index, recipe: Recipe) -> None:
    """Make sure that the recipe's protocol can split an index, before the audit takes its time.

    Raises:
        SplitError: if a diagnosis has too few lesions, or the source lacks the splits that `official` needs.
    """
    make_split(index, recipe.split, listed_pairs(index))


def _check_network(recipe: Recipe) -> None:
    with torch.random.fork_rng(devices=[]):
        check_network(recipe.model, recipe.input.size)
    if recipe.semi_supervised.images:
        read_unlabelled(Path(recipe.semi_supervised.images).expanduser())
    if recipe.concepts.table:
        load_table(Path(recipe.concepts.table).expanduser())


def _check_compression(recipe: Recipe) -> None:
    variants = recipe.compression.variants
    if variants:
        available_runtimes()
    if any("int8" in name and name not in ("dynamic-int8", "pruned-int8") for name in variants):
        require_nncf()
    if any(name.startswith("channel-pruned") for name in variants):
        require_torch_pruning()


CHECKS: dict[str, Callable[[Recipe], None]] = {
    "audit": lambda recipe: require_opencv(),
    "train": _check_network,
    "export": lambda recipe: require_exporter(),
    "compress": _check_compression,
}
