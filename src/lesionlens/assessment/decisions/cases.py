"""Predictions of one split as decisions see them, and the two questions that are asked of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.diagnoses import is_melanoma
from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions, Ratio
from lesionlens.evaluation.ratio_intervals import ratio_intervals
from lesionlens.evaluation.ratio_intervals import too_few as lesions_lacking


@dataclass(frozen=True, eq=False)
class Cases:
    """Probabilities and truth of N images of one split.

    Attributes:
        probabilities: calibrated, (N, K).
        labels: true class indices, (N,).
        lesion_ids: text, (N,).
        label_set: the K diagnoses.
        lesions: the images grouped by lesion.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    lesion_ids: np.ndarray
    label_set: LabelSet
    lesions: Lesions

    @classmethod
    def of(cls, probabilities: np.ndarray, labels: np.ndarray, lesion_ids: np.ndarray, label_set: LabelSet) -> Cases:
        """Group images by lesion; see the attributes for the arguments."""
        return cls(probabilities, labels, lesion_ids, label_set, Lesions.of(lesion_ids))

    def __len__(self) -> int:
        return len(self.labels)

    def lesions_per_class(self) -> np.ndarray:
        """Number of lesions of each diagnosis, (K,)."""
        return lesions_per_class(self.labels, self.lesion_ids, len(self.label_set))


@dataclass(frozen=True)
class Target:
    """A yes-or-no question: is the lesion one of some diagnoses?

    Attributes:
        name: `melanoma` or `malignant`.
        codes: the diagnoses that mean yes.
    """

    name: str
    codes: tuple[str, ...]

    def truth(self, cases: Cases) -> np.ndarray:
        """Which images are positive, bool (N,)."""
        return np.isin(cases.labels, self._indices(cases.label_set))

    def scores(self, cases: Cases) -> np.ndarray:
        """Probability that an image is positive, (N,)."""
        return np.asarray(cases.probabilities[:, self._indices(cases.label_set)].sum(axis=1))

    def _indices(self, labels: LabelSet) -> list[int]:
        return [labels.index(code) for code in self.codes]


def targets(labels: LabelSet) -> dict[str, Target | str]:
    """The questions `melanoma` and `malignant` for a label set, each with a reason in words where it cannot be asked.

    >>> from lesionlens.core.labels import HAM10000, PH2
    >>> targets(HAM10000)["malignant"].codes
    ('akiec', 'bcc', 'mel')
    >>> targets(PH2)["malignant"]
    'melanoma is the only malignant diagnosis; see melanoma'
    """
    melanoma = tuple(d.code for d in labels.diagnoses if is_melanoma(d))
    malignant = tuple(d.code for d in labels.diagnoses if d.malignant)
    questions: dict[str, Target | str] = {"melanoma": Target("melanoma", melanoma), "malignant": Target("malignant", malignant)}
    if not melanoma:
        questions["melanoma"] = f"none of the diagnoses is melanoma: {', '.join(labels.codes)}"
    if not malignant:
        questions["malignant"] = f"none of the diagnoses is malignant: {', '.join(labels.codes)}"
    elif len(malignant) == len(labels):
        questions["malignant"] = f"every diagnosis is malignant: {', '.join(labels.codes)}"
    elif malignant == melanoma:
        questions["malignant"] = "melanoma is the only malignant diagnosis; see melanoma"
    return questions


def lesions_per_class(labels: np.ndarray, lesion_ids: np.ndarray, n_classes: int) -> np.ndarray:
    """Number of lesions with images of each class, (K,), of labels (N,) and lesion ids (N,)."""
    return np.array([len(np.unique(lesion_ids[labels == k])) for k in range(n_classes)])


def proportions(hits: np.ndarray, cases: np.ndarray, lesions: Lesions, confidence: float, what: str = "") -> list[Interval]:
    """Shares of `hits` among `cases` with intervals by lesion; see `evaluation.proportions`.

    Args:
        hits: bool (N, M), one column for each share.
        cases: bool (N, M) or (N, 1), true wherever `hits` are.
        lesions: of the N images.
        confidence: level, in (0, 1).
        what: whose lesions they are, for the reason of an interval that is not given.

    Returns:
        M intervals with `count` and `of`; no bounds but a reason below `LEAST_LESIONS` lesions.
    """
    ratio = Ratio.of(lesions.totals(hits), lesions.totals(np.broadcast_to(cases, hits.shape)))
    reasons = [too_few(int(n_lesions), what) for n_lesions in ratio.n_lesions]
    return list(ratio_intervals(ratio, confidence, reasons))


def too_few(n_lesions: int, what: str = "") -> str:
    """Why there is no interval; empty if there are enough lesions.

    >>> too_few(3, "melanoma"), too_few(20)
    ('3 lesions (melanoma); an interval needs 20', '')
    """
    return lesions_lacking(n_lesions, f"({what})" if what else "")


def without_bounds(interval: Interval, reason: str) -> Interval:
    """The same interval; its value and the reason alone, if there is a reason."""
    return Interval(interval.value, np.nan, np.nan, "", reason) if reason else interval


def missing(reason: str) -> dict[str, str]:
    """What stands in place of a result that cannot be computed."""
    return {"reason": reason}
