"""Values of a parametrised test of which most are for `.ci/run` alone."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_but(values: Iterable[Any], *quick: Any) -> list[Any]:
    """The values for `parametrize`, all of them slow ones but those that are named, which have to be among them.

    A tuple holds the values of several parameters.
    """
    values = list(values)
    assert all(value in values for value in quick), f"not all of {quick} are among {values}"
    return [value if value in quick else _slow(*value) if isinstance(value, tuple) else _slow(value) for value in values]


def _slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


RECORDS = slow_but(["sqlite", "postgresql"], "sqlite")
"""Kinds of prediction logs, for fixtures."""
