"""Shares of images with intervals by lesion, and why there is sometimes none."""

from __future__ import annotations

import numpy as np

from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions, Ratio
from lesionlens.evaluation.ratio_intervals import ratio_intervals, too_few


def undefined(reason: str) -> Interval:
    """A metric without a value, and why."""
    return Interval(np.nan, np.nan, np.nan, "", reason)


def proportion(hits: np.ndarray, of: np.ndarray, lesions: Lesions, name: str = "", confidence: float = 0.95) -> Interval:
    """Share of hits among cases with its interval by lesion; a count and no interval below `LEAST_LESIONS` lesions.

    Args:
        hits: which images are hits, bool (N,); only those in `of` count.
        of: which images count, bool (N,).
        lesions: lesions of the images.
        name: of the cases, for the reason.
        confidence: level, in (0, 1).
    """
    ratio = Ratio.of(lesions.totals(hits & of)[:, None], lesions.totals(of)[:, None])
    if not ratio.cases[0]:
        return undefined(f"no {name or 'such'} images")
    reason = too_few(int(ratio.n_lesions[0]), f"with {name} images" if name else "")
    return ratio_intervals(ratio, confidence, [reason])[0]


def mean_share(shares: np.ndarray, lesions: Lesions, confidence: float = 0.95) -> Interval:
    """Mean of one share in [0, 1] for each case, (N,), with an interval by lesion that is rather too wide.

    It is that of a proportion with the same mean, whose variance is the largest that shares can have.
    """
    ratio = Ratio.of(lesions.totals(shares)[:, None], lesions.totals(np.ones(len(shares)))[:, None])
    return ratio_intervals(ratio, confidence, [too_few(int(ratio.n_lesions[0]))], has_counts=False)[0]
