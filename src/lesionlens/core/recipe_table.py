"""The page docs/recipes.md, made from the declarations of the recipe's keys.

python -m lesionlens.core.recipe_table > docs/recipes.md
"""

from __future__ import annotations

from collections.abc import Iterator

from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import toml_text
from lesionlens.core.recipe_section import Key, Section

INTRODUCTION = """\
# Recipes

A recipe is one TOML file with everything that decides a run besides the images. `lesionlens recipes` lists the recipes
that come with the package, `lesionlens recipes light` prints one; `lesionlens run` takes such a name or the path of a
file of your own, which needs to hold only the keys that differ from the defaults below. `--set training.epochs=5` changes
one key on the command line. Unknown keys and values that break a rule are errors. The resolved recipe, with every key, is
written into the run folder.

"Paper" is what Abdulqader & Abraham 2026 state; a dash means that they state nothing. The recipe `paper` follows them.

This page is generated: `python -m lesionlens.core.recipe_table > docs/recipes.md`.
"""
HEADER = ("| key | meaning | default | must be | paper |", "| --- | --- | --- | --- | --- |")


def page() -> str:
    """The whole page, as Markdown."""
    blocks = [INTRODUCTION, *(_block(section) for section in _sections())]
    return "\n".join(blocks)


def _sections() -> Iterator[type[Section]]:
    yield Recipe
    yield from (type(value) for value in vars(Recipe()).values() if isinstance(value, Section))


def _block(section: type[Section]) -> str:
    title = f"## [{section.SECTION}]" if section.SECTION else "## Recipe"
    rows = [_row(key) for key in section.declared_keys()]
    return "\n".join([title, "", (section.__doc__ or "").strip(), "", *HEADER, *rows, ""])


def _row(key: Key) -> str:
    paper = "–" if key.paper is None else f"`{toml_text(key.paper)}`"
    cells = (f"`{key.name}`", key.meaning, f"`{toml_text(key.default)}`", key.rule, paper)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(page(), end="")
