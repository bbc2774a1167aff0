"""Conformal prediction sets for lesions: diagnoses that together hold the true one with a stated probability.

Photographs of one lesion are not exchangeable with those of others, lesions are. Each validation lesion therefore has the
weight of one score, shared by its photographs (hierarchical conformal prediction, Lee, Barber & Willett 2023, section 3.1).
The set of one photograph of a new lesion from the same source then contains the true diagnosis with at least the stated
probability. This uses every photograph, where picking one for each lesion would throw the others away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlens.core.errors import DataError

SCORES = {
    "lac": "diagnoses whose probability reaches a threshold (Sadinle, Lei & Wasserman 2019); the smallest sets, may be empty",
    "aps": "the most probable diagnoses until their sum exceeds a threshold (Romano, Sesia & Candes 2020, without "
    "randomisation, the last one included); larger for doubtful images, never empty",
}
GROUPS = {"marginal": "one threshold", "class": "one threshold for each diagnosis (Mondrian; Vovk 2003)"}


def lac_scores(probabilities: np.ndarray) -> np.ndarray:
    """Nonconformity of each diagnosis, (N, K): 1 minus its probability."""
    return np.asarray(1 - probabilities)


def aps_scores(probabilities: np.ndarray) -> np.ndarray:
    """Nonconformity of each diagnosis, (N, K): the sum of the probabilities of all that are more probable.

    >>> aps_scores(np.array([[0.2, 0.5, 0.3]])).tolist()
    [[0.8, 0.0, 0.5]]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, axis=1)
    before = np.cumsum(ordered, axis=1) - ordered
    before[:, 0] = 0.0
    scores: np.ndarray = np.empty_like(before)
    np.put_along_axis(scores, order, before, axis=1)
    return scores


SCORE_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"lac": lac_scores, "aps": aps_scores}


@dataclass(frozen=True)
class ConformalSets:
    """How the set of an image is made: the diagnoses whose score is at most their threshold.

    Attributes:
        score: a key of `SCORES`.
        group: a key of `GROUPS`.
        coverage: share of new lesions whose set must contain the true diagnosis, in (0, 1).
        codes: diagnoses, in the order of the probabilities.
        thresholds: of each diagnosis; infinite where too few lesions show it, so that it is in every set.
        n_lesions: validation lesions behind each threshold.
    """

    score: str
    group: str
    coverage: float
    codes: tuple[str, ...]
    thresholds: tuple[float, ...]
    n_lesions: tuple[int, ...]

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """Which diagnoses are in the set of each image, bool (N, K), of probabilities (N, K)."""
        if probabilities.ndim != 2 or probabilities.shape[1] != len(self.codes):
            raise DataError(
                f"probabilities have shape {probabilities.shape}; these sets need (N, {len(self.codes)}): {' '.join(self.codes)}"
            )
        return np.asarray(SCORE_FUNCTIONS[self.score](probabilities) <= np.array(self.thresholds))

    @property
    def unlimited(self) -> tuple[str, ...]:
        """Diagnoses with too few validation lesions for a threshold; they are in every set."""
        return tuple(code for code, threshold in zip(self.codes, self.thresholds, strict=True) if threshold == np.inf)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form that `from_json` reads back; an infinite threshold is None."""
        thresholds = [None if threshold == np.inf else threshold for threshold in self.thresholds]
        return {**vars(self), "codes": list(self.codes), "thresholds": thresholds, "n_lesions": list(self.n_lesions)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ConformalSets:
        """Read what `to_json` wrote."""
        thresholds = tuple(np.inf if threshold is None else float(threshold) for threshold in value["thresholds"])
        lists = {"codes": tuple(value["codes"]), "thresholds": thresholds, "n_lesions": tuple(value["n_lesions"])}
        return cls(value["score"], value["group"], value["coverage"], **lists)


def fit_sets(
    probabilities: np.ndarray,
    labels: np.ndarray,
    lesion_ids: np.ndarray,
    codes: tuple[str, ...],
    coverage: float = 0.9,
    score: str = "lac",
    group: str = "marginal",
) -> ConformalSets:
    """Choose the thresholds of conformal sets on validation lesions.

    Args:
        probabilities: (N, K), of images that had no part in training or in calibrating them.
        labels: true class indices, (N,); images of a lesion share one.
        lesion_ids: text, (N,).
        codes: the K diagnoses.
        coverage: share of new lesions whose set must contain the true diagnosis, in (0, 1).
        score: a key of `SCORES`.
        group: a key of `GROUPS`; `class` gives the coverage for each diagnosis.

    Returns:
        The sets. Where `n` lesions are too few, n < coverage / (1 - coverage), the threshold is infinite.
    """
    scores = SCORE_FUNCTIONS[score](probabilities)[np.arange(len(labels)), labels]
    members = [labels == k if group == "class" else np.ones(len(labels), dtype=bool) for k in range(len(codes))]
    thresholds = [lesion_quantile(scores[rows], lesion_ids[rows], coverage) for rows in members]
    counts = [len(np.unique(lesion_ids[rows])) for rows in members]
    return ConformalSets(score, group, coverage, codes, tuple(thresholds), tuple(counts))


def lesion_quantile(scores: np.ndarray, lesion_ids: np.ndarray, coverage: float) -> float:
    """The smallest score at which the weight of lower or equal scores reaches `coverage` (L + 1) of L lesions; else infinity.

    Each lesion has weight one, shared by its images; with one image each it is the usual quantile of split conformal
    prediction (Vovk 2005; Lei 2018).

    >>> lesion_quantile(np.array([0.1, 0.2, 0.3, 0.4]), np.array(list("abcd")), 0.6)
    0.3
    """
    names, member, counts = np.unique(lesion_ids, return_inverse=True, return_counts=True)
    if not len(names):
        return float("inf")
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / counts[member][order]) >= coverage * (len(names) + 1) - 1e-9
    return float(scores[order][reached.argmax()]) if reached.any() else float("inf")
