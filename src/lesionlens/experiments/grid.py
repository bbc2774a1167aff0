"""Grids: a base recipe, what changes from row to row, and how often each row is trained; one TOML file."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_from, recipe_text, toml_text
from lesionlens.core.recipe_section import nearest
from lesionlens.evaluation.multiplicity import Hypotheses
from lesionlens.reporting.paper_tables import TABLES

KEYS = (
    *("name", "title", "base", "paper", "set", "axes", "arms"),
    *("seeds", "folds", "sources", "primary", "family", "hours", "watts"),
)
RANGE_KEYS = ("low", "high", "log")  # of an axis of a search, in place of a list of values
ROW_KEYS = ("title", "paper")  # of an arm, beside the settings of the recipe
NOT_SETTINGS = {
    "name": "the name of a row's recipe follows from the grid",
    "seed": "give the seeds of the grid as `seeds`",
}
OF_FOLDS = ("split.protocol", "split.fold", "split.folds", "split.test_source")
DEFAULT_FAMILY = ("accuracy", "macro_f1", "macro_auc")


@dataclass(frozen=True)
class Row:
    """One row of the table: settings that are trained once for each seed and fold.

    Attributes:
        name: unique in the grid.
        settings: values by key (`training.optimizer`), which replace those of the base recipe.
        title: what the row is, for readers.
        paper: the row of the paper's table that it repeats, by default that of its name; `none` repeats none, and
            `table12:convnext_tiny` one of another table.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    paper: str = ""


@dataclass(frozen=True)
class Grid:
    """An experiment of many runs.

    Attributes:
        name: of the grid; results in a folder belong to one name.
        base: the recipe that the settings of the rows change.
        rows: at least one; the others are compared with the first.
        heading: what the names of the rows are, such as `training.optimizer`.
        title: for readers.
        paper: table of the paper that it repeats (`table9`), or empty.
        seeds: seeds of training; the split has a seed of its own.
        folds: number of folds of a cross-validation by lesion; 0 trains on one split.
        sources: whether each source of the images is the test split in turn.
        hours: no run starts, and none continues, after so many hours; 0 sets no limit.
        watts: power that the machine draws while it trains, for the estimate of energy; 0 makes none.
        hypotheses: primary metric and family of secondary metrics, compared with the first row.
    """

    name: str
    base: Recipe
    rows: tuple[Row, ...]
    heading: str = "arm"
    title: str = ""
    paper: str = ""
    seeds: tuple[int, ...] = (0,)
    folds: int = 0
    sources: bool = False
    hours: float = 0.0
    watts: float = 0.0
    hypotheses: Hypotheses = field(default_factory=lambda: Hypotheses(family=DEFAULT_FAMILY))

    def __post_init__(self) -> None:
        if not self.rows or not self.seeds:
            raise RecipeError(f"grid {self.name!r} has {len(self.rows)} rows and {len(self.seeds)} seeds; it needs one of each")
        if self.paper and self.paper not in TABLES:
            raise RecipeError(f"grid {self.name!r}: paper = {self.paper!r}; it must be one of {', '.join(TABLES)}")
        if self.folds and self.sources:
            raise RecipeError(f"grid {self.name!r} has folds and sources; choose one of them")
        if self.folds == 1 or self.folds < 0 or self.hours < 0 or self.watts < 0:
            raise RecipeError(
                f"grid {self.name!r}: folds = {self.folds}, hours = {self.hours}, watts = {self.watts}; folds must be 0 or "
                "from 2, and the others 0 or above"
            )
        for row in self.rows:
            self._check_row(row)

    def _check_row(self, row: Row) -> None:
        for key in row.settings:
            if key in NOT_SETTINGS:
                raise RecipeError(f"grid {self.name!r}, row {row.name!r} sets {key!r}; {NOT_SETTINGS[key]}")
            if key in OF_FOLDS and (self.folds or self.sources):
                raise RecipeError(f"grid {self.name!r}, row {row.name!r} sets {key!r}, which its folds or sources decide")

    def recipe(self, row: Row) -> Recipe:
        """The recipe of a row, before seed and fold.

        Raises:
            RecipeError: if a key is unknown or a value out of its range.
        """
        value = merged(self.base.to_json(), row.settings)
        value["name"] = self.name if not row.name else f"{self.name} {row.name}"
        return recipe_from(value, where=f"grid {self.name!r}, row {row.name!r}")


