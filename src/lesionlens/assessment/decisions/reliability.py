"""Reliability of single probabilities: bins with bands, and the intercept and slope of a logistic recalibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, logit, stdtrit

from lesionlens.assessment.decisions.cases import Cases, Target, proportions, too_few
from lesionlens.evaluation.calibration import confidence_bins
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions

BINS = 10
SMALLEST = 1e-9  # probabilities are held between it and 1 minus it before the logit
MOST_STEPS, LARGEST = 50, 100.0
STUDENT = "student"


def reliability(cases: Cases, questions: list[Target], confidence: float = 0.95) -> dict[str, dict[str, Any]]:
    """Reliability of the probability of each diagnosis and of each question, by name.

    Args:
        cases: calibrated, of the test split.
        questions: such as malignant against benign.
        confidence: level of bands and intervals, in (0, 1).

    Returns:
        `bins`: those that hold images, with `low high` edges, mean `predicted` probability, and the `observed` share with its
        band by lesion; `intercept` and `slope`, see `calibration_line`; `n` images and `n_lesions` of the diagnosis.
    """
    labels = cases.label_set
    rows = {code: Target(code, (code,)) for code in labels.codes} | {each.name: each for each in questions}
    return {name: _of_target(cases, target, confidence) for name, target in rows.items()}


def _of_target(cases: Cases, target: Target, confidence: float) -> dict[str, Any]:
    truth, scores = target.truth(cases), target.scores(cases)
    return {
        "n": int(truth.sum()),
        "n_lesions": len(np.unique(cases.lesion_ids[truth])),
        "bins": reliability_bands(truth, scores, cases.lesions, confidence),
        **{name: each.to_json() for name, each in calibration_line(truth, scores, cases.lesions, confidence).items()},
    }


def reliability_bands(
    truth: np.ndarray, scores: np.ndarray, lesions: Lesions, confidence: float = 0.95, bins: int = BINS
) -> list[dict[str, Any]]:
    """Observed share of positives beside the mean probability in bins of equal width, with confidence bands by lesion.

    Args:
        truth: which images are positive, bool (N,).
        scores: probabilities, (N,).
        lesions: of the images.
        confidence: level of each bin's band, in (0, 1).
        bins: number of bins over [0, 1].
    """
    member = np.eye(bins, dtype=bool)[confidence_bins(scores, bins)]  # (N, bins)
    observed = proportions(member & truth[:, None], member, lesions, confidence, "in this bin")
    filled = np.flatnonzero(member.any(axis=0))
    return [
        {
            "low": b / bins,
            "high": (b + 1) / bins,
            "n": int(member[:, b].sum()),
            "predicted": float(scores[member[:, b]].mean()),
            "observed": observed[b].to_json(),
        }
        for b in filled
    ]


def calibration_line(truth: np.ndarray, scores: np.ndarray, lesions: Lesions, confidence: float = 0.95) -> dict[str, Interval]:
    """Intercept and slope of a logistic regression on the logit of the probability (Cox 1958; Van Calster 2019).

    The slope is 1 for calibrated probabilities, below 1 for extreme ones. The intercept, estimated with the slope held at 1
    (calibration in the large), is 0; above 0 the probabilities are too low. Intervals are Student's, with a variance by lesion
    (sandwich).

    Args:
        truth: which images are positive, bool (N,).
        scores: probabilities, (N,).
        lesions: of the images.
        confidence: level, in (0, 1).

    Returns:
        `intercept` and `slope`, with a reason where there is none.
    """
    x = logit(np.clip(scores, SMALLEST, 1 - SMALLEST))
    n_lesions = int(min((lesions.totals(side) > 0).sum() for side in (truth, ~truth)))
    if not n_lesions:
        none = Interval(np.nan, np.nan, np.nan, "", f"no {'positive' if not truth.any() else 'other'} images")
        return {"intercept": none, "slope": none}
    ones = np.ones((len(x), 1))
    lines = {"intercept": (ones, x), "slope": (np.hstack([ones, x[:, None]]), np.zeros(len(x)))}
    reason = too_few(n_lesions, "of the rarer side")
    fitted = {name: logistic(design, offset, truth, lesions) for name, (design, offset) in lines.items()}
    return {name: _last_coefficient(each, len(lesions), confidence, reason) for name, each in fitted.items()}


def _last_coefficient(fitted: tuple[np.ndarray, np.ndarray] | None, n_lesions: int, confidence: float, reason: str) -> Interval:
    if fitted is None:
        return Interval(np.nan, np.nan, np.nan, "", "the probabilities separate the two sides completely")
    value, error = float(fitted[0][-1]), float(fitted[1][-1])
    if reason:
        return Interval(value, np.nan, np.nan, "", reason)
    half = float(stdtrit(n_lesions - 1, (1 + confidence) / 2)) * error
    return Interval(value, value - half, value + half, STUDENT)


def logistic(design: np.ndarray, offset: np.ndarray, truth: np.ndarray, lesions: Lesions) -> tuple[np.ndarray, np.ndarray] | None:
    """Logistic regression with standard errors by lesion.

    Args:
        design: (N, P).
        offset: added to the linear predictor, (N,).
        truth: bool (N,).
        lesions: of the N cases.

    Returns:
        Coefficients and their standard errors, (P,) each; None if there are no finite ones.
    """
    coefficients = np.zeros(design.shape[1])
    for _ in range(MOST_STEPS):
        p = expit(design @ coefficients + offset)
        curvature = design.T @ (design * (p * (1 - p))[:, None])
        if np.linalg.cond(curvature) > 1e12:
            return None
        step = np.linalg.solve(curvature, design.T @ (truth - p))
        coefficients = coefficients + step
        if np.abs(coefficients).max() > LARGEST:
            return None
        if np.abs(step).max() < 1e-10:
            break
    totals = lesions.totals(design * (truth - p)[:, None])
    inverse = np.linalg.inv(curvature)
    covariance = inverse @ (totals.T @ totals) @ inverse * len(lesions) / max(1, len(lesions) - 1)
    return coefficients, np.sqrt(np.diagonal(covariance))
