"""Every metric with the interval that suits it; `benchmarks/coverage.py` measures what the intervals cover.

| metric | interval |
|---|---|
| accuracy, recall, precision, specificity, F1 | `wilson`, or `clopper-pearson` where the value is 0 or 1 |
| AUC of a class, macro AUC | `delong-logit` |
| macro precision, recall (balanced accuracy), specificity, F1 | `mover` |
| ECE | `normal-inversion` |
| Brier score, negative log-likelihood | `bootstrap-t` |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lesionlens.core.errors import DataError
from lesionlens.evaluation.calibration_error import calibration_error
from lesionlens.evaluation.delong import ClusteredAuc, clustered_auc, correlations, mean_auc_bounds
from lesionlens.evaluation.intervals import Interval, bootstrap_t
from lesionlens.evaluation.proportions import Lesions, Ratio
from lesionlens.evaluation.ratio_intervals import interval_or_reason, ratio_intervals, too_few
from lesionlens.evaluation.weighted_metrics import WeightedMetrics

METHODS = {
    "wilson": "Wilson's score interval with the effective number of cases, from the variance between lesions, and Student's "
    "quantile (Korn & Graubard 1998)",
    "clopper-pearson": "exact interval of Clopper and Pearson with the effective number of cases, where all cases or none "
    "are hits",
    "delong-logit": "DeLong's variance for lesions (Obuchowski 1997), drawn towards Hanley and McNeil's by the weight of "
    "three lesions, on the logit scale",
    "mover": "from the intervals of the diagnoses and the correlations between them (MOVER, Zou & Donner 2008)",
    "normal-inversion": "the errors under which the plain ECE is not extreme, by a normal approximation of the errors of the "
    "bins with the covariance of lesions; the value is their median (debiased as in Kumar, Liang & Ma 2019)",
    "bootstrap-t": "studentised bootstrap over lesions, on the log scale (Davison & Hinkley 1997, section 5.2)",
    "identical": "both networks give the same logits for every image",
    "mover-paired": "from the intervals of both networks and the correlation of their errors over resamples of lesions "
    "(MOVER, Zou & Donner 2008)",
}
RATIOS = ("precision", "recall", "specificity", "f1")


def metric_intervals(
    cases: WeightedMetrics, lesion_ids: np.ndarray, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> dict[str, tuple[Interval, ...]]:
    """Every metric with its interval: one for an overall metric, K for a per-class metric.

    The value of `ece` is the debiased one. A metric that rests on fewer than `LEAST_LESIONS` lesions (of its diagnosis; of
    other diagnoses for AUC and specificity as well) has no interval but a reason, and counts where it is a proportion.

    Args:
        cases: the predictions.
        lesion_ids: lesion of each image, (N,).
        resamples: of the bootstrap, for Brier score and likelihood.
        confidence: level, in (0, 1).
        seed: of the resamples.

    Raises:
        DataError: if the numbers of images differ.
    """
    if len(cases) != len(lesion_ids):
        raise DataError(f"{len(cases)} predictions for {len(lesion_ids)} lesion ids; there must be one for each image")
    sample = _Sample(cases, Lesions.of(lesion_ids), confidence)
    points = {name: value.reshape(-1) for name, value in cases.metrics().items()}
    ratios = sample.ratios()
    aucs = [clustered_auc(ranking, sample.lesions) for ranking in cases.rankings]
    found = {name: sample.of_classes(points[name], ratio, has_counts=name != "f1") for name, ratio in ratios.items()}
    found["auc"] = sample.of_aucs(aucs)
    for name, ratio in ratios.items():
        found[f"macro_{name}"] = sample.of_mean(float(points[f"macro_{name}"][0]), points[name], ratio)
    found["balanced_accuracy"] = found["macro_recall"]
    found["macro_auc"] = sample.of_mean_auc(float(points["macro_auc"][0]), aucs)
    found["accuracy"] = sample.of_accuracy()
    found["ece"] = sample.of_calibration_error(seed)
    for name, values in (("brier", cases.brier), ("nll", cases.nll)):
        low, high = bootstrap_t(values, sample.lesions, resamples, confidence, seed)
        found[name] = (sample.overall(float(points[name][0]), low, high, "bootstrap-t"),)
    return {name: found[name] for name in points}


class _Sample:
    """Predictions grouped by lesion, and the intervals of their metrics."""

    def __init__(self, cases: WeightedMetrics, lesions: Lesions, confidence: float) -> None:
        self.cases, self.lesions, self.confidence = cases, lesions, confidence
        true, predicted = np.divmod(cases.cells, cases.n_classes)
        self.true, self.predicted = np.eye(cases.n_classes)[true], np.eye(cases.n_classes)[predicted]  # (N, K)
        self.hit = self.true * self.predicted
        self.n_lesions = (lesions.totals(self.true) > 0).sum(0)
        self.n_others = (lesions.totals(1 - self.true) > 0).sum(0)

    def ratios(self) -> dict[str, Ratio]:
        """Per-class metrics that are ratios of counts; F1 is 2 TP of 2 TP + FP + FN."""
        terms = {
            "precision": (self.hit, self.predicted),
            "recall": (self.hit, self.true),
            "specificity": ((1 - self.true) * (1 - self.predicted), 1 - self.true),
            "f1": (2 * self.hit, self.true + self.predicted),
        }
        return {name: Ratio.of(self.lesions.totals(hits), self.lesions.totals(of)) for name, (hits, of) in terms.items()}

    def of_classes(self, values: np.ndarray, ratio: Ratio, has_counts: bool) -> tuple[Interval, ...]:
        """Intervals of one ratio, for each class."""
        reasons = [self._reason(c) or ("" if cases else "never predicted") for c, cases in enumerate(ratio.cases)]
        return ratio_intervals(ratio, self.confidence, reasons, values, has_counts)

    def of_aucs(self, aucs: Sequence[ClusteredAuc]) -> tuple[Interval, ...]:
        """Intervals of the AUC of each class."""
        return tuple(
            interval_or_reason(
                auc.value, auc.bounds(self.confidence), "delong-logit", self._reason(c) or self._reason_of_others(c)
            )
            for c, auc in enumerate(aucs)
        )

    def of_mean(self, value: float, values: np.ndarray, ratio: Ratio) -> tuple[Interval, ...]:
        """Interval of the mean of a ratio over the classes that have cases."""
        counted = (self.n_lesions > 0) & ~np.isnan(values)
        if not counted.any():
            return (self.overall(value, np.nan, np.nan, "mover"),)
        low, high = (bound[counted] for bound in ratio.bounds(self.confidence))
        correlation = correlations(ratio.influence.T[counted])
        below, above = values[counted] - low, high - values[counted]
        half = [float(np.sqrt(max(0.0, each @ correlation @ each))) / counted.sum() for each in (below, above)]
        return (self.overall(value, max(0.0, value - half[0]), min(1.0, value + half[1]), "mover"),)

    def of_mean_auc(self, value: float, aucs: Sequence[ClusteredAuc]) -> tuple[Interval, ...]:
        """Interval of the mean AUC over the classes that have one."""
        defined = [auc for auc in aucs if not np.isnan(auc.value)]
        low, high = mean_auc_bounds(defined, self.confidence) if defined else (np.nan, np.nan)
        return (self.overall(value, low, high, "delong-logit"),)

    def of_accuracy(self) -> tuple[Interval, ...]:
        """Interval of the accuracy, with its count."""
        right = self.hit.sum(1, keepdims=True)
        ratio = Ratio.of(self.lesions.totals(right), self.lesions.totals(np.ones_like(right)))
        return ratio_intervals(ratio, self.confidence, [self._reason_overall()])

    def of_calibration_error(self, seed: int) -> tuple[Interval, ...]:
        """Debiased calibration error, beside the plain one (`plain`) and the p of the test of calibration (`p`)."""
        error = calibration_error(self.cases, self.lesions, self.confidence, seed)
        details = {"plain": error.plain, "p": None if np.isnan(error.p) else error.p}
        return (interval_or_reason(error.value, (error.low, error.high), "normal-inversion", self._reason_overall(), details),)

    def overall(self, value: float, low: float, high: float, method: str) -> Interval:
        """An interval of a metric of all classes."""
        return interval_or_reason(value, (low, high), method, self._reason_overall())

    def _reason(self, c: int) -> str:
        return too_few(int(self.n_lesions[c]), "of this diagnosis") if self.n_lesions[c] else "no images of this diagnosis"

    def _reason_of_others(self, c: int) -> str:
        return too_few(int(self.n_others[c]), "of other diagnoses")

    def _reason_overall(self) -> str:
        return too_few(len(self.lesions), "in all")
