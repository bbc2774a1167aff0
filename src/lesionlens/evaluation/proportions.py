"""Intervals of proportions and ratios of counts whose cases come in lesions.

Images of one lesion resemble each other, so n images are worth fewer independent ones. The variance of a ratio of
lesion totals (Cochran 1977, equation 6.13) gives the design effect, and with it the effective number of cases n / deff
that enters the interval of Wilson (1927) or of Clopper & Pearson (1934), as in Korn & Graubard (1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import betaincinv, stdtrit

from lesionlens.core.wilson import wilson

__all__ = ["LEAST_FREEDOM", "Lesions", "Ratio", "clopper_pearson", "wilson"]

LEAST_FREEDOM = 6  # below 7 lesions the design effect is little known, and Student's quantile would take over


@dataclass(frozen=True, eq=False)
class Lesions:
    """Images grouped by lesion, sorted once.

    Attributes:
        order: rows of the images, those of one lesion side by side, (N,).
        starts: where each lesion starts in `order`, (L,).
    """

    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, lesion_ids: np.ndarray) -> Lesions:
        """Group images by `lesion_ids` (N,)."""
        _, member = np.unique(lesion_ids, return_inverse=True)
        order = np.argsort(member, kind="stable")
        return cls(order, np.flatnonzero(np.diff(member[order], prepend=-1)))

    def __len__(self) -> int:
        return len(self.starts)

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Sums of `values` (N,) or (N, M) over the images of each lesion, (L,) or (L, M)."""
        return np.asarray(np.add.reduceat(values[self.order].astype(np.float64), self.starts, axis=0))


@dataclass(frozen=True, eq=False)
class Ratio:
    """Ratios of lesion totals; shapes (M,) unless said otherwise.

    Attributes:
        value: hits divided by cases; NaN without cases.
        hits: sum of the numerators.
        cases: sum of the denominators.
        n_lesions: lesions with cases.
        effective: number of independent cases that would vary as much, cases / deff.
        influence: what each lesion adds to the deviation of the ratio from its mean, (L, M).
    """

    value: np.ndarray
    hits: np.ndarray
    cases: np.ndarray
    n_lesions: np.ndarray
    effective: np.ndarray
    influence: np.ndarray

    @classmethod
    def of(cls, hits: np.ndarray, cases: np.ndarray) -> Ratio:
        """Ratios of totals.

        The design effect is held between 1 and that of lesions whose images are all alike (Kish 1965). The latter is taken
        where every case is a hit or none is, so that the data do not show the design effect.

        Args:
            hits: of each lesion, (L, M).
            cases: of each lesion, (L, M), each at least as large as its hits.
        """
        n_hits, n, n_lesions = hits.sum(0), cases.sum(0), (cases > 0).sum(0)
        value = np.divide(n_hits, n, out=np.full(len(n), np.nan), where=n > 0)
        residuals = hits - np.nan_to_num(value) * cases
        spread = n * np.nan_to_num(value) * (1 - np.nan_to_num(value))
        alike = np.square(cases).sum(0) / np.maximum(n, 1)
        shown = (spread > 0) & (n_lesions > 1)
        squares = np.square(residuals).sum(0) * n_lesions
        deff = np.divide(squares, spread * (n_lesions - 1), out=alike.copy(), where=shown)
        effective = n / np.clip(deff, 1, np.maximum(alike, 1))
        return cls(value, n_hits, n, n_lesions, effective, residuals / np.maximum(n, 1))

    @property
    def is_extreme(self) -> np.ndarray:
        """Whether every case is a hit, or none is."""
        return np.asarray((self.hits == 0) | (self.hits == self.cases))

    def bounds(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Wilson's interval with the effective number of cases; Clopper and Pearson's where a ratio is 0 or 1.

        As the design effect is estimated, Wilson's takes Student's quantile (Korn & Graubard 1998), with one degree of
        freedom less than lesions and never below `LEAST_FREEDOM`. Without cases the interval is [0, 1].

        Args:
            confidence: level, in (0, 1).

        Returns:
            Lower and upper bounds, (M,).
        """
        n = np.where(self.cases > 0, self.effective, 1.0)
        value = np.where(self.cases > 0, np.nan_to_num(self.value), 0.0)
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        t = stdtrit(np.maximum(self.n_lesions - 1, LEAST_FREEDOM), (1 + confidence) / 2)
        exact, score = clopper_pearson(value, n, confidence), wilson(value, n * (z / t) ** 2, confidence)
        low, high = (np.where(self.is_extreme, *pair) for pair in zip(exact, score, strict=True))
        return np.where(self.cases > 0, low, 0.0), np.where(self.cases > 0, high, 1.0)


def clopper_pearson(value: np.ndarray, n: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval of Clopper & Pearson (1934) for proportions of `n` cases, which may be a fraction.

    See `core.wilson.wilson` for the arguments.

    >>> [round(float(end), 3) for end in clopper_pearson(np.array(1.0), np.array(12))]
    [0.735, 1.0]
    """
    tail = (1 - confidence) / 2
    hits = np.asarray(value * n)
    misses = np.asarray(n - hits)
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-300), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1e-300), 1 - tail), 1.0)
    return low, high
