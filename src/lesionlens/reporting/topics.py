"""Topics of the report beyond the scores, each from one JSON result of the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lesionlens.reporting import external, robustness, subgroups
from lesionlens.reporting.decisions import decisions
from lesionlens.reporting.run_folder import RunContents, file_name

Section = Callable[[RunContents], dict[str, Any] | None]


@dataclass(frozen=True)
class Topic:
    """One section of the report.

    Attributes:
        name: of the result in `Run`, which is also the section's anchor.
        title: heading.
        file: name of the result in a run folder.
        template: file of the section's template, which sees the whole page's variables and `topic.content`.
        content: what the template shows; None if the run lacks the result.
    """

    name: str
    title: str
    file: str
    template: str
    content: dict[str, Any] | None


SECTIONS: dict[str, tuple[str, Section]] = {
    "decisions": ("Decisions", decisions),
    "subgroups": ("Subgroups", subgroups.section),
    "robustness": ("Stability", robustness.section),
    "external": ("Other data sets", external.section),
}
"""Title and section by name of the result, in the order of the page."""


def topics(run: RunContents) -> list[Topic]:
    """All topics, those that the run lacks with a word on how to make them."""
    return [Topic(name, title, file_name(name), f"{name}.html", section(run)) for name, (title, section) in SECTIONS.items()]
