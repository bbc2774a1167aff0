"""What fixed conformal sets cover: on the test split, on another data set, or after a shift."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import proportions
from lesionlens.assessment.decisions.conformal import ConformalSets
from lesionlens.core.errors import DataError
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions, Ratio
from lesionlens.evaluation.ratio_intervals import ratio_intervals, too_few


def evaluate_sets(
    sets: ConformalSets, probabilities: np.ndarray, labels: np.ndarray, lesion_ids: np.ndarray, confidence: float = 0.95
) -> dict[str, Any]:
    """Coverage and size of fixed sets on images with known diagnoses, overall and for each diagnosis.

    The images may come from anywhere; the promise of the sets is about lesions from the source of their validation split, and
    this shows what is left of it elsewhere.

    Args:
        sets: with thresholds, from `fit_sets` or `ConformalSets.from_json`.
        probabilities: of the same diagnoses in the same order, calibrated as those that the sets were fitted on, (N, K).
        labels: true class indices, (N,), each in [0, K).
        lesion_ids: text, (N,).
        confidence: level of the intervals by lesion, in (0, 1).

    Returns:
        `coverage`: mean over lesions of the share of their images whose set contains the true diagnosis, with an interval;
        `per_class`: for each diagnosis of `labels` `n_images`, `n_lesions` and the coverage of its lesions; `size`: the mean, and
        `sizes`: the number of images by size of their set; `empty` and `single`: shares of images; `n_images`, `n_lesions`.

    Raises:
        DataError: if shapes do not match, or there are no images.
    """
    if not len(labels) or len(labels) != len(probabilities) or len(labels) != len(lesion_ids):
        raise DataError(
            f"{len(probabilities)} probabilities, {len(labels)} labels and {len(lesion_ids)} lesion ids; "
            "conformal sets need one of each for every image, and at least one image"
        )
    chosen = sets.sets(probabilities)
    covered, sizes, lesions = chosen[np.arange(len(labels)), labels], chosen.sum(axis=1), Lesions.of(lesion_ids)
    everybody = np.ones((len(labels), 1), dtype=bool)
    shares = np.stack([sizes == 0, sizes == 1], axis=1)
    empty, single = proportions(shares, everybody, lesions, confidence)
    return {
        "n_images": len(labels),
        "n_lesions": len(lesions),
        "coverage": lesion_coverage(covered, lesion_ids, confidence).to_json(),
        "per_class": {
            code: _of_class(covered, labels == k, lesion_ids, confidence)
            for k, code in enumerate(sets.codes)
            if (labels == k).any()
        },
        "size": float(sizes.mean()),
        "sizes": np.bincount(sizes, minlength=len(sets.codes) + 1).tolist(),
        "empty": empty.to_json(),
        "single": single.to_json(),
    }


def _of_class(covered: np.ndarray, rows: np.ndarray, lesion_ids: np.ndarray, confidence: float) -> dict[str, Any]:
    coverage = lesion_coverage(covered[rows], lesion_ids[rows], confidence)
    return {"n_images": int(rows.sum()), "n_lesions": len(np.unique(lesion_ids[rows])), "coverage": coverage.to_json()}


def lesion_coverage(covered: np.ndarray, lesion_ids: np.ndarray, confidence: float = 0.95) -> Interval:
    """Mean over lesions of the share of their images that are covered, bool (N,), with an interval; see `proportions`."""
    lesions = Lesions.of(lesion_ids)
    totals = lesions.totals(np.stack([covered, np.ones(len(covered))], axis=1))
    shares = totals[:, 0] / totals[:, 1]
    one_each = Lesions.of(np.arange(len(lesions)))
    ratio = Ratio.of(one_each.totals(shares[:, None]), np.ones((len(lesions), 1)))
    return ratio_intervals(ratio, confidence, [too_few(len(lesions))], has_counts=False)[0]
