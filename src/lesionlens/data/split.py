"""A split: which image trains, validates and tests, and how much of a lesion leaks between splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core import legacy
from lesionlens.core.artifact import hash_value, read_json, write_json
from lesionlens.core.errors import ArtifactError, SplitError
from lesionlens.core.recipe import SplitRecipe
from lesionlens.data.index import Index
from lesionlens.data.protocols import LEAKING, PROTOCOLS, SPLITS

Pair = tuple[str, str]


@dataclass(frozen=True)
class Split:
    """Image ids by part.

    Attributes:
        protocol: name of the protocol that made it, a key of `PROTOCOLS`.
        seed: seed of the split.
        ids: image ids by split name, sorted; an image in no split is left out.
        leaks: whether the protocol is known to leak lesions between splits.
        leak_rate: see `leak_rate`.
        index_hash: hash of the index it was made from.
        pairs: images known to show one lesion beyond the lesion ids, sorted.
        settings: the other fields of the SplitRecipe.
    """

    protocol: str
    seed: int
    ids: dict[str, tuple[str, ...]]
    leaks: bool
    leak_rate: dict[str, Any]
    index_hash: str
    pairs: tuple[Pair, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 over all fields, under the names of 0.1.0: checkpoints carry it."""
        value = dataclasses.asdict(self)
        ids, rate = value.pop("ids"), dict(value.pop("leak_rate"))
        rate["groups_by_part"] = legacy.by_old_split(rate.pop("groups_by_split", {}))
        return hash_value({**value, "parts": legacy.by_old_split(ids), "leak_rate": rate})


def groups_of(index: Index, pairs: Iterable[Pair] = ()) -> np.ndarray:
    """Number the groups of images that show one lesion: the union-find of lesion ids and `pairs`.

    Args:
        index: the images.
        pairs: pairs of image ids known to show one lesion; pairs of images not in the index are ignored.

    Returns:
        Group number of each image, shape (N,), from 0, in the order of each group's smallest image
        id: the numbers do not depend on the order of records.
    """
    parent = {image_id: image_id for image_id in index.ids}

    def find(image_id: str) -> str:
        while parent[image_id] != image_id:
            parent[image_id] = parent[parent[image_id]]
            image_id = parent[image_id]
        return image_id

    first_of_lesion: dict[str, str] = {}
    lesions = [(first_of_lesion.setdefault(r.lesion_id, r.image_id), r.image_id) for r in index.records]
    for a, b in (*lesions, *_known(index, pairs)):
        low, high = sorted((find(a), find(b)))
        parent[high] = low
    roots = [find(image_id) for image_id in index.ids]
    number = {root: n for n, root in enumerate(sorted(set(roots)))}
    return np.array([number[root] for root in roots], dtype=np.int64)


