"""Whom long work tells of its progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

Advance = Callable[[int], None]
Bar = Callable[[str, int], AbstractContextManager[Advance]]


def no_bar(description: str, total: int) -> AbstractContextManager[Advance]:
    """A progress bar that shows nothing."""
    return nullcontext(lambda steps: None)


def no_note(text: str) -> None:
    """A message that nobody reads."""


@dataclass(frozen=True)
class Reporter:
    """Receives messages and progress; silent by default.

    Attributes:
        note: given one line for people.
        bar: opens a progress bar with a description and a total; gives a function that advances it.
    """

    note: Callable[[str], None] = no_note
    bar: Bar = no_bar


SILENT = Reporter()
