"""Phase one: a plan of augmented copies that balance the classes of the training split.

The plan holds seeds, not pixels. A copy is computed when it is needed, from (recipe seed, epoch,
image, copy); `lesionlens.augment.files` writes the same pixels to files.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.artifact import atomic_file, hash_file, hash_value, read_stamp, stamp_path, write_stamp
from lesionlens.core.errors import ArtifactError, DataError, SplitError
from lesionlens.core.recipe import AugmentationRecipe, Recipe
from lesionlens.core.seeds import derive_seed
from lesionlens.data.index import Index
from lesionlens.data.split import Split

COLUMNS = ("image_id", "copy", "seed")
REMEDY = "make it again with: lesionlens augment INDEX SPLIT"


@dataclass(frozen=True)
class Plan:
    """The images and copies of one epoch: rows sorted by image id, then copy.

    Attributes:
        image_ids: image of each row.
        copies: 0 for the original, which is not augmented; 1, 2, ... for its augmented copies.
        seeds: seed of each row's pixels, for copies that are drawn once.

    Raises:
        DataError: if the columns differ in length, or an image's copies are not numbered from 0
            without gaps and repeats.
    """

    image_ids: tuple[str, ...]
    copies: tuple[int, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.image_ids) == len(self.copies) == len(self.seeds):
            raise DataError(
                f"a plan got {len(self.image_ids)} ids, {len(self.copies)} copies, {len(self.seeds)} seeds; all must match"
            )
        by_image: dict[str, list[int]] = {}
        for image_id, copy in zip(self.image_ids, self.copies, strict=True):
            by_image.setdefault(image_id, []).append(copy)
        for image_id, copies in by_image.items():
            if sorted(copies) != list(range(len(copies))):
                raise DataError(
                    f"the plan holds copies {sorted(copies)} of image {image_id}; they must be 0, 1, 2, ... once each"
                )

    def __len__(self) -> int:
        return len(self.image_ids)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all rows."""
        return hash_value([self.image_ids, self.copies, self.seeds])

    @property
    def originals(self) -> tuple[str, ...]:
        """Ids of its images, each once."""
        return tuple(image_id for image_id, copy in zip(self.image_ids, self.copies, strict=True) if copy == 0)


def copy_seed(seed: int, image_id: str, copy: int) -> int:
    """The seed of a copy that is drawn once: that of epoch 0."""
    return derive_seed(seed, 0, image_id, copy)


def make_plan(ids: Sequence[str], class_indices: Sequence[int] | np.ndarray, fill: float, seed: int) -> Plan:
    """Fill every class up to ceil(fill x largest class) with copies, spread evenly over its images.

    The numbers of copies in a class differ by at most one; the seed decides which images get one more.
    The order of `ids` does not matter.

    Args:
        ids: training images, each once.
        class_indices: class of each, shape (N,).
        fill: share of the largest class that every class is filled up to, in [0, 1].
        seed: seed of the recipe.

    Raises:
        DataError: if `ids` is empty, repeats an id, or does not match `class_indices`.
        RecipeError: if `fill` is not in [0, 1].
    """
    classes = np.asarray(class_indices, dtype=np.int64)
    if not len(ids) or len(set(ids)) != len(ids) or classes.shape != (len(ids),):
        raise DataError(f"a plan needs each training image once, with its class; got {len(ids)} ids and {classes.shape} classes")
    AugmentationRecipe.check(offline_fill=fill)
    target = math.ceil(fill * int(np.bincount(classes).max()))
    rows: list[tuple[str, int]] = []
    for number in np.unique(classes):
        members = [ids[row] for row in np.flatnonzero(classes == number).tolist()]
        each, more = divmod(max(target - len(members), 0), len(members))
        with_extra = set(sorted(members, key=lambda image_id: derive_seed(seed, "one more copy", image_id))[:more])
        rows += [(image_id, copy) for image_id in members for copy in range(1 + each + (image_id in with_extra))]
    rows.sort()
    seeds = tuple(copy_seed(seed, image_id, copy) for image_id, copy in rows)
    return Plan(tuple(image_id for image_id, _ in rows), tuple(copy for _, copy in rows), seeds)


