"""Recipes as TOML: read strictly, changed by `--set`, written with every key."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import Recipe


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: a TOML file.
        overrides: `section.key=value` texts, the value written as in TOML; a bare word is a text.

    Raises:
        RecipeError: if the file is missing or not TOML, a key is unknown, or a value is of the
            wrong type or out of its range.
    """
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"recipe {path} does not exist; the ready ones are in recipes/") from error
    except IsADirectoryError as error:
        raise RecipeError(f"recipe {path} is a folder; give a TOML file such as recipes/light.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} is not TOML: {error}; see recipes/light.toml for the form") from error
    return recipe_from(value, overrides, where=str(path))


def recipe_from(value: dict[str, Any], overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """Build a recipe from nested dicts; see `load_recipe`."""
    for text in overrides:
        _override(value, text)
    try:
        return Recipe(**value)
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
    value[last] = _toml_value(written.strip())


def _toml_value(written: str) -> Any:
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written


def recipe_to_toml(recipe: Recipe) -> str:
    """The recipe with every key, as TOML that `load_recipe` reads back."""
    value = recipe.to_json()
    lines = [f"{key} = {_toml(item)}" for key, item in value.items() if not isinstance(item, dict)]
    for section, content in value.items():
        if isinstance(content, dict):
            lines += ["", f"[{section}]", *(f"{key} = {_toml(item)}" for key, item in content.items())]
    return "\n".join(lines) + "\n"


def _toml(item: Any) -> str:
    if isinstance(item, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(value)}" for key, value in item.items()) + " }" if item else "{}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(_toml(value) for value in item) + "]"
    return repr(item) if isinstance(item, float) else json.dumps(item, ensure_ascii=False)
