"""A split: which image trains, validates and tests, so that no lesion and no patient is in two splits."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core import legacy
from lesionlens.core.artifact import hash_value, read_json, write_json
from lesionlens.core.errors import ArtifactError, SplitError
from lesionlens.core.recipe import SplitRecipe
from lesionlens.data.groups import Pair, groups_of, pairs_in
from lesionlens.data.index import Index, Record
from lesionlens.data.leaks import group_leak_rate, has_unknown, leak_rate
from lesionlens.data.protocols import LEAKING, PROTOCOLS, SPLITS

OPTIONAL = ("group_leak_rate", "notes")  # written only if there is something to say, so that files of 0.1.0 stay as they are


@dataclass(frozen=True)
class Split:
    """Image ids by split name.

    Attributes:
        protocol: name of the protocol that made it, a key of `PROTOCOLS`.
        seed: seed of the split.
        ids: image ids by split name, sorted; an image in no split is left out.
        leaks: whether the protocol is known to leak lesions between splits.
        leak_rate: see `leaks.leak_rate`.
        index_hash: hash of the index it was made from.
        pairs: images known to show one lesion beyond the lesion ids, sorted.
        settings: the other fields of the SplitRecipe.
        group_leak_rate: see `leaks.group_leak_rate`; empty if `leak_rate` says the same.
        notes: what people should know about it; not hashed.
    """

    protocol: str
    seed: int
    ids: dict[str, tuple[str, ...]]
    leaks: bool
    leak_rate: dict[str, Any]
    index_hash: str
    pairs: tuple[Pair, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    group_leak_rate: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def hash(self) -> str:
        """SHA-256 over all fields but the notes, under the names and with the leak rate of 0.1.0: checkpoints carry it."""
        value = dataclasses.asdict(self)
        del value["notes"]
        ids, rate = value.pop("ids"), value.pop("leak_rate")
        rate = dict(value.pop("group_leak_rate") or rate)
        rate["groups_by_part"] = legacy.by_old_split(rate.pop("groups_by_split", {}))
        return hash_value({**value, "parts": legacy.by_old_split(ids), "leak_rate": rate})

    def n_unknown_lesion(self, name: str) -> int:
        """Images of a split of which it is not known whether their lesion is also in training."""
        return int(self.leak_rate.get("unknown", {}).get(name, 0))

    def patient_leak_rate(self, name: str) -> float | None:
        """Share of a split's images whose patient is also in training; None where no patient is known."""
        rate: float | None = self.leak_rate.get("by_patient", {}).get(name)
        return rate


def make_split(index: Index, recipe: SplitRecipe, pairs: Sequence[Pair] = ()) -> Split:
    """Split the images of `index` by the recipe's protocol.

    The result depends on the records, the recipe and the pairs, not on their order.

    Args:
        index: the images.
        recipe: protocol, shares, folds and seed.
        pairs: pairs of image ids known to show one lesion; they stay together.

    Raises:
        SplitError: if a diagnosis has too few lesions for the protocol or no training image, the source lacks
            the splits that `official` needs, or the result leaks under a protocol that must not.
        RecipeError: if the shares leave nothing to train on.
    """
    groups = groups_of(index, pairs)
    numbers = PROTOCOLS[recipe.protocol](index, groups, recipe)
    ids = np.array(index.ids)
    splits = {split_name: tuple(sorted(ids[numbers == n].tolist())) for n, split_name in enumerate(SPLITS)}
    settings = {key: value for key, value in dataclasses.asdict(recipe).items() if key not in ("protocol", "seed")}
    if not recipe.test_source:
        del settings["test_source"]  # younger than the hashes of the first splits, which do not change
    rate, of_groups = leak_rate(index, splits, pairs), group_leak_rate(index, splits, pairs)
    split = Split(
        protocol=recipe.protocol,
        seed=recipe.seed,
        ids=splits,
        leaks=recipe.protocol in LEAKING,
        leak_rate=rate,
        index_hash=index.hash,
        pairs=pairs_in(index, pairs),
        settings=settings,
        group_leak_rate={} if of_groups == rate else of_groups,
        notes=_check_diagnoses(index, splits),
    )
    check_leaks(split, index)
    return split


def _check_diagnoses(index: Index, splits: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Make sure that the network can learn what it is tested on.

    Returns:
        Notes about diagnoses that are not tested.

    Raises:
        SplitError: if the training split lacks a diagnosis that another split has, or has fewer than two.
    """
    dx_of = {record.image_id: record.dx for record in index.records}
    present = {name: Counter(dx_of[image_id] for image_id in ids) for name, ids in splits.items()}
    trained = present["train"]
    for name in ("validation", "test"):
        unlearnt = sorted(present[name].keys() - trained.keys())
        if unlearnt:
            count = sum(present[name][code] for code in unlearnt)
            raise SplitError(
                f"{', '.join(unlearnt)} has {count} {name} images and no training image, so no network can learn it; add "
                "training images, leave it out of the index (map it to nothing with --map, and --skip-unlabelled), or split "
                "with --protocol lesion"
            )
    if len(trained) < 2:
        raise SplitError(
            f"all {sum(trained.values())} training images have the diagnosis {', '.join(trained) or 'none'}; a classifier needs "
            "images of two or more. Add images with another diagnosis"
        )
    untested = sorted(trained.keys() - present["test"].keys())
    return (f"no test image has the diagnosis {', '.join(untested)}; it is not scored",) if untested else ()


def check_leaks(split: Split, index: Index, pairs: Iterable[Pair] = ()) -> None:
    """Make sure that no lesion and no patient is in two splits, unless the split's protocol is known to leak.

    Args:
        split: the split; its own pairs count too.
        index: the images it was made from.
        pairs: further pairs of image ids known to show one lesion.

    Raises:
        SplitError: if an image, a lesion or a patient is in two splits.
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
                f"{_shown(record)} (image {record.image_id}) is in {other} and {split_name}; images of one lesion or patient "
                f"must stay together under protocol {split.protocol!r}. Make a new split with: lesionlens split index.csv"
            )


def _shown(record: Record) -> str:
    return f"lesion {record.lesion_id}" + (f" of patient {record.patient_id}" if record.patient_id else "")


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
    value = dataclasses.asdict(split)
    for name in OPTIONAL:
        if not value[name]:
            del value[name]
    write_json(path, {**value, "hash": split.hash})


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
        split = Split(**{**value, "ids": ids, "pairs": pairs, "notes": tuple(value.get("notes", ()))})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is not a split ({error!s}); make one with: lesionlens split index.csv") from error
    _split_of_image(split.ids)
    if index is not None:
        _check_belongs(split, index, path)
    if stated != split.hash:
        raise ArtifactError(
            f"{path} was changed after it was made (its hash does not match); make it again with: lesionlens split"
        )
    return split if index is None else _with_unknown_leaks(split, index)


def _with_unknown_leaks(split: Split, index: Index) -> Split:
    """The split with today's leak rate: 0.1.0 took an image without lesion id for a lesion of its own."""
    if not has_unknown(index):
        return split
    rate = leak_rate(index, split.ids, split.pairs)
    return split if rate == split.leak_rate else dataclasses.replace(split, leak_rate=rate, group_leak_rate=split.leak_rate)


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
