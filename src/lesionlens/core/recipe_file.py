"""Recipes as TOML: read strictly by path or by name, changed by `--set`, written with every key."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from lesionlens.core import legacy
from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_section import nearest


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    >>> load_recipe("demo", ["training.epochs=5", "training.warmup_epochs=0"]).training.epochs
    5

    Args:
        recipe: a TOML file, or the name of a recipe of the package (see `recipe_names`).
        overrides: `section.key=value` texts, the value written as in TOML; a bare word is a text.

    Raises:
        RecipeError: if `recipe` is neither a file nor a known name, the file is not TOML, a key is
            unknown, or a value is of the wrong type or out of its range.
    """
    try:
        value = tomllib.loads(recipe_text(recipe))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {recipe} is not TOML: {error}; see `lesionlens recipes light` for an example") from error
    return recipe_from(value, overrides, where=str(recipe))


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _packaged().iterdir() if file.name.endswith(".toml")))


def recipe_text(recipe: str | Path) -> str:
    """The TOML text of a recipe; a file comes before a recipe of the package with the same name.

    Raises:
        RecipeError: if `recipe` is neither a file nor a known name.
    """
    path, names = Path(recipe), recipe_names()
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if str(recipe) in names:
        return (_packaged() / f"{recipe}.toml").read_text(encoding="utf-8")
    if path.is_dir():
        raise RecipeError(f"recipe {recipe} is a folder; give a TOML file or one of the names {', '.join(names)}")
    raise RecipeError(f"recipe {recipe} does not exist, as a file or as a name{nearest(path.stem, names)}")


def _packaged() -> Traversable:
    return files("lesionlens") / "recipes"


def recipe_or_defaults(recipe: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of that name or path, or the defaults if it is empty, with overrides."""
    return load_recipe(recipe, overrides) if recipe else recipe_from({}, overrides)


def recipe_from(value: dict[str, Any], overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """Build a recipe from nested dicts; see `load_recipe`."""
    for text in overrides:
        _override(value, text)
    try:
        return Recipe(**legacy.current(value))
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None


def _override(value: dict[str, Any], text: str) -> None:
    key, equals, written = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text!r} is not key=value; write for example --set training.learning_rate=3e-4")
    *sections, last = key.strip().split(".")
    for section in sections:
        value = value.setdefault(section, {})
        if not isinstance(value, dict):
            raise RecipeError(f"--set {text!r}: {section} is a value, not a section")
    value[last] = _parsed(written.strip())


def _parsed(written: str) -> Any:
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written


def recipe_to_toml(recipe: Recipe) -> str:
    """The recipe with every key, as TOML that `load_recipe` reads back."""
    value = recipe.to_json()
    lines = [f"{key} = {toml_text(item)}" for key, item in value.items() if not isinstance(item, dict)]
    for section, content in value.items():
        if isinstance(content, dict):
            lines += ["", f"[{section}]", *(f"{key} = {toml_text(item)}" for key, item in content.items())]
    return "\n".join(lines) + "\n"


def toml_text(item: Any) -> str:
    """A JSON-ready value as TOML."""
    if isinstance(item, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml_text(value)}" for key, value in item.items()) + " }" if item else "{}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(toml_text(value) for value in item) + "]"
    return repr(item) if isinstance(item, float) else json.dumps(item, ensure_ascii=False)
