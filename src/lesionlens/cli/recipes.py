"""The command `recipes`: list the recipes of the package, or print one."""

from __future__ import annotations

from typing import Annotated

import typer

from lesionlens.cli.console import emit_text


def recipes(
    name: Annotated[str, typer.Argument(help="Recipe to print as TOML; all are listed if not given.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; of one recipe, with every key.")] = False,
) -> None:
    """List the recipes that come with LesionLens, or print one to start your own from."""
    from lesionlens.core.recipe_file import load_recipe, recipe_names, recipe_text

    if name:
        emit_text(load_recipe(name).to_json(), as_json, recipe_text(name).rstrip("\n"))
        return
    first_lines = {known: recipe_text(known).partition("\n")[0].removeprefix("#").strip() for known in recipe_names()}
    width = max(map(len, first_lines))
    emit_text({"recipes": first_lines}, as_json, "\n".join(f"{known:{width}}  {line}" for known, line in first_lines.items()))