def _known(index: Index, pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """The pairs whose images are both in the index, each in order, sorted, once."""
    ids = set(index.ids)
    return tuple(sorted({(min(a, b), max(a, b)) for a, b in pairs if a in ids and b in ids and a != b}))


def make_split(index: Index, recipe: SplitRecipe, pairs: Sequence[Pair] = ()) -> Split:
    """Split the images of `index` by the recipe's protocol.

    The result depends on the records, the recipe and the pairs, not on their order.

    Args:
        index: the images.
        recipe: protocol, shares, folds and seed.
        pairs: pairs of image ids known to show one lesion; they stay together.

    Raises:
        SplitError: if a diagnosis has too few lesions for the protocol, the source lacks the splits
            that `official` needs, or the result leaks under a protocol that must not.
        RecipeError: if the shares leave nothing to train on.
    """
    groups = groups_of(index, pairs)
    numbers = PROTOCOLS[recipe.protocol](index, groups, recipe)
    ids = np.array(index.ids)
    splits = {split_name: tuple(sorted(ids[numbers == n].tolist())) for n, split_name in enumerate(SPLITS)}
    settings = {key: value for key, value in dataclasses.asdict(recipe).items() if key not in ("protocol", "seed")}
    split = Split(
        protocol=recipe.protocol,
        seed=recipe.seed,
        ids=splits,
        leaks=recipe.protocol in LEAKING,
        leak_rate=leak_rate(index, splits, pairs),
        index_hash=index.hash,
        pairs=_known(index, pairs),
        settings=settings,
    )
    check_leaks(split, index)
    return split


def leak_rate(index: Index, splits: dict[str, tuple[str, ...]], pairs: Iterable[Pair] = ()) -> dict[str, Any]:
    """How many test and validation images show a lesion that is also in training.

    Args:
        index: the images.
        splits: image ids by split name.
        pairs: pairs of image ids known to show one lesion.

    Returns:
        `test` and `validation`: shares of images in [0, 1], None for an empty split; `by_class` and
        `validation_by_class`: the same by diagnosis; `n_groups`: groups in all splits;
        `groups_by_split`: groups in each; `left_out`: images of the index in no split.
    """
    group_of = dict(zip(index.ids, groups_of(index, pairs).tolist(), strict=True))
    dx_of = {record.image_id: record.dx for record in index.records}
    groups = {split_name: {group_of[image_id] for image_id in splits[split_name]} for split_name in SPLITS}
    result: dict[str, Any] = {}
    for split_name, by_class in (("test", "by_class"), ("validation", "validation_by_class")):
        leaked = {image_id: group_of[image_id] in groups["train"] for image_id in splits[split_name]}
        result[split_name] = _share(leaked.values())
        result[by_class] = {
            code: _share(hit for image_id, hit in leaked.items() if dx_of[image_id] == code) for code in index.labels.codes
        }
    result["n_groups"] = len(set().union(*groups.values()))
    result["groups_by_split"] = {split_name: len(groups[split_name]) for split_name in SPLITS}
    result["left_out"] = len(index.ids) - sum(len(splits[split_name]) for split_name in SPLITS)
    return result


def _share(hits: Iterable[bool]) -> float | None:
    hits = list(hits)
    return sum(hits) / len(hits) if hits else None


def check_leaks(split: Split, index: Index, pairs: Iterable[Pair] = ()) -> None:
    """Make sure that no lesion is in two splits, unless the split's protocol is known to leak.

    Args:
        split: the split; its own pairs count too.
        index: the images it was made from.
        pairs: further pairs of image ids known to show one lesion.

    Raises:
        SplitError: if an image or a lesion is in two splits.
    """
    split_of_image = _split_of_image(split.ids)
    if split.protocol in LEAKING:
        return
    split_of_group: dict[int, str] = {}
    groups = groups_of(index, (*split.pairs, *pairs))
    for record, group in zip(index.records, groups.tolist(), strict=True):
        split_name = split_of_image.get(record.image_id)
        if split_name is None:
            continue
        other = split_of_group.setdefault(group, split_name)
        if other != split_name:
            raise SplitError(
                f"lesion {record.lesion_id} (image {record.image_id}) is in {other} and {split_name}; images of one lesion must "
                f"stay together under protocol {split.protocol!r}. Make a new split with: lesionlens split index.csv"
            )


def _split_of_image(splits: dict[str, tuple[str, ...]]) -> dict[str, str]:
    split_of: dict[str, str] = {}
    for split_name in SPLITS:
        for image_id in splits[split_name]:
            if image_id in split_of:
                raise SplitError(
                    f"image {image_id} is in {split_of[image_id]} and {split_name}; an image belongs to one split. "
                    "Make a new split with: lesionlens split index.csv"
                )
            split_of[image_id] = split_name
    return split_of


def write_split(split: Split, path: Path) -> None:
    """Write `split` as JSON with its own hash."""
    write_json(path, {**dataclasses.asdict(split), "hash": split.hash})


def read_split(path: Path, index: Index | None = None) -> Split:
    """Read what `write_split` wrote, and check it.

    Args:
        path: a split.json.
        index: the index it must belong to; without it only the file itself is checked.

    Raises:
        ArtifactError: if the file is missing, is no split, was changed by hand, or belongs to
            another index.
        SplitError: if an image is in two splits, is not in the index, or a lesion leaks under a
            protocol that must not.
    """
    value = read_json(path)
    try:
        stated = value.pop("hash")
        value = _current(value)
        ids = {split_name: tuple(value["ids"][split_name]) for split_name in SPLITS}
        pairs = tuple((a, b) for a, b in value["pairs"])
        if value["protocol"] not in PROTOCOLS:
            raise ValueError(f"protocol {value['protocol']!r}")
        split = Split(**{**value, "ids": ids, "pairs": pairs})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is not a split ({error!s}); make one with: lesionlens split index.csv") from error
    _split_of_image(split.ids)
    if index is not None:
        _check_belongs(split, index, path)
    if stated != split.hash:
        raise ArtifactError(
            f"{path} was changed after it was made (its hash does not match); make it again with: lesionlens split"
        )
    return split


def _current(value: dict[str, Any]) -> dict[str, Any]:
    """The content of a split.json under today's names; 0.1.0 wrote `parts`."""
    if "parts" not in value:
        return value
    ids = legacy.by_current_split(value.pop("parts"))
    return {**value, "ids": ids, "leak_rate": legacy.current(value["leak_rate"])}


def _check_belongs(split: Split, index: Index, path: Path) -> None:
    ids = set(index.ids)
    unknown = [image_id for split_name in SPLITS for image_id in split.ids[split_name] if image_id not in ids]
    if unknown:
        raise SplitError(
            f"{path}: image {unknown[0]} (and {len(unknown) - 1} more) is not in the index; a split belongs to the index it "
            "was made from. Make a new split with: lesionlens split index.csv"
        )
    check_leaks(split, index)
    if split.index_hash != index.hash:
        raise ArtifactError(
            f"{path} was made from another index (hash {split.index_hash[:12]}, not {index.hash[:12]}); "
            "make a new split with: lesionlens split index.csv"
        )
