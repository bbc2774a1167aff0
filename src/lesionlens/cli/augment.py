"""The command `augment`: which copies fill up the rare classes, as a plan, as files, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionlens.cli.console import emit, note, progress_bar

if TYPE_CHECKING:
    from lesionlens.augment.offline import Plan
    from lesionlens.core.recipe import Recipe
    from lesionlens.data.index import Index
    from lesionlens.data.split import Split


def augment(
    index: Annotated[Path, typer.Argument(help="index.csv, as `lesionlens index` wrote it.")] = Path("index.csv"),
    split: Annotated[Path, typer.Argument(help="split.json, as `lesionlens split` wrote it.")] = Path("split.json"),
    recipe: Annotated[
        str | None, typer.Option(help="Recipe (name or file) whose [augmentation] says how; its defaults if not given.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="Such as seed=1; repeatable.")] = None,
    out: Annotated[Path, typer.Option(help="Plan to write.")] = Path("plan.csv"),
    materialise: Annotated[Path | None, typer.Option(help="Also write every copy as PNG into this folder.")] = None,
    gallery: Annotated[Path | None, typer.Option(help="Also draw every augmentation on one lesion into this PNG.")] = None,
    image: Annotated[str, typer.Option(help="The lesion of the gallery, an image_id.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Plan the augmented copies of the training images; write them, or picture them, on request."""
    from lesionlens.augment.offline import count_by_class, plan_training, write_plan
    from lesionlens.core.errors import RecipeError
    from lesionlens.core.recipe_file import load_recipe, recipe_from
    from lesionlens.data.index import read_index
    from lesionlens.data.split import read_split

    if image and gallery is None:
        raise RecipeError(
            f"--image {image} says which lesion a gallery shows; give the picture's file too: --gallery gallery.png"
        )
    chosen = load_recipe(recipe, overrides or ()) if recipe else recipe_from({}, overrides or ())
    known = read_index(index)
    parted = read_split(split, known)
    plan = plan_training(known, parted, chosen)
    write_plan(plan, out, parted, chosen)
    counts = count_by_class(plan, known)
    facts = {"plan": str(out), "rows": len(plan), "originals": len(plan.originals), "by_class": counts, "hash": plan.hash}
    lines = [
        f"{out}: {len(plan)} rows, {len(plan.originals)} originals and {len(plan) - len(plan.originals)} copies",
        *_table(counts),
    ]
    if materialise is not None:
        facts |= {"files": str(materialise), "n_files": _materialise(plan, known, chosen, materialise)}
        lines.append(f"{materialise}: {facts['n_files']} PNG files")
    if gallery is not None:
        facts |= {"gallery": str(gallery), "image_id": _gallery(known, parted, chosen, gallery, image)}
        lines.append(f"{gallery}: every augmentation on {facts['image_id']}")
    emit(facts, as_json, "\n".join(lines))


def _table(counts: dict[str, dict[str, int]]) -> list[str]:
    width = max(len(code) for code in counts)
    return [f"  {code:{width}}  {row['originals']:6} originals + {row['copies']:6} copies" for code, row in counts.items()]


def _materialise(plan: Plan, index: Index, recipe: Recipe, folder: Path) -> int:
    from lesionlens.augment.files import materialise
    from lesionlens.augment.policy import table_3
    from lesionlens.data.image import frame_spec

    if recipe.augmentation.offline_pixels == "fresh":
        note("this recipe draws its copies anew each epoch; the files hold the plan's own draw")
    policy = table_3(recipe.augmentation.probabilities)
    with progress_bar("Writing copies", len(plan) - len(plan.originals)) as advance:
        return materialise(plan, index, frame_spec(recipe.input), policy, folder, advance)


def _gallery(index: Index, split: Split, recipe: Recipe, path: Path, image_id: str) -> str:
    from lesionlens.augment.gallery import save_gallery

    return save_gallery(index, split, recipe, path, image_id)
