"""docs/recipes.md is made from the declarations, and the paper's values are those of the recipe `paper`."""

import re
from pathlib import Path

from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import load_recipe
from lesionlens.core.recipe_section import Section
from lesionlens.core.recipe_table import page

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
IN_OTHER_WORDS = {"training.precision": "auto", "model.name": "convnext_tiny.fb_in1k"}
"""Where the recipe `paper` says otherwise what the paper states: mixed precision, and what timm's name meant then."""


def values(recipe: Recipe) -> dict[str, object]:
    sections = {"": recipe, **{f"{name}.": value for name, value in vars(recipe).items() if isinstance(value, Section)}}
    return {f"{prefix}{name}": value for prefix, section in sections.items() for name, value in vars(section).items()}


def test_the_page_is_current():
    """If not: python -m lesionlens.core.recipe_table > docs/recipes.md."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_key_has_a_row_with_five_cells():
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
    keys = [key for key, value in values(Recipe()).items() if not isinstance(value, Section)]
    assert [row.split("`")[1] for row in rows] == keys


def test_the_recipe_paper_follows_what_the_paper_states():
    recipe = load_recipe("paper")
    sections = [recipe, *(value for value in vars(recipe).values() if isinstance(value, Section))]
    stated = {key.name: key.paper for section in sections for key in section.declared_keys() if key.paper is not None}
    assert len(stated) == 24
    assert {name: values(recipe)[name] for name in stated} == {**stated, **IN_OTHER_WORDS}