def merged(value: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with settings by key put in.

    >>> merged({"model": {"name": "a", "weights": "none"}}, {"model.name": "b"})
    {'model': {'name': 'b', 'weights': 'none'}}
    """
    result = dict(value)
    for key, item in settings.items():
        name, dot, rest = key.partition(".")
        inner = result.get(name, {})
        result[name] = merged(inner if isinstance(inner, Mapping) else {}, {rest: item}) if dot else item
    return result


def flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by key from TOML's nested tables, two levels deep.

    >>> flat({"training": {"optimizer": "sgd"}, "seed": 1})
    {'training.optimizer': 'sgd', 'seed': 1}
    """
    settings: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            settings |= {f"{key}.{name}": inner for name, inner in item.items()}
        else:
            settings[key] = item
    return settings


def axes_of(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Axes by key from TOML's nested tables, as deep as they go; a list is an axis, and so is the table of a range.

    >>> axes_of({"augmentation": {"probabilities": {"gaussian_blur": [0.1, 0.5]}}})
    {'augmentation.probabilities.gaussian_blur': [0.1, 0.5]}
    """
    axes: dict[str, Any] = {}
    for name, item in value.items():
        key = f"{prefix}{name}"
        axes |= axes_of(item, f"{key}.") if isinstance(item, dict) and not set(item) <= set(RANGE_KEYS) else {key: item}
    return axes


def grid_names() -> tuple[str, ...]:
    """Names of the grids that come with the package."""
    names = (file.name.removesuffix(".toml") for file in _packaged().iterdir() if file.name.endswith(".toml"))
    return tuple(sorted(names, key=lambda name: (len(name), name)))


def _packaged() -> Traversable:
    return files("lesionlens") / "grids"


def grid_text(grid: str | Path) -> str:
    """The TOML text of a grid; a file comes before a grid of the package with the same name.

    Raises:
        RecipeError: if `grid` is neither a file nor a known name.
    """
    path, names = Path(grid), grid_names()
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if str(grid) in names:
        return (_packaged() / f"{grid}.toml").read_text(encoding="utf-8")
    raise RecipeError(
        f"grid {grid} does not exist, as a file or as a name; known names are {', '.join(names)}{nearest(path.stem, names)}"
    )


def load_grid(grid: str | Path, overrides: Sequence[str] = (), base: str = "") -> Grid:
    """Read a grid.

    Args:
        grid: a TOML file, or the name of a grid of the package (see `grid_names`).
        overrides: `section.key=value` texts that change the base recipe of all rows.
        base: another base recipe than the grid's, by name or path.

    Raises:
        RecipeError: if the grid is not TOML, a key or setting is unknown, or a value is of the wrong type.
    """
    try:
        value = tomllib.loads(grid_text(grid))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"grid {grid} is not TOML: {error}; see docs/experiments.md for an example") from error
    check_keys(value, str(grid))
    name = _typed(value, "name", str, Path(grid).stem)
    rows, heading = rows_of(value, name)
    return Grid(
        name=name,
        base=base_recipe(value, name, overrides, base, rows),
        rows=rows,
        heading=heading,
        title=_typed(value, "title", str, ""),
        paper=_typed(value, "paper", str, ""),
        seeds=seeds_of(value.get("seeds", 1), name),
        folds=_typed(value, "folds", int, 0),
        sources=_typed(value, "sources", bool, False),
        hours=float(_typed(value, "hours", (int, float), 0.0)),
        watts=float(_typed(value, "watts", (int, float), 0.0)),
        hypotheses=_hypotheses(value, name),
    )


def check_keys(value: Mapping[str, Any], where: str) -> None:
    """Refuse keys that no grid has.

    Raises:
        RecipeError: naming the key and the nearest known one.
    """
    for key in value:
        if key not in KEYS:
            raise RecipeError(f"grid {where}: unknown key {key}{nearest(key, KEYS)}")


def single(recipe: Recipe, name: str) -> Grid:
    """A grid of one row: a recipe as it is, to be repeated over seeds, folds or sources."""
    return Grid(name=name, base=recipe, rows=(Row("", title=recipe.name),), heading="recipe")


def base_recipe(value: Mapping[str, Any], name: str, overrides: Sequence[str], base: str, rows: Sequence[Row] = ()) -> Recipe:
    """The recipe that the rows change: the base with `set`, and with overrides.

    Raises:
        RecipeError: if there is no base, or an override names a setting of the rows.
    """
    recipe = base or _typed(value, "base", str, "")
    if not recipe:
        raise RecipeError(f'grid {name!r} has no base; give the name or path of a recipe: base = "light"')
    keys = {key for row in rows for key in row.settings}
    for text in overrides:
        key = text.partition("=")[0].strip()
        if key in keys:
            raise RecipeError(f"--set {text!r}: the rows of grid {name!r} set {key} themselves; change it in a grid of your own")
        if key in NOT_SETTINGS:
            raise RecipeError(f"--set {text!r} of grid {name!r}: {NOT_SETTINGS[key]}")
    try:
        content = tomllib.loads(recipe_text(recipe))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {recipe} is not TOML: {error}") from error
    return recipe_from(merged(content, flat(_typed(value, "set", dict, {}))), overrides, where=f"grid {name!r}, base {recipe}")


def rows_of(value: Mapping[str, Any], name: str) -> tuple[tuple[Row, ...], str]:
    """The rows of a grid, every arm with every combination of the axes, and what their names are.

    Raises:
        RecipeError: if there are neither arms nor axes, an axis has no list of values, or two rows have one name.
    """
    arms = [_arm(key, arm, name) for key, arm in _typed(value, "arms", dict, {}).items()]
    axes = axes_of(_typed(value, "axes", dict, {}))
    if not arms and not axes:
        raise RecipeError(
            f"grid {name!r} has neither [axes] nor [arms]; write for example: [axes] training.batch_size = [16, 32]"
        )
    for key, values in axes.items():
        if not isinstance(values, list) or not values:
            raise RecipeError(f"grid {name!r}: axis {key} = {values!r}; it must be a list of values")
    rows = []
    for arm, *values in itertools.product(arms or [Row("")], *axes.values()):
        texts = [item if isinstance(item, str) else toml_text(item) for item in values]
        label = ", ".join([*([arm.name] if arm.name else []), *texts])
        rows.append(
            replace(arm, name=label, settings={**arm.settings, **dict(zip(axes, values, strict=True))}, paper=arm.paper or label)
        )
    names = [row.name for row in rows]
    for label in names:
        if names.count(label) > 1:
            raise RecipeError(f"grid {name!r} has two rows {label!r}; every value of an axis may stand once")
    return tuple(rows), ", ".join([*(["arm"] if arms else []), *axes])


def _arm(key: str, value: Any, grid: str) -> Row:
    if not isinstance(value, dict):
        raise RecipeError(f"grid {grid!r}: arm {key} = {value!r}; it must be a table of settings")
    settings = {name: item for name, item in value.items() if name not in ROW_KEYS}
    return Row(key, flat(settings), _typed(value, "title", str, ""), _typed(value, "paper", str, ""))


def seeds_of(value: Any, name: str) -> tuple[int, ...]:
    """Seeds from a number (0, 1, ...) or a list.

    >>> seeds_of(3, "mine"), seeds_of([7], "mine")
    ((0, 1, 2), (7,))
    """
    seeds = list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value
    whole = isinstance(seeds, list) and all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise RecipeError(f"grid {name!r}: seeds = {value!r}; it must be a number from 1 or a list of different whole numbers")
    return tuple(seeds)


def _hypotheses(value: Mapping[str, Any], name: str) -> Hypotheses:
    primary = _typed(value, "primary", str, Hypotheses().primary)
    family = _typed(value, "family", list, [metric for metric in DEFAULT_FAMILY if metric != primary])
    try:
        return Hypotheses(primary, tuple(family))
    except DataError as error:
        raise RecipeError(f"grid {name!r}: {error}") from error


def _typed(value: Mapping[str, Any], key: str, kind: Any, default: Any) -> Any:
    found = value.get(key, default)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        words = {str: "a text in quotes", dict: "a table", list: "a list", int: "a whole number", bool: "true or false"}
        raise RecipeError(f"{key} = {found!r}; it must be {words.get(kind, 'a number')}")
    return found