def plan_training(index: Index, split: Split, recipe: Recipe) -> Plan:
    """The plan for the training split of `split`.

    Raises:
        DataError: if the training split is empty or names an image that the index does not hold.
    """
    class_of = dict(zip(index.ids, index.dx_indices().tolist(), strict=True))
    ids = split.ids["train"]
    missing = [image_id for image_id in ids if image_id not in class_of]
    if missing:
        raise DataError(f"training image {missing[0]!r} is not in the index; split this index with: lesionlens split INDEX")
    return make_plan(ids, [class_of[image_id] for image_id in ids], recipe.augmentation.offline_fill, recipe.seed)


def check_plan(plan: Plan, split: Split) -> None:
    """Check that a plan holds all images of the training split of `split`, and no others.

    Raises:
        SplitError: if an image of another split, or of none, would be trained on.
        ArtifactError: if a training image is missing.
    """
    split_of = {image_id: split_name for split_name, ids in split.ids.items() for image_id in ids}
    for image_id in plan.originals:
        if split_of.get(image_id) != "train":
            where = split_of.get(image_id, "no split")
            raise SplitError(f"the plan holds image {image_id}, which is in {where}; it may hold only training images; {REMEDY}")
    missing = set(split.ids["train"]).difference(plan.originals)
    if missing:
        raise ArtifactError(f"the plan lacks {len(missing)} training images, for example {min(missing)}; {REMEDY}")


def count_by_class(plan: Plan, index: Index) -> dict[str, dict[str, int]]:
    """Originals and copies of every diagnosis, by code: `{"mel": {"originals": 890, "copies": 4474}}`."""
    dx_of = {record.image_id: record.dx for record in index.records}
    counts = {code: {"originals": 0, "copies": 0} for code in index.labels.codes}
    for image_id, copy in zip(plan.image_ids, plan.copies, strict=True):
        counts[dx_of[image_id]]["copies" if copy else "originals"] += 1
    return counts


def plan_inputs(split: Split, recipe: Recipe) -> dict[str, str]:
    """Hashes of split and recipe of a plan, for its stamp."""
    return {"split": split.hash, "recipe": recipe.hash("seed", "augmentation")}


def plan_facts(stamp: dict[str, Any]) -> dict[str, Any]:
    """The facts of a plan's stamp; 0.1.0 stored some of them under `made_from`."""
    return {**stamp["made_from"], **stamp["facts"]}


def write_plan(plan: Plan, path: Path, split: Split, recipe: Recipe) -> None:
    """Write `plan` as a CSV with columns image_id, copy, seed, and a stamp beside it.

    Raises:
        SplitError: if it is not the plan of this split; nothing is written.
        StorageError: if the disk is full or not writable.
    """
    check_plan(plan, split)
    stamp_path(path).unlink(missing_ok=True)
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(plan.image_ids, plan.copies, plan.seeds, strict=True))
    write_stamp(path, {}, {**plan_inputs(split, recipe), "rows": len(plan), "hash": plan.hash})


def read_plan(path: Path, split: Split | None = None) -> Plan:
    """Read and check a file of `write_plan`.

    Args:
        path: a plan.csv.
        split: the split of the plan; None checks the file alone.

    Raises:
        ArtifactError: if it or its stamp is missing, damaged, edited by hand, or of another split.
        SplitError: if it holds an image that is not in the training split.
    """
    if not path.is_file():
        raise ArtifactError(f"plan {path} does not exist; make it with: lesionlens augment INDEX SPLIT --out {path}")
    stamp = read_stamp(path)
    try:
        plan = _read_rows(path)
    except (csv.Error, UnicodeDecodeError, ValueError, KeyError, TypeError, DataError) as error:
        raise ArtifactError(f"plan {path} is not readable ({error}); {REMEDY}") from error
    if split is not None:
        check_plan(plan, split)
        if plan_facts(stamp).get("split") != split.hash:
            raise ArtifactError(f"plan {path} was made from another split; {REMEDY}")
    if stamp["hash"] != hash_file(path):
        raise ArtifactError(f"plan {path} was edited after it was written; {REMEDY}")
    return plan


def _read_rows(path: Path) -> Plan:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"its columns are {reader.fieldnames}, not {', '.join(COLUMNS)}")
        rows = [(row["image_id"], int(row["copy"]), int(row["seed"])) for row in reader]
    image_ids, copies, seeds = zip(*rows, strict=True) if rows else ((), (), ())
    return Plan(image_ids, copies, seeds)
