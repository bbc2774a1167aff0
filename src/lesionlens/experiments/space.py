"""Spaces of settings that a search draws from: lists of choices and ranges of numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import load_recipe, recipe_names, recipe_text, toml_text
from lesionlens.core.recipe_section import nearest
from lesionlens.experiments.grid import RANGE_KEYS, Grid, Row, axes_of, base_recipe, check_keys, flat, grid_names, grid_text

ARM = "arm"


@dataclass(frozen=True)
class Range:
    """Numbers between two ends.

    Attributes:
        low: smallest value.
        high: largest value.
        log: whether small values are as likely as large ones, order of magnitude by order of magnitude.
        whole: whether the values are whole numbers.
    """

    low: float
    high: float
    log: bool
    whole: bool


@dataclass(frozen=True)
class Space:
    """Settings to search.

    Attributes:
        name: of the grid or recipe.
        base: the recipe that the settings change.
        axes: choices or a range by key.
        arms: groups of settings, of which one is chosen; none if there are no arms.
    """

    name: str
    base: Recipe
    axes: Mapping[str, tuple[Any, ...] | Range]
    arms: Mapping[str, Mapping[str, Any]]

    def grid(self) -> Grid:
        """A grid of one row, the base: what a folder of results belongs to."""
        return Grid(name=f"search {self.name}", base=self.base, rows=(Row(""),))

    @property
    def hash(self) -> str:
        """SHA-256 of axes and arms."""
        axes = {key: vars(axis) if isinstance(axis, Range) else list(axis) for key, axis in self.axes.items()}
        return hash_value({"axes": axes, "arms": {key: dict(arm) for key, arm in self.arms.items()}})

    def choices(self, key: str) -> dict[str, Any]:
        """Values of an axis without range by their text in TOML, which a study can keep whatever the type."""
        axis = self.axes[key]
        return {} if isinstance(axis, Range) else {toml_text(value): value for value in axis}

    def settings(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Settings by key of what a study has drawn: an arm's name, numbers of ranges, and texts of choices."""
        arm = self.arms[drawn[ARM]] if self.arms else {}
        values = {key: self.choices(key)[drawn[key]] if self.choices(key) else drawn[key] for key in self.axes}
        return {**arm, **values}


def default_axes(recipe: Recipe) -> dict[str, tuple[Any, ...] | Range]:
    """What is searched around a recipe that states no axes: rates, decay, smoothing and dropout."""
    rate = recipe.training.learning_rate
    return {
        "training.learning_rate": Range(max(rate / 10, recipe.training.warmup_learning_rate), min(rate * 10, 10.0), True, False),
        "training.weight_decay": Range(1e-4, 1e-1, True, False),
        "training.label_smoothing": (0.0, 0.05, 0.1),
        "model.drop_rate": (0.0, 0.2, 0.4),
    }


def load_space(source: str, overrides: Sequence[str] = (), base: str = "") -> Space:
    """Read a space from a grid or around a recipe, each by name or path.

    Args:
        source: a grid, whose axes may hold ranges `{ low = 1e-5, high = 1e-2, log = true }`, or a recipe.
        overrides: `section.key=value` texts that change the base recipe.
        base: another base recipe than the grid's.

    Raises:
        RecipeError: if it is neither, or an axis is neither a list nor a range.
    """
    if not Path(source).is_file() and source in recipe_names() and source not in grid_names():
        recipe = load_recipe(source, overrides)
        return Space(source, recipe, default_axes(recipe), {})
    value = _parsed(source)
    if not {"axes", "arms"} & value.keys():
        recipe = load_recipe(source, overrides)
        return Space(recipe.name, recipe, default_axes(recipe), {})
    check_keys(value, source)
    name = str(value.get("name", Path(source).stem))
    axes = {key: _axis(name, key, item) for key, item in axes_of(value.get("axes", {})).items()}
    arms = {
        key: flat({inner: item for inner, item in arm.items() if inner not in ("title", "paper")})
        for key, arm in value.get("arms", {}).items()
    }
    rows = [Row(key, settings) for key, settings in (arms or {"": {}}).items()]
    rows.append(Row("", dict.fromkeys(axes)))
    return Space(name, base_recipe(value, name, overrides, base, rows), axes, arms)


def _parsed(source: str) -> dict[str, Any]:
    known = (*grid_names(), *recipe_names())
    if not Path(source).is_file() and source not in known:
        raise RecipeError(f"{source} is neither a file nor the name of a grid or recipe{nearest(source, known)}")
    try:
        return tomllib.loads(grid_text(source) if source not in recipe_names() or Path(source).is_file() else recipe_text(source))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{source} is not TOML: {error}") from error


def _axis(name: str, key: str, item: Any) -> tuple[Any, ...] | Range:
    if isinstance(item, list) and item:
        return tuple(item)
    if not isinstance(item, dict) or not {"low", "high"} <= item.keys() <= set(RANGE_KEYS):
        raise RecipeError(
            f"search {name!r}: axis {key} = {item!r}; it must be a list of values or a range such as "
            "{ low = 1e-5, high = 1e-2, log = true }"
        )
    low, high, log = item["low"], item["high"], item.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if not numbers or not isinstance(log, bool) or not low < high or (log and low <= 0):
        raise RecipeError(
            f"search {name!r}: axis {key} = {item!r}; low must be below high, log true or false, and low above 0 with log"
        )
    return Range(low, high, log, isinstance(low, int) and isinstance(high, int))
