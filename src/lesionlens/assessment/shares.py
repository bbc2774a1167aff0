"""Shares of images with intervals by lesion, and why there is sometimes none."""

from __future__ import annotations

import numpy as np

from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.metric_intervals import LEAST_LESIONS
from lesionlens.evaluation.proportions import Lesions, Ratio


def undefined(reason: str) -> Interval:
    """A metric without a value, and why."""
    return Interval(np.nan, np.nan, np.nan, "", reason)


def too_few(n_lesions: int, which: str = "") -> str:
    """Why so many lesions give no interval; empty if they do.

    >>> too_few(1, "with malignant images"), too_few(20)
    ('1 lesion with malignant images; an interval needs 20', '')
    """
    if n_lesions >= LEAST_LESIONS:
        return ""
    words = f"{n_lesions} lesion{'' if n_lesions == 1 else 's'} {which}".rstrip()
    return f"{words}; an interval needs {LEAST_LESIONS}"


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
    counts = {"count": int(ratio.hits[0]), "of": int(ratio.cases[0])}
    return _interval(ratio, f"with {name} images" if name else "", confidence, counts)


def mean_share(shares: np.ndarray, lesions: Lesions, confidence: float = 0.95) -> Interval:
    """Mean of one share in [0, 1] for each case, (N,), with an interval by lesion that is rather too wide.

    It is that of a proportion with the same mean, whose variance is the largest that shares can have.
    """
    ratio = Ratio.of(lesions.totals(shares)[:, None], lesions.totals(np.ones(len(shares)))[:, None])
    return _interval(ratio, "", confidence, {})


def _interval(ratio: Ratio, which: str, confidence: float, counts: dict[str, int]) -> Interval:
    value = float(ratio.value[0])
    if reason := too_few(int(ratio.n_lesions[0]), which):
        return Interval(value, np.nan, np.nan, "", reason, counts)
    (low,), (high,) = ratio.bounds(confidence)
    return Interval(value, float(low), float(high), "clopper-pearson" if ratio.is_extreme[0] else "wilson", "", counts)
