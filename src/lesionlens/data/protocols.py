"""The protocols that split images into training, validation and test, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from lesionlens.core.errors import RecipeError, SplitError
from lesionlens.core.recipe import SplitRecipe
from lesionlens.core.seeds import derive_seed
from lesionlens.data.index import Index

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
LEFT_OUT = -1

# Table 2 of the paper: images of HAM10000 per diagnosis in training, validation and test.
PAPER_COUNTS = {
    "nv": (5364, 670, 671),
    "mel": (890, 111, 112),
    "bkl": (879, 110, 110),
    "bcc": (411, 51, 52),
    "akiec": (262, 33, 32),
    "vasc": (114, 14, 14),
    "df": (92, 12, 11),
}


def by_lesion(index: Index, groups: np.ndarray, recipe: SplitRecipe) -> np.ndarray:
    """Split groups of images, stratified by diagnosis; images of one group never part.

    Args:
        index: the images.
        groups: group number of each image, shape (N,).
        recipe: `validation` and `test` are the shares of images, per diagnosis.

    Returns:
        Split number of each image, shape (N,), an index into `SPLITS`.

    Raises:
        SplitError: if a diagnosis has one group only.
    """
    counts, keys = _table(index, groups, recipe.seed)
    _demand_groups(index, groups, 2, "one split to learn it and one to test it")
    shares = np.array([1 - recipe.validation - recipe.test, recipe.validation, recipe.test])
    splits = _fill_empty_splits(allocate(counts, keys, shares), counts, keys, (TRAIN, TEST, VALIDATION))
    return np.take(splits, groups)


def by_lesion_fold(index: Index, groups: np.ndarray, recipe: SplitRecipe) -> np.ndarray:
    """Deal groups into `recipe.folds` folds; fold `recipe.fold` is the test split.

    The validation split is carved from the other folds, grouped too. The folds depend on the seed
    and on `folds` alone, so that the test splits of all folds together are all images, each once.

    Raises:
        SplitError: if a diagnosis has fewer groups than there are folds.
        RecipeError: if the validation share leaves nothing to train on.
    """
    rest = 1 - 1 / recipe.folds
    if recipe.validation > 0.9 * rest:
        raise RecipeError(
            f"split.validation = {recipe.validation} with {recipe.folds} folds leaves nothing to train on; "
            f"it must be at most {0.9 * rest:.2f}"
        )
    counts, keys = _table(index, groups, recipe.seed)
    _demand_groups(index, groups, recipe.folds, f"one for each of the {recipe.folds} folds")
    folds = allocate(counts, keys, np.full(recipe.folds, 1 / recipe.folds))
    folds = _fill_empty_splits(folds, counts, keys, tuple(range(recipe.folds)))
    splits = np.full(len(counts), TEST)
    splits[folds != recipe.fold] = _carve(counts, keys, folds != recipe.fold, recipe.validation / rest)
    return np.take(splits, groups)


def as_in_paper(index: Index, groups: np.ndarray, recipe: SplitRecipe) -> np.ndarray:
    """Split images, not lesions, stratified by diagnosis: the paper's protocol, which leaks.

    On HAM10000 each split holds the counts of the paper's table 2 exactly; on other images
    80 % train, 10 % validate and 10 % test.

    Raises:
        SplitError: if a diagnosis has one image only.
    """
    labels = index.dx_indices()
    images = Counter(record.dx for record in index.records)
    is_ham10000 = images == {code: sum(counts) for code, counts in PAPER_COUNTS.items()}
    keys = np.array([derive_seed("split", recipe.seed, "image", image_id) for image_id in index.ids])
    splits = np.full(len(labels), TRAIN)
    for code, n in images.items():
        if n < 2:
            raise SplitError(f"diagnosis {code!r} has one image; a split needs two. {_ADD_OR_LEAVE_OUT}")
        _, validation, test = PAPER_COUNTS[code] if is_ham10000 else _eighty_ten_ten(n)
        rows = np.flatnonzero(labels == index.labels.index(code))
        rows = rows[np.argsort(keys[rows], kind="stable")]
        splits[rows[:test]] = TEST
        splits[rows[test : test + validation]] = VALIDATION
    return splits


def as_published(index: Index, groups: np.ndarray, recipe: SplitRecipe) -> np.ndarray:
    """Take the splits that the source itself names (ISIC 2018: train on HAM10000, test on 1,512 others).

    Where the source names no validation split, `recipe.validation` of the training split becomes it,
    grouped. Training images of a group that is also in the test split are left out of training.

    Returns:
        Split number of each image, shape (N,); -1 where an image is left out.

    Raises:
        SplitError: if the source names no training split or no test split.
    """
    named = np.array([SPLITS.index(record.split) if record.split else LEFT_OUT for record in index.records])
    for number in (TRAIN, TEST):
        if not (named == number).any():
            raise SplitError(
                f"source {index.source!r} names no {SPLITS[number]} split, which protocol `official` needs; "
                "index the challenge's training and test images together, or split with --protocol lesion"
            )
    splits = named.copy()
    splits[(named != TEST) & np.isin(groups, groups[named == TEST])] = LEFT_OUT
    if (named == VALIDATION).any():
        splits[(splits == TRAIN) & np.isin(groups, groups[splits == VALIDATION])] = LEFT_OUT
        return splits
    return np.where(splits == TRAIN, _grouped_validation(index, groups, splits == TRAIN, recipe), splits)


def by_source(index: Index, groups: np.ndarray, recipe: SplitRecipe) -> np.ndarray:
    """Test on the images of one clinic or collection, and train on those of the others.

    `recipe.validation` of the others becomes the validation split, grouped and stratified. Images of the others whose group
    is also in the test split, and images whose source is unknown, are left out.

    Returns:
        Split number of each image, shape (N,); -1 where an image is left out.

    Raises:
        SplitError: if no image, or every image, is of the source.
    """
    datasets = np.array([record.dataset for record in index.records])
    tested = datasets == recipe.test_source
    names = sources(index)
    if not tested.any() or len(names) < 2:
        raise SplitError(
            f"protocol `source` cannot test on {recipe.test_source!r}: the column `dataset` of the index names "
            f"{', '.join(names) or 'no source'}; it must name two sources or more, and split.test_source one of them"
        )
    trained = ~tested & (datasets != "") & ~np.isin(groups, groups[tested])
    splits = np.where(tested, TEST, LEFT_OUT)
    splits[trained] = _grouped_validation(index, groups, trained, recipe)[trained]
    return splits


def sources(index: Index) -> tuple[str, ...]:
    """Names of the clinics or collections of an index, from most images to fewest; none where they are not known."""
    return tuple(name for name, _ in Counter(record.dataset for record in index.records if record.dataset).most_common())


def _grouped_validation(index: Index, groups: np.ndarray, trained: np.ndarray, recipe: SplitRecipe) -> np.ndarray:
    """Split the groups of the images `trained`, a mask (N,), into training and validation; -1 elsewhere."""
    counts, keys = _table(index, groups, recipe.seed)
    members = np.isin(np.arange(len(counts)), groups[trained])
    by_group = np.full(len(counts), LEFT_OUT)
    by_group[members] = _carve(counts, keys, members, recipe.validation)
    return np.take(by_group, groups)


Protocol = Callable[[Index, np.ndarray, SplitRecipe], np.ndarray]
PROTOCOLS: dict[str, Protocol] = {
    "lesion": by_lesion,
    "lesion-kfold": by_lesion_fold,
    "source": by_source,
    "paper": as_in_paper,
    "official": as_published,
}
LEAKING = frozenset({"paper"})

_ADD_OR_LEAVE_OUT = "Add images of other lesions with this diagnosis, or leave it out of the index"


def allocate(counts: np.ndarray, keys: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Deal groups into splits so that each split holds its share of every diagnosis.

    Within a diagnosis (a group's commonest one) large groups come first, those of equal size in
    the order of `keys`; each goes to the split that lags furthest behind its share of what has been
    dealt so far. Splits so hold large and small groups alike, and end within about one of the
    smallest groups of their share.

    Args:
        counts: images per group and diagnosis, shape (G, K).
        keys: random key of each group, shape (G,); decides everything that sizes leave open.
        shares: share of each split, shape (P,), summing to 1.

    Returns:
        Split number of each group, shape (G,), each in [0, P).
    """
    sizes, strata = counts.sum(axis=1), counts.argmax(axis=1)
    splits = np.empty(len(counts), dtype=np.int64)
    held_by_all = np.zeros(len(shares))
    for stratum in range(counts.shape[1]):
        members = np.flatnonzero(strata == stratum)
        held = np.zeros(len(shares))
        for group in members[np.lexsort((keys[members], -sizes[members]))]:
            size = sizes[group]
            lag = np.round(shares * (held.sum() + size) - held, 9)
            lag_of_all = shares * (held_by_all.sum() + size) - held_by_all
            number = np.lexsort((-lag_of_all, -lag))[0]
            splits[group] = number
            held[number] += size
            held_by_all[number] += size
    return splits


