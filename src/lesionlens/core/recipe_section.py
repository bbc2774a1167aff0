"""Sections of a recipe: each key is declared once, and a broken rule is one line that names it.

pydantic checks types, ranges and unknown keys; this module declares keys for it and words its errors.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from lesionlens.core.errors import RecipeError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
TYPES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text in quotes",
    tuple: "a list of texts",
    dict: "a table of numbers",
}
TYPE_ERRORS = {
    "int_type": TYPES[int],
    "float_type": TYPES[float],
    "finite_number": TYPES[float],
    "bool_type": TYPES[bool],
    "string_type": TYPES[str],
    "tuple_type": TYPES[tuple],
    "dict_type": TYPES[dict],
}
"""What a value must be, by pydantic's name of the error."""


def key(default: Any, meaning: str, *, rule: str = "", paper: Any = None, later: bool = False, **limits: float) -> Any:
    """Declare a key of a section.

    Args:
        default: its value where the recipe does not give one.
        meaning: what it decides.
        rule: completes "it must be"; by default it follows from the limits, the choices or the type.
            A text that has a rule must not be empty.
        paper: the value that the paper states; None where it states none.
        later: whether the key is younger than recipes whose hashes are on record; see `Section.hashed`.
        limits: `ge`, `gt`, `le` and `lt`, as pydantic names them.
    """
    shared: dict[str, Any] = {
        "description": meaning,
        "json_schema_extra": {"rule": rule, "paper": paper, "later": later},
        **limits,
    }
    if isinstance(default, dict):
        return Field(default_factory=default.copy, **shared)
    return Field(default, min_length=1 if rule and isinstance(default, str) else None, **shared)


class Key(NamedTuple):
    """What is declared of a key.

    Attributes:
        name: with its section, as `--set` takes it: `training.epochs`.
        meaning: what it decides, in one line.
        default: its value where the recipe does not give one.
        rule: completes "it must be".
        paper: the value that the paper states, or None.
    """

    name: str
    meaning: str
    default: Any
    rule: str
    paper: Any


@dataclass(frozen=True, config=STRICT)
class Section:
    """Base of a recipe's sections; a wrong key or value raises RecipeError however the section is made."""

    SECTION: ClassVar[str] = ""
    """Name in the TOML file; empty for the recipe itself."""

    if TYPE_CHECKING:
        __pydantic_fields__: ClassVar[dict[str, FieldInfo]]

    @model_validator(mode="wrap")
    @classmethod
    def _word_errors(cls, value: Any, validate: Callable[[Any], Self]) -> Self:
        """Accept a table of keys for a section, and name the first error in one line."""
        try:
            return cls(**value) if isinstance(value, dict) else validate(value)
        except ValidationError as error:
            raise RecipeError(_first_error(cls, error)) from None

    @classmethod
    def check(cls, **values: Any) -> None:
        """Check values that do not come from a recipe against the rules of this section's keys.

        Raises:
            RecipeError: naming key, value and rule.
        """
        cls(**values)

    def require(self, condition: bool, name: str) -> None:
        """Raise the rule of the key `name` unless `condition`, which compares it with other keys, holds.

        Raises:
            RecipeError: naming key, value and rule.
        """
        if not condition:
            raise broken_rule(_path(type(self), name), getattr(self, name), _rule(type(self).__pydantic_fields__[name]))

    def hashed(self) -> dict[str, Any]:
        """The values that a hash is taken over: a key declared `later` counts only if it differs from its default.

        So a recipe that does not use a new key keeps the hash that finished runs carry.
        """
        fields = type(self).__pydantic_fields__
        return {name: value for name, value in dataclasses.asdict(self).items() if not _is_later_default(fields[name], value)}

    @classmethod
    def declared_keys(cls) -> Iterator[Key]:
        """The keys of this section in order, those of nested sections left out."""
        for name, field in cls.__pydantic_fields__.items():
            facts = field.json_schema_extra
            if isinstance(facts, dict):
                default = field.get_default(call_default_factory=True, validated_data={})
                yield Key(_path(cls, name), field.description or "", default, _rule(field), facts["paper"])


def _is_later_default(field: FieldInfo, value: Any) -> bool:
    facts = field.json_schema_extra
    later = isinstance(facts, dict) and bool(facts["later"])
    return later and value == field.get_default(call_default_factory=True, validated_data={})


def texts(value: Any) -> Any:
    """Accept one text with commas, which needs no quotes after --set, and TOML's and JSON's lists.

    >>> texts("a, b"), texts(["a", "b"])
    (('a', 'b'), ('a', 'b'))
    """
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(value) if isinstance(value, list) else value


def broken_rule(name: str, value: object, rule: str) -> RecipeError:
    """The error for a key, or a sum of keys, whose value breaks its rule."""
    return RecipeError(f"{name} = {value!r}; it must be {rule}")


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known name, or else all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"


def _path(section: type[Section], *names: str) -> str:
    return ".".join(name for name in (section.SECTION, *names) if name)


def _first_error(section: type[Section], error: ValidationError) -> str:
    """An unknown key before a bad value: the value may have been meant for the key that the user misspelt."""
    details = error.errors(include_url=False, include_context=False)
    fields = section.__pydantic_fields__
    for detail in details:
        if detail["type"] == "unexpected_keyword_argument":
            unknown = str(detail["loc"][0])
            return f"unknown key {_path(section, unknown)}{nearest(unknown, fields)}"
    return _value_error(section, details[0])


def _value_error(section: type[Section], detail: ErrorDetails) -> str:
    fields, value = section.__pydantic_fields__, detail["input"]
    if not detail["loc"]:
        return str(broken_rule(section.SECTION, value, f"a section such as [{section.SECTION}]"))
    first, *inner = detail["loc"]
    name = list(fields)[first] if isinstance(first, int) else first  # a positional argument has a number
    path = _path(section, name, *(part for part in inner if isinstance(part, str)))
    rule = TYPE_ERRORS.get(detail["type"]) or _rule(fields[name])
    near = difflib.get_close_matches(value, _choices(fields[name].annotation), n=1) if isinstance(value, str) else ()
    return str(broken_rule(path, value, rule)) + (f"; did you mean {near[0]}?" if near else "")


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The values that a Literal, or a list of Literals, allows."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return arguments
    return _choices(arguments[0]) if origin is tuple else ()


def _rule(field: FieldInfo) -> str:
    """What completes "it must be" for a key."""
    facts, choices = field.json_schema_extra, _choices(field.annotation)
    if isinstance(facts, dict) and facts["rule"]:
        return str(facts["rule"])
    if choices:
        listed = all(isinstance(choice, str) for choice in choices)
        return f"one of {', '.join(choices)}" if listed else " or ".join(map(str, choices))
    limits = {name: getattr(limit, name) for limit in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(limit, name)}
    kind: Any = typing.get_origin(field.annotation) or field.annotation
    return _range(limits) or TYPES[kind]


def _range(limits: dict[str, float]) -> str:
    match limits:
        case {"ge": low, "le": high}:
            return f"from {low:g} to {high}"
        case {"ge": low, "lt": high}:
            return f"from {low:g} to below {high}"
        case {"gt": low, "le": high}:
            return f"above {low:g} and at most {high}"
        case {"gt": low, "lt": high}:
            return f"between {low:g} and {high}"
        case {"ge": low}:
            return f"{low:g} or above"
        case {"gt": low}:
            return f"above {low:g}"
    return ""
