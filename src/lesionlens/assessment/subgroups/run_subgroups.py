"""Subgroups of a run: predictions with whatever the run knows of their images."""

from __future__ import annotations

from typing import Any

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.subgroups.subgroups import assess_subgroups
from lesionlens.core.errors import ArtifactError
from lesionlens.core.recipe_file import load_recipe
from lesionlens.core.run import Run
from lesionlens.data.image import InputSpec, frame_spec
from lesionlens.data.index import Index, read_index
from lesionlens.data.store import Store
from lesionlens.evaluation.predictions import Predictions


def subgroups_of_run(run: Run, predictions: Predictions, resampling: Resampling) -> dict[str, Any]:
    """Metrics by subgroup; attributes that the run cannot tell have a reason.

    Args:
        run: its index, store and recipe are read where they are there.
        predictions: of one split of it.
        resampling: level of the intervals, and seed.

    Raises:
        ArtifactError: if index or store are damaged, or are not those of the predictions.
    """
    index = _index(run, predictions)
    store, spec = _pixels(run, predictions)
    return assess_subgroups(predictions, index, store, spec, resampling)


def _index(run: Run, predictions: Predictions) -> Index | None:
    if not run.index.is_file():
        return None
    index = read_index(run.index)
    if predictions.origin.hashes.get("index", index.hash) != index.hash:
        raise ArtifactError(
            f"{run.index} is not the index of {run.predictions.name}; predict again with: lesionlens evaluate CHECKPOINT"
        )
    return index


def _pixels(run: Run, predictions: Predictions) -> tuple[Store | None, InputSpec | None]:
    """The store and how its frames were prepared; neither without store or recipe."""
    if not run.store.is_dir() or not run.recipe.is_file():
        return None, None
    store, spec = Store.open(run.store), frame_spec(load_recipe(run.recipe).input)
    if store.frame_hash != spec.frame_hash or predictions.origin.hashes.get("store", store.hash) != store.hash:
        raise ArtifactError(
            f"{run.store} was not packed for {run.recipe.name} or not for {run.predictions.name}; pack it again with: lesionlens "
            "pack INDEX --recipe RECIPE"
        )
    return store, spec
