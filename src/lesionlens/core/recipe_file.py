"""Recipes as TOML: read strictly, changed by `--set`, written with every key."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

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


def recipe_or_defaults(recipe: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe at path `recipe`, or the defaults if it is empty, with overrides."""
    return load_recipe(Path(recipe), overrides) if recipe else recipe_from({}, overrides)


def recipe_from(value: dict[str, Any], overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """Build a recipe from nested dicts; see `load_recipe`."""
    for text in overrides:
        _override(value, text)
    return typing.cast(Recipe, _build(Recipe, value, where, ""))


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


def _build(kind: Any, value: Any, where: str, prefix: str) -> Any:
    if not isinstance(value, dict):
        raise RecipeError(f"{where}: {prefix.rstrip('.')} = {value!r}; it must be a section such as [{prefix.rstrip('.')}]")
    hints = typing.get_type_hints(kind)
    for key in value:
        if key not in hints:
            raise RecipeError(f"{where}: unknown key {prefix}{key}{_nearest(key, hints)}")
    arguments = {key: _convert(hints[key], item, where, prefix + key) for key, item in value.items()}
    try:
        return kind(**arguments)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None


def _nearest(key: str, known: Sequence[str] | dict[str, Any]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _convert(hint: Any, item: Any, where: str, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, item, where, key + ".")
    origin = typing.get_origin(hint)
    if origin is Literal:
        choices = typing.get_args(hint)
        if item not in choices:
            near = _nearest(item, choices) if isinstance(item, str) else ""
            raise RecipeError(
                f"{where}: {key} = {item!r}; it must be one of {', '.join(choices)}{near if 'mean' in near else ''}"
            )
        return item
    if origin is tuple:
        return _texts(item, where, key)
    if origin is dict or isinstance(hint, types.GenericAlias):
        if not isinstance(item, dict):
            raise RecipeError(f"{where}: {key} = {item!r}; it must be a table of numbers")
        return {name: _convert(float, number, where, f"{key}.{name}") for name, number in item.items()}
    return _scalar(hint, item, where, key)


def _texts(item: Any, where: str, key: str) -> tuple[str, ...]:
    """A list of texts; or one text with commas between them, which needs no quotes after --set."""
    found = [word.strip() for word in item.split(",") if word.strip()] if isinstance(item, str) else item
    if not isinstance(found, list | tuple):
        raise RecipeError(f"{where}: {key} = {item!r}; it must be a list of texts")
    return tuple(_scalar(str, text, where, key) for text in found)


def _scalar(hint: Any, item: Any, where: str, key: str) -> Any:
    if hint is float and type(item) is int:
        item = float(item)
    if type(item) is not hint or (hint is float and not math.isfinite(item)):
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a text in quotes"}
        raise RecipeError(f"{where}: {key} = {item!r}; it must be {kinds[hint]}")
    return item


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