def _fill_empty_splits(splits: np.ndarray, counts: np.ndarray, keys: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    """Give each split in `wanted` a group of every diagnosis that has groups enough, rarest diagnosis last."""
    splits = splits.copy()
    for dx in np.argsort(-(counts > 0).sum(axis=0), kind="stable"):
        members = np.flatnonzero(counts[:, dx] > 0)
        needed = wanted[: len(members)]
        for number in needed:
            if (splits[members] == number).any():
                continue
            held = np.bincount(splits[members], minlength=max(wanted) + 1)
            spare = [0 if other in needed else len(members) for other in range(len(held))]
            donors = members[splits[members] == np.where(held > 0, held + spare, 0).argmax()]
            mixed = (counts[donors] > 0).sum(axis=1)
            splits[donors[np.lexsort((keys[donors], counts[donors, dx], mixed))[0]]] = number
    return splits


def _carve(counts: np.ndarray, keys: np.ndarray, chosen: np.ndarray, validation: float) -> np.ndarray:
    """Split the chosen groups into training and validation; returns split numbers of the chosen."""
    shares = np.array([1 - validation, validation])
    splits = allocate(counts[chosen], keys[chosen], shares)
    return _fill_empty_splits(splits, counts[chosen], keys[chosen], (TRAIN, VALIDATION))


def _table(index: Index, groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images per group and diagnosis (G, K), and a random key per group (G,) that its first id decides."""
    counts = np.zeros((int(groups.max()) + 1, len(index.labels)), dtype=np.int64)
    np.add.at(counts, (groups, index.dx_indices()), 1)
    first = [""] * len(counts)
    for image_id, group in zip(index.ids, groups, strict=True):
        if not first[group] or image_id < first[group]:
            first[group] = image_id
    return counts, np.array([derive_seed("split", seed, "group", name) for name in first])


def _demand_groups(index: Index, groups: np.ndarray, needed: int, reason: str) -> None:
    found: dict[str, set[int]] = {}
    for record, group in zip(index.records, groups, strict=True):
        found.setdefault(record.dx, set()).add(int(group))
    for code, members in found.items():
        if len(members) < needed:
            kind = "patient" if any(record.patient_id for record in index.records) else "lesion"
            lesions = f"one {kind}" if len(members) == 1 else f"{len(members)} {kind}s"
            raise SplitError(f"diagnosis {code!r} has {lesions}; this protocol needs {needed}: {reason}. {_ADD_OR_LEAVE_OUT}")


def _eighty_ten_ten(n: int) -> tuple[int, int, int]:
    """80/10/10 of `n` >= 2 images; test gets the odd one, and no split is empty from 3 images on."""
    training = max(1, min(round(0.8 * n), n - 2))
    validation = (n - training) // 2
    return training, validation, n - training - validation
