"""Leaks: how many images show a lesion, or a patient, that is also in training, and for how many nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lesionlens.data.groups import Pair, groups_of, pairs_in
from lesionlens.data.index import Index
from lesionlens.data.protocols import SPLITS

TESTED = (("test", "by_class"), ("validation", "validation_by_class"))
SHOWN = " show a lesion that is also in training"


def group_leak_rate(index: Index, splits: Mapping[str, tuple[str, ...]], pairs: Iterable[Pair] = ()) -> dict[str, Any]:
    """How many test and validation images belong to a group that is also in training.

    An image without a lesion id, a patient and a pair is a group of its own here: this is what 0.1.0 called the leak rate.

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
    groups = {split_name: {group_of[image_id] for image_id in splits[split_name]} for split_name in SPLITS}
    result: dict[str, Any] = {}
    for split_name, by_class in TESTED:
        leaked = {image_id: group_of[image_id] in groups["train"] for image_id in splits[split_name]}
        result |= _shares(index, leaked, split_name, by_class)
    result["n_groups"] = len(set().union(*groups.values()))
    result["groups_by_split"] = {split_name: len(groups[split_name]) for split_name in SPLITS}
    result["left_out"] = len(index.ids) - sum(len(splits[split_name]) for split_name in SPLITS)
    return result


def leak_rate(index: Index, splits: Mapping[str, tuple[str, ...]], pairs: Iterable[Pair] = ()) -> dict[str, Any]:
    """How many test and validation images show a lesion, or a patient, that is also in training.

    The lesion of an image is known if it has a lesion id, is in a pair, or is of a patient who is not in training. Images
    whose lesion is not known are counted and not rated.

    Args:
        index: the images.
        splits: image ids by split name.
        pairs: pairs of image ids known to show one lesion.

    Returns:
        `test` and `validation`: shares of the images whose lesion is known, None if there are none;
        `by_class`, `validation_by_class`, `n_groups`, `groups_by_split` and `left_out` as of `group_leak_rate`.
        Where a lesion is unknown or a patient known, also `unknown`: images without a known lesion, by split name;
        `by_patient`: shares of the images whose patient is known; `unknown_patient`: the others.
    """
    result = group_leak_rate(index, splits, pairs)
    if not has_unknown(index):
        return result
    lesion_of = dict(zip(index.ids, groups_of(index, pairs, by_patient=False).tolist(), strict=True))
    patient_of = {record.image_id: record.patient_id for record in index.records}
    paired = {image_id for pair in pairs_in(index, pairs) for image_id in pair}
    with_lesion = paired | {record.image_id for record in index.records if record.has_lesion_id}
    trained = {lesion_of[image_id] for image_id in splits["train"]}
    patients = {patient_of[image_id] for image_id in splits["train"]} - {""}
    further: dict[str, dict[str, Any]] = {"unknown": {}, "by_patient": {}, "unknown_patient": {}}
    for split_name, by_class in TESTED:
        ids = splits[split_name]
        others = {image_id for image_id in ids if patient_of[image_id] and patient_of[image_id] not in patients}
        leaked = {i: lesion_of[i] in trained for i in ids if i in with_lesion or i in others}
        result |= _shares(index, leaked, split_name, by_class)
        known = [patient_of[image_id] in patients for image_id in ids if patient_of[image_id]]
        further["unknown"][split_name] = len(ids) - len(leaked)
        further["by_patient"][split_name] = _share(known)
        further["unknown_patient"][split_name] = len(ids) - len(known)
    return {**result, **further}


def leaking_images(ids: Mapping[str, tuple[str, ...]], pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Test images that `pairs` link to a training image, sorted."""
    train, test = set(ids["train"]), set(ids["test"])
    return tuple(sorted({image for a, b in pairs for image, other in ((a, b), (b, a)) if image in test and other in train}))


def has_unknown(index: Index) -> bool:
    """Whether there is more to say than lesion ids do: an image has none, or a patient is known."""
    return any(record.patient_id or not record.has_lesion_id for record in index.records)


def leak_sentences(rate: Mapping[str, Any], counts: Mapping[str, int]) -> list[str]:
    """The leak rate in words.

    Args:
        rate: see `leak_rate`.
        counts: images by split name; a split without images is passed over.

    Returns:
        A sentence for each of lesion and patient, without a full stop.
    """
    names = [name for name, _ in TESTED if counts[name]]
    unknown, unknown_patient = rate.get("unknown", {}), rate.get("unknown_patient", {})
    lesion = [leak_words(rate[name], counts[name], unknown.get(name, 0), name) for name in names]
    if names and not any(unknown.get(name, 0) for name in names):
        lesion = [" and ".join(words.removesuffix(SHOWN) for words in lesion) + SHOWN]
    by_patient = rate.get("by_patient", {})
    patients = [f"{100 * by_patient[name]:.1f} % of {name} images" for name in names if by_patient.get(name) is not None]
    if not patients:
        return lesion
    missing = sum(unknown_patient[name] for name in names)
    rest = f" (the patient of {missing} images is unknown)" if missing else ""
    return [*lesion, f"{' and '.join(patients)} are of a patient who is also in training{rest}"]


def leak_words(rate: float | None, count: int, unknown: int, name: str) -> str:
    """How many images of one split leak, in words.

    >>> leak_words(0.25, 8, 0, "test")
    '25.0 % of test images show a lesion that is also in training'
    >>> leak_words(None, 8, 8, "test")
    'leak rate unknown: none of the 8 test images has a lesion id'
    >>> leak_words(0.5, 8, 6, "test").partition("; ")[0]
    'leak rate unknown for 6 of 8 test images, which have no lesion id'
    """
    if rate is None:
        return f"leak rate unknown: none of the {count} {name} images has a lesion id"
    share = f"{100 * rate:.1f} %"
    if not unknown:
        return f"{share} of {name} images{SHOWN}"
    return f"leak rate unknown for {unknown} of {count} {name} images, which have no lesion id; {share} of the others{SHOWN}"


def _shares(index: Index, leaked: Mapping[str, bool], split_name: str, by_class: str) -> dict[str, Any]:
    dx_of = {record.image_id: record.dx for record in index.records}
    shares = {code: _share(hit for image_id, hit in leaked.items() if dx_of[image_id] == code) for code in index.labels.codes}
    return {split_name: _share(leaked.values()), by_class: shares}


def _share(hits: Iterable[bool]) -> float | None:
    hits = list(hits)
    return sum(hits) / len(hits) if hits else None
