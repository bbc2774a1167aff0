"""Probabilities for a clinic whose diagnoses come in other shares than those of the images."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import Cases
from lesionlens.assessment.decisions.settings import Resampling
from lesionlens.evaluation.calibration import log_softmax
from lesionlens.evaluation.intervals import CHUNK_ELEMENTS, Interval, bounds, lesion_weights

EXPLANATION = (
    "Each calibrated probability is multiplied by the prevalence of its diagnosis in the clinic over that in the validation "
    "split, and all are divided by their sum (Saerens et al. 2002, equation 2.4, with a known prior). It assumes that images of "
    "one diagnosis look the same in the clinic as here and only their shares differ."
)


def class_shares(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Share of each class among `labels` (N,), (K,)."""
    return np.asarray(np.bincount(labels, minlength=n_classes) / len(labels))


def correct_prior(probabilities: np.ndarray, prior: np.ndarray, prevalence: np.ndarray) -> np.ndarray:
    """Probabilities under another prevalence (Saerens et al. 2002, equation 2.4).

    Args:
        probabilities: (N, K), calibrated for images with shares `prior`.
        prior: share of each class there, (K,), above 0 wherever `prevalence` is.
        prevalence: share of each class at the clinic, (K,).

    >>> correct_prior(np.array([[0.5, 0.5]]), np.array([0.5, 0.5]), np.array([0.1, 0.9])).round(3).tolist()
    [[0.1, 0.9]]
    """
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities) + np.log(np.divide(prevalence, prior, out=np.zeros(len(prior)), where=prior > 0))
    return np.asarray(np.exp(log_softmax(np.maximum(logs, -1e9))))


def clinic_weights(labels: np.ndarray, prevalence: np.ndarray) -> np.ndarray:
    """Weight of each image, (N,), that gives the classes the shares of a clinic, with mean 1 over the classes that occur.

    Classes without images in `labels` (N,) are missing in the weighted sample.
    """
    shares = class_shares(labels, len(prevalence))
    return np.asarray((np.divide(prevalence, shares, out=np.zeros(len(shares)), where=shares > 0))[labels])


def prior_correction(
    before: Cases, after: Cases, prior: np.ndarray, prevalence: np.ndarray, resampling: Resampling
) -> dict[str, Any]:
    """What the correction does, on the test split weighted to the clinic's prevalence.

    Args:
        before: calibrated test probabilities.
        after: the same, corrected.
        prior: shares of the diagnoses in the validation split, (K,).
        prevalence: at the clinic, (K,).
        resampling: of the interval.

    Returns:
        By code the `prior`, the `prevalence`, and the mean probability `before` and `after`; negative log-likelihood `nll` before
        and after and its `difference` with an interval (below 0: the correction helps); `explanation`.
    """
    weights = clinic_weights(before.labels, prevalence)
    codes = before.label_set.codes
    means = [np.average(each.probabilities, axis=0, weights=weights) for each in (before, after)]
    rows = {
        code: {"prior": float(a), "prevalence": float(b), "before": float(c), "after": float(d)}
        for code, a, b, c, d in zip(codes, prior, prevalence, *means, strict=True)
    }
    rows_of_truth = np.arange(len(before)), before.labels
    with np.errstate(divide="ignore"):
        losses = np.stack([-np.log(np.maximum(each.probabilities[rows_of_truth], 1e-300)) for each in (before, after)], axis=1)
    counted = weights > 0  # a diagnosis that the clinic does not see has no weight, and a loss without bound
    losses[~counted] = 0
    values = np.hstack([losses, losses[:, 1:] - losses[:, :1]])
    nll_before, nll_after, difference = weighted_means(values, weights, before, resampling)
    return {
        "explanation": EXPLANATION,
        "diagnoses": rows,
        "absent": [code for code, a in zip(codes, class_shares(before.labels, len(codes)), strict=True) if not a],
        "nll": {"before": nll_before.to_json(), "after": nll_after.to_json(), "difference": difference.to_json()},
    }


def weighted_means(values: np.ndarray, weights: np.ndarray, cases: Cases, resampling: Resampling) -> list[Interval]:
    """Weighted means over images with percentile intervals over resamples of lesions.

    Args:
        values: (N, M), one column for each mean.
        weights: of the images, (N,).
        cases: whose images they are.
        resampling: how many resamples.

    Returns:
        M intervals.
    """
    terms = np.hstack([values * weights[:, None], weights[:, None]])
    totals = cases.lesions.totals(terms)  # (L, M + 1)
    n_lesions = len(totals)
    chunks = [
        drawn @ totals
        for drawn in lesion_weights(
            np.arange(n_lesions), resampling.resamples, resampling.seed, max(1, CHUNK_ELEMENTS // n_lesions)
        )
    ]
    sums = np.concatenate(chunks)
    undefined = np.full(sums[:, :-1].shape, np.nan)  # where a resample has none of the weighted lesions
    means = np.divide(sums[:, :-1], sums[:, -1:], out=undefined, where=sums[:, -1:] > 0)
    low, high = bounds(means, resampling.confidence)
    points = terms[:, :-1].sum(axis=0) / weights.sum()
    return [
        Interval(float(value), float(a), float(b), "bootstrap-percentile") for value, a, b in zip(points, low, high, strict=True)
    ]
