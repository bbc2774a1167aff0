"""The command `augment`: which copies fill up the rare classes, as a plan, as files, as a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import IndexArgument, Json, Set

if TYPE_CHECKING:
    from lesionlens.core.recipe import Recipe
    from lesionlens.core.run import Run


def augment(
    index: IndexArgument = Path("index.csv"),
    split: Annotated[Path, typer.Argument(help="split.json written by `lesionlens split`.")] = Path("split.json"),
    recipe: Annotated[str, typer.Option(help="Recipe whose \\[augmentation] says how; defaults if not given.")] = "",
    overrides: Set = None,
    out: Annotated[Path, typer.Option(help="Plan to write.")] = Path("plan.csv"),
    materialise: Annotated[Path | None, typer.Option(help="Also write every copy as PNG into this folder.")] = None,
    gallery: Annotated[Path | None, typer.Option(help="Also draw every augmentation on one lesion into this PNG.")] = None,
    image: Annotated[str, typer.Option(help="Image id of the lesion in the gallery.")] = "",
    as_json: Json = False,
) -> None:
    """Plan the augmented copies of the training images; write or draw them on request."""
    from lesionlens.core.errors import RecipeError
    from lesionlens.core.recipe_file import recipe_or_defaults
    from lesionlens.core.run import Run
    from lesionlens.pipeline.model_stages import augment as plan_copies

    if image and gallery is None:
        raise RecipeError(
            f"--image {image} says which lesion a gallery shows; give the picture's file too: --gallery gallery.png"
        )
    resolved = recipe_or_defaults(recipe, overrides or ())
    run = Run.at(out.parent, index=index, split=split, plan=out, gallery=gallery)
    result = plan_copies(run, resolved, image, gallery is not None)
    if materialise is not None:
        n_files = _materialise(run, resolved, materialise)
        content = {**result.content, "files": str(materialise), "n_files": n_files}
        result = replace(result, content=content, text=f"{result.text}\n{materialise}: {n_files} PNG files")
    emit(result, as_json)


def _materialise(run: Run, recipe: Recipe, folder: Path) -> int:
    from lesionlens.augment.files import materialise
    from lesionlens.augment.offline import read_plan
    from lesionlens.augment.policy import recipe_policy
    from lesionlens.data.image import frame_spec
    from lesionlens.data.index import read_index

    if recipe.augmentation.offline_pixels == "fresh":
        REPORTER.note("this recipe draws its copies again in each epoch; the files hold the plan's own draw")
    plan, policy = read_plan(run.plan), recipe_policy(recipe.augmentation)
    with REPORTER.bar("Writing copies", len(plan) - len(plan.originals)) as advance:
        return materialise(plan, read_index(run.index), frame_spec(recipe.input), policy, folder, advance)
