"""Score every subgroup of predicted images, and name the largest gaps between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.subgroups.attributes import Attribute, attributes_of
from lesionlens.assessment.subgroups.gaps import METHOD, gaps_between
from lesionlens.assessment.subgroups.group_metrics import METRICS, Cases, group_metrics
from lesionlens.assessment.subgroups.image_measures import measure_images
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, select
from lesionlens.data.store import Store
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.multiplicity import holm
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.ratio_intervals import LEAST_LESIONS

FORMAT = 1
USUAL = Resampling()


def assess_subgroups(
    predictions: Predictions,
    index: Index | None = None,
    store: Store | None = None,
    spec: InputSpec | None = None,
    resampling: Resampling = USUAL,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Metrics by subgroup.

    Args:
        predictions: of one split.
        index: of the same images; None leaves out what it alone knows.
        store: pixels of the same images, for lesion size and skin tone; None leaves both out.
        spec: how these pixels were prepared; needed with `store`.
        resampling: level of the intervals, and seed of the draws for the calibration error.
        progress: called with the number of images measured.

    Returns:
        JSON-ready. `attributes` holds for each attribute its `groups` with `metrics`, and `gaps` by metric; a group of fewer
        than `least_lesions` lesions has counts and a reason. The p of the primary metric is corrected over the attributes.

    Raises:
        DataError: if the index does not hold a predicted image.
        ArtifactError: if the store does not.
    """
    records, measures = None, None
    if index is not None:
        records = select(index, predictions.image_ids.tolist())
        if store is not None and spec is not None:
            measures = measure_images(index, records, store, spec, progress)
    cases, confidence, seed = Cases.of(predictions), resampling.confidence, resampling.seed
    primary = "auc_malignant" if predictions.label_set.has_malignant else "balanced_accuracy"
    attributes = [_scored(attribute, cases, confidence, seed) for attribute in attributes_of(predictions, records, measures)]
    _correct(attributes, primary)
    return {
        "format": FORMAT,
        "made_from": dict(predictions.origin.hashes),
        "split": predictions.split,
        "n_images": len(cases),
        "n_lesions": cases.n_lesions,
        "labels": predictions.label_set.to_json(),
        "confidence": confidence,
        "least_lesions": LEAST_LESIONS,
        "metrics": METRICS,
        "primary": primary,
        "gap_method": METHOD,
        "overall": _json(group_metrics(cases, confidence, seed)),
        "attributes": attributes,
    }


def _scored(attribute: Attribute, cases: Cases, confidence: float, seed: int) -> dict[str, Any]:
    """One attribute with its groups and gaps."""
    facts = {
        "name": attribute.name,
        "title": attribute.title,
        "definition": attribute.definition,
        "estimate": attribute.is_estimate,
        "reason": attribute.reason,
        "notes": list(attribute.notes),
    }
    if attribute.reason:
        return {**facts, "groups": [], "gaps": {}, "n_unknown": len(cases)}
    members = {name: cases.take(attribute.values == name) for name in attribute.order if (attribute.values == name).any()}
    scored = {name: group for name, group in members.items() if group.n_lesions >= LEAST_LESIONS}
    intervals = {name: group_metrics(group, confidence, seed) for name, group in scored.items()}
    return {
        **facts,
        "n_unknown": int((attribute.values == "").sum()),
        "n_lesions_in_several_groups": _straddling(attribute.values, cases.lesion_ids),
        "groups": [_group(name, group, intervals.get(name)) for name, group in members.items()],
        "gaps": {
            metric: None if gaps is None else gaps.to_json() for metric, gaps in gaps_between(scored, confidence, seed).items()
        },
    }


def _group(name: str, cases: Cases, intervals: Mapping[str, Interval] | None) -> dict[str, Any]:
    malignant = np.array(cases.label_set.malignant)[cases.labels]
    counts = {
        "group": name,
        "n_images": len(cases),
        "n_lesions": cases.n_lesions,
        "n_malignant": int(malignant.sum()),
        "n_classes": len(np.unique(cases.labels)),
    }
    if intervals is None:
        lesions = f"{cases.n_lesions} lesion{'' if cases.n_lesions == 1 else 's'}"
        return {**counts, "scored": False, "reason": f"{lesions}; a score needs {LEAST_LESIONS}", "metrics": {}}
    return {**counts, "scored": True, "reason": "", "metrics": _json(intervals)}


def _json(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: interval.to_json() for name, interval in intervals.items()}


def _straddling(values: np.ndarray, lesion_ids: np.ndarray) -> int:
    """Lesions with photographs in more than one group."""
    known = values != ""
    pairs = np.unique(np.stack([lesion_ids[known], values[known]]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum()) if pairs.size else 0


def _correct(attributes: list[dict[str, Any]], primary: str) -> None:
    """Add the p of the primary metric, corrected over the attributes by Holm, as `p_holm`."""
    tested = [gap for each in attributes if (gap := each["gaps"].get(primary)) is not None]
    for gap, p in zip(tested, holm([gap["p"] for gap in tested]), strict=True):
        gap["p_holm"] = p
