"""Choose the threshold of the response "not sure" on the validation split."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import bdtr

from lesionlens.bundle.decision import GUARANTEES, Decision, watched_codes
from lesionlens.core.errors import RecipeError
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.intervals import Interval, bounds, lesion_weights
from lesionlens.evaluation.proportions import Lesions, Ratio

SENSITIVITY = 0.95
SENSITIVITIES = (0.5, 0.999)
STEP = 1e-4  # thresholds are rounded down to a multiple of it; the runtimes may differ as much
RESAMPLES, CONFIDENCE = 2000, 0.95


@dataclass(frozen=True)
class Guarantee:
    """What a threshold promises about the sensitivity.

    Attributes:
        kind: `expectation`: the sensitivity for a new image is reached on average over validation splits (conformal risk
            control, Angelopoulos et al. 2024, theorem 1); a single validation split falls below in about 40 % of cases.
            `pac`: a single validation split falls below with probability `delta` at most. It counts lesions, which are
            independent, and a lesion as detected if all its images are. The rule is Wilks's (1941) tolerance limit; the
            exact test of Learn then Test (Angelopoulos et al. 2021) and Clopper and Pearson's bound are the same.
        delta: of `pac`, in (0, 1).

    Raises:
        RecipeError: if the kind is unknown or delta out of range.

    >>> [Guarantee(kind).misses(100, 0.95) for kind in ("expectation", "pac")]
    [4, 1]
    >>> [Guarantee(kind).fewest_lesions(0.95) for kind in ("expectation", "pac")]
    [19, 59]
    """

    kind: str = "expectation"
    delta: float = 0.05

    def __post_init__(self) -> None:
        if self.kind not in GUARANTEES:
            raise RecipeError(f"guarantee {self.kind!r}; it must be one of {', '.join(GUARANTEES)}")
        if not 0 < self.delta < 1:
            raise RecipeError(f"delta {self.delta} of the guarantee; it must be between 0 and 1, such as 0.05")

    @property
    def is_pac(self) -> bool:
        """Whether it holds for a single validation split, with probability 1 - delta."""
        return self.kind == "pac"

    def misses(self, count: int, sensitivity: float) -> int:
        """Most misses among `count` images (`pac`: lesions) of the validation split; -1 if not even none is enough."""
        return pac_misses(count, sensitivity, self.delta) if self.is_pac else allowed_misses(count, sensitivity)

    def fewest_lesions(self, sensitivity: float) -> int:
        """Fewest lesions that allow a threshold at all."""
        if self.is_pac:
            return math.ceil(math.log(self.delta) / math.log(sensitivity) - 1e-9)
        return minimum_lesions(sensitivity)


EXPECTATION = Guarantee()


def check_sensitivity(sensitivity: float) -> None:
    """Refuse a sensitivity out of range.

    Raises:
        RecipeError: if it is out of range.
    """
    if not SENSITIVITIES[0] <= sensitivity <= SENSITIVITIES[1]:
        raise RecipeError(f"melanoma sensitivity {sensitivity}; it must be from {SENSITIVITIES[0]} to {SENSITIVITIES[1]}")


def fit_decision(
    probabilities: np.ndarray,
    truth: np.ndarray,
    lesion_ids: np.ndarray,
    labels: LabelSet,
    sensitivity: float = SENSITIVITY,
    guarantee: Guarantee = EXPECTATION,
) -> Decision:
    """Choose the largest threshold that reaches a sensitivity for the watched diagnoses (melanoma).

    Of n watched images (`pac`: lesions, with the score of their lowest image) at most `guarantee.misses(n, sensitivity)` may
    be neither predicted as watched nor "not sure"; the threshold is that order statistic of their watched probability. What
    that says about new images from the same source, see `Guarantee`; of `expectation` it holds up to the dependence of images
    of one lesion. `validation` contains the sensitivity's interval by lesion.

    Args:
        probabilities: calibrated, of the validation split, (N, K).
        truth: true class indices, (N,).
        lesion_ids: text, (N,).
        labels: the diagnoses.
        sensitivity: the sensitivity to reach.
        guarantee: what reaching it means.

    Raises:
        RecipeError: if the sensitivity is out of range.
    """
    check_sensitivity(sensitivity)
    watched = watched_codes(labels)
    if not watched:
        return Decision((), sensitivity, None, "none of its diagnoses is malignant")
    stated = (guarantee.kind, guarantee.delta if guarantee.is_pac else None)
    unset = Decision(watched, sensitivity, threshold=0.0)
    indices = [labels.index(code) for code in watched]
    is_watched = np.isin(truth, indices)
    n_images, n_lesions = int(is_watched.sum()), len(np.unique(lesion_ids[is_watched]))
    if guarantee.misses(n_lesions, sensitivity) < 0:
        reason = (
            f"{n_lesions} lesions with {unset.name} in the validation split are too few for a sensitivity of {sensitivity:g}; "
            f"it takes {guarantee.fewest_lesions(sensitivity)}"
        )
        counts = {"split": "validation", "n_watched": n_images, "n_lesions": n_lesions}
        return Decision(watched, sensitivity, None, reason, counts, *stated)
    called = np.isin(probabilities.argmax(axis=1), indices)
    scores = np.where(called, 1.0, unset.watched_probability(probabilities, labels))[is_watched]
    if guarantee.is_pac:
        scores = lowest_by_lesion(scores, lesion_ids[is_watched])
    statistic = float(np.sort(scores)[guarantee.misses(len(scores), sensitivity)])
    decision = Decision(watched, sensitivity, round(math.floor(statistic / STEP + 1e-9) * STEP, 4))
    metrics = decision_metrics(decision, probabilities, truth, lesion_ids, labels)
    return Decision(watched, sensitivity, decision.threshold, "", {"split": "validation", **metrics}, *stated)


def lowest_by_lesion(scores: np.ndarray, lesion_ids: np.ndarray) -> np.ndarray:
    """Lowest of the scores (N,) of each lesion, (L,)."""
    names, member = np.unique(lesion_ids, return_inverse=True)
    lowest = np.full(len(names), np.inf)
    np.minimum.at(lowest, member, scores)
    return lowest


def allowed_misses(count: int, sensitivity: float) -> int:
    """Most misses among `count` images such that (misses + 1) / (count + 1) is at most 1 - sensitivity; -1 if there is none."""
    return math.floor((1 - sensitivity) * (count + 1) + 1e-9) - 1


def pac_misses(count: int, sensitivity: float, delta: float) -> int:
    """Most misses among `count` lesions such that a true sensitivity below `sensitivity` shows as few with probability `delta`.

    The largest k with P(Binomial(count, 1 - sensitivity) <= k) at most `delta`; -1 if there is none.
    """
    misses = np.arange(count)
    return int((bdtr(misses, count, 1 - sensitivity) <= delta + 1e-12).sum()) - 1


def minimum_lesions(sensitivity: float) -> int:
    """Fewest lesions that allow a threshold at all: 19 for a sensitivity of 0.95."""
    return math.ceil(1 / (1 - sensitivity) - 1e-9) - 1


def decision_metrics(
    decision: Decision, probabilities: np.ndarray, truth: np.ndarray, lesion_ids: np.ndarray, labels: LabelSet
) -> dict[str, Any]:
    """Metrics of a decision on images with known diagnoses.

    Args:
        decision: a decision with a threshold.
        probabilities: (N, K).
        truth: true class indices, (N,), some of them watched.
        lesion_ids: text, (N,).
        labels: the diagnoses.

    Returns:
        `n_images`, `n_watched`, `n_lesions` (watched ones); `sensitivity`, the share of watched
        images predicted as watched or not sure; `called`, the share predicted as watched; `not_sure`,
        the share of all images; `accuracy_answered` and `balanced_accuracy_answered` of the images that
        get a diagnosis. Each of the last five has its 95 % interval by lesion.
    """
    indices = [labels.index(code) for code in decision.watched]
    is_watched, predicted = np.isin(truth, indices), probabilities.argmax(axis=1)
    unsure = decision.unsure(probabilities, labels)
    called = np.isin(predicted, indices)
    answered, right = ~unsure, predicted == truth
    shares = {
        "sensitivity": (is_watched & (called | unsure), is_watched),
        "called": (is_watched & called, is_watched),
        "not_sure": (unsure, np.ones(len(truth), dtype=bool)),
        "accuracy_answered": (right & answered, answered),
    }
    lesions = Lesions.of(lesion_ids)
    intervals = {name: _proportion(hits, cases, lesions) for name, (hits, cases) in shares.items()}
    intervals["balanced_accuracy_answered"] = _mean_recall(right & answered, answered, truth, lesion_ids)
    counts = {"n_images": len(truth), "n_watched": int(is_watched.sum()), "n_lesions": len(np.unique(lesion_ids[is_watched]))}
    return {**counts, **intervals}


def _proportion(hits: np.ndarray, cases: np.ndarray, lesions: Lesions) -> dict[str, float | None]:
    """Share of `hits` among `cases`, both bool (N,), with its interval; None without cases."""
    ratio = Ratio.of(lesions.totals(hits[:, None]), lesions.totals(cases[:, None]))
    low, high = (float(end[0]) if cases.any() else np.nan for end in ratio.bounds(CONFIDENCE))
    return Interval(float(ratio.value[0]), low, high).to_json()


def _mean_recall(hits: np.ndarray, cases: np.ndarray, truth: np.ndarray, lesion_ids: np.ndarray) -> dict[str, float | None]:
    """Mean over diagnoses of the share of `hits` among `cases`, with its interval."""

    def mean(weights: np.ndarray) -> np.ndarray:
        return _mean(np.stack([_share(weights, hits & (truth == k), cases & (truth == k)) for k in np.unique(truth)]))

    resampled = [mean(weights) for weights in lesion_weights(lesion_ids, RESAMPLES, 0, 100)]
    low, high = bounds(np.concatenate(resampled), CONFIDENCE)
    return Interval(float(mean(np.ones((1, len(truth))))[0]), float(low), float(high)).to_json()


def _share(weights: np.ndarray, hits: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Weighted share of `hits` among `of`, (B,); NaN where `of` is empty."""
    return _divided(weights @ hits, weights @ of)


def _mean(recalls: np.ndarray) -> np.ndarray:
    """Mean of the defined values over the first axis; NaN where none is defined."""
    return _divided(np.nansum(recalls, axis=0), (~np.isnan(recalls)).sum(axis=0))


def _divided(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
