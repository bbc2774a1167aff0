"""The points of a grid: each row with each seed and fold, as a recipe that one run follows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import Recipe
from lesionlens.experiments.grid import Grid

DECISIVE = ("seed", "input", "split", "augmentation", "model", "training", "semi_supervised", "concepts", "evaluation")
"""Sections of a recipe that decide a run; the others belong to stages that a grid does not run."""


@dataclass(frozen=True)
class Point:
    """One run of a grid.

    Attributes:
        row: name of its row.
        seed: of its training.
        fold: number of the fold or name of the source that is tested; empty on one split.
        recipe: what it follows.
    """

    row: str
    seed: int
    fold: str
    recipe: Recipe

    @property
    def hash(self) -> str:
        """SHA-256 of all that decides the run besides the images."""
        return self.recipe.hash(*DECISIVE)

    @property
    def label(self) -> str:
        """The point for people: `both, seed 1`."""
        fold = f"fold {self.fold}" if self.fold.isdecimal() else self.fold
        return ", ".join(word for word in (self.row, fold, f"seed {self.seed}") if word)

    @property
    def folder(self) -> str:
        """Name of its folder: readable, and another one for other settings."""
        words = (self.row, f"fold{self.fold}" if self.fold.isdecimal() else self.fold, f"seed{self.seed}")
        plain = re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(word for word in words if word)).strip("-.")
        return f"{plain[:80]}-{self.hash[:12]}"


def points_of(grid: Grid, sources: Sequence[str] = ()) -> tuple[Point, ...]:
    """All points of a grid, in the order in which they run: the rows of the first seed first.

    Args:
        grid: the grid.
        sources: names of the sources of the images, for a grid over sources.

    Raises:
        RecipeError: if a setting is unknown or out of its range, or two rows are the same.
    """
    recipes = {row.name: grid.recipe(row) for row in grid.rows}
    _check_different(grid, recipes)
    folds = _folds(grid, sources)
    return tuple(
        Point(name, seed, fold, _with_fold(replace(recipe, seed=seed), grid, fold))
        for seed in grid.seeds
        for fold in folds
        for name, recipe in recipes.items()
    )


def _check_different(grid: Grid, recipes: dict[str, Recipe]) -> None:
    first: dict[str, str] = {}
    for name, recipe in recipes.items():
        other = first.setdefault(recipe.hash(*DECISIVE), name)
        if other != name:
            raise RecipeError(
                f"rows {other!r} and {name!r} of grid {grid.name!r} are the same: no setting of {', '.join(DECISIVE[1:])} "
                "differs; remove one of them"
            )


def _folds(grid: Grid, sources: Sequence[str]) -> tuple[str, ...]:
    if grid.folds:
        return tuple(map(str, range(grid.folds)))
    return tuple(sources) if grid.sources else ("",)


def _with_fold(recipe: Recipe, grid: Grid, fold: str) -> Recipe:
    if grid.folds:
        return replace(recipe, split=replace(recipe.split, protocol="lesion-kfold", folds=grid.folds, fold=int(fold)))
    if grid.sources:
        return replace(recipe, split=replace(recipe.split, protocol="source", test_source=fold))
    return recipe
