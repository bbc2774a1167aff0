"""The section `concepts` of a recipe."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import field_validator
from pydantic.dataclasses import dataclass

from lesionlens.core.recipe_section import Section, broken_rule, key, texts


@dataclass(frozen=True)
class ConceptsRecipe(Section):
    """A concept bottleneck: dermoscopic concepts from a table, and diagnoses from the concepts alone; off without a table."""

    SECTION: ClassVar[str] = "concepts"

    table: str = key("", "A CSV with a column of image ids and a column for each concept; empty turns it off.", later=True)
    columns: tuple[str, ...] = key(
        (),
        "Columns of the table that are concepts: present or absent, one of a few levels, or a number; values may be missing.",
        later=True,
    )
    weight: float = key(1.0, "Weight of the loss of the concepts, beside that of the diagnoses.", gt=0, le=100, later=True)

    @field_validator("columns", mode="before")
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        return texts(value)

    def __post_init__(self) -> None:
        if self.table and not self.columns:
            raise broken_rule("concepts.columns", list(self.columns), "names of columns of concepts.table")
        if self.columns and not self.table:
            raise broken_rule("concepts.table", self.table, "the CSV that has the concepts.columns")
        if len(set(self.columns)) < len(self.columns):
            raise broken_rule("concepts.columns", list(self.columns), "without repetition")
