"""Parameters of the image transforms that a recipe may set: names, kinds and ranges, declared once.

`augment.policy` turns them into a Policy; here they are only checked, so that a wrong one is refused when a recipe is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe_section import broken_rule, nearest

KEY = "augmentation.transforms"


class Parameter(NamedTuple):
    """What a parameter may be.

    Attributes:
        kind: `number`, `integer`, `range` or `integers` (an ascending pair; one number stands for both ends), `flag`, `choice`.
        low: smallest value.
        high: largest value.
        choices: of a `choice`.
    """

    kind: str
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """What completes "it must be"."""
        return {
            "number": f"a number from {self.low:g} to {self.high:g}",
            "integer": f"a whole number from {self.low:g} to {self.high:g}",
            "range": f"a number, or an ascending pair, from {self.low:g} to {self.high:g}",
            "integers": f"a whole number, or an ascending pair, from {self.low:g} to {self.high:g}",
            "flag": "true or false",
            "choice": f"one of {', '.join(self.choices)}",
        }[self.kind]

    def canonical(self, value: Any) -> Any:
        """The value as recipes store it: a pair is a list, a number of a range is a float; None if it breaks the rule."""
        if self.kind == "flag":
            return value if isinstance(value, bool) else None
        if self.kind == "choice":
            return value if value in self.choices else None
        pair = self.kind in ("range", "integers")
        ends = list(value) if isinstance(value, list | tuple) and pair else [value] * (1 + pair)
        number = int if self.kind in ("integer", "integers") else (int, float)
        if len(ends) != 1 + pair or not all(isinstance(end, number) and not isinstance(end, bool) for end in ends):
            return None
        if not self.low <= ends[0] <= ends[-1] <= self.high:
            return None
        ends = ends if number is int else [float(end) for end in ends]
        return ends if pair else ends[0]


PARAMETERS: dict[str, dict[str, Parameter]] = {
    "horizontal_flip": {},
    "vertical_flip": {},
    "shift_scale_rotate": {
        "shift": Parameter("number"),
        "scale": Parameter("number", 0, 0.95),
        "rotate_deg": Parameter("number", 0, 180),
    },
    "brightness_contrast": {"brightness": Parameter("number"), "contrast": Parameter("number")},
    "hue_saturation_value": {
        "hue": Parameter("number", 0, 30),
        "saturation": Parameter("number", 0, 255),
        "value": Parameter("number", 0, 255),
    },
    "gaussian_noise": {"variance": Parameter("range", 0, 65025)},
    "gaussian_blur": {"sigma": Parameter("range", 0.01, 100)},
    "motion_blur": {"kernel": Parameter("choice", choices=("angle", "points"))},
    "grid_distortion": {
        "steps": Parameter("integer", 1, 16),
        "distort": Parameter("number", 0, 0.95),
        "normalised": Parameter("flag"),
    },
    "coarse_dropout": {
        "holes": Parameter("integers", 1, 32),
        "side": Parameter("range", 0, 1),
        "size_px": Parameter("integers", 1, 1024),
    },
}
"""By transform; each also has its probability `p`."""
PROBABILITY = Parameter("number", 0, 1)


def checked_transforms(transforms: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters of `augmentation.transforms`, in canonical form.

    >>> checked_transforms({"coarse_dropout": {"p": 1, "size_px": 8}})
    {'coarse_dropout': {'p': 1.0, 'size_px': [8, 8]}}

    Raises:
        RecipeError: for an unknown transform or parameter, or a value that breaks its rule.
    """
    return {name: _checked(name, values) for name, values in transforms.items()}


def check_names(key: str, names: Mapping[str, Any]) -> None:
    """Refuse a name that is no transform.

    Raises:
        RecipeError: naming the nearest transform.
    """
    for name in names:
        if name not in PARAMETERS:
            raise RecipeError(f"{key}: unknown transform {name!r}{nearest(name, PARAMETERS)}")


def _checked(transform: str, values: Mapping[str, Any]) -> dict[str, Any]:
    check_names(KEY, {transform: values})
    known = {"p": PROBABILITY, **PARAMETERS[transform]}
    result = {}
    for name, value in values.items():
        key = f"{KEY}.{transform}.{name}"
        if name not in known:
            raise RecipeError(f"{KEY}.{transform}: unknown parameter {name!r}{nearest(name, known)}")
        result[name] = known[name].canonical(value)
        if result[name] is None:
            raise broken_rule(key, value, known[name].rule)
    if "side" in result and "size_px" in result:
        raise broken_rule(f"{KEY}.{transform}", dict(values), "with side (fractions) or size_px (pixels), not both")
    return result
