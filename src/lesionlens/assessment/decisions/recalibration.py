"""Which recalibration the validation split supports, by cross-validation over lesions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import stdtrit

from lesionlens.assessment.decisions.cases import lesions_per_class
from lesionlens.assessment.decisions.linear_map import LinearMap, dirichlet_map, temperature_map, vector_map
from lesionlens.core.labels import LabelSet
from lesionlens.core.seeds import generator
from lesionlens.evaluation.intervals import Interval
from lesionlens.evaluation.proportions import Lesions

FOLDS = 5
LEVEL = 0.95
PENALTIES = (0.01, 0.1, 1.0)
Fit = Callable[[np.ndarray, np.ndarray], LinearMap]
SIMPLE = "temperature"
CANDIDATES: dict[str, Fit] = {
    SIMPLE: temperature_map,
    "vector": vector_map,
    **{f"dirichlet {penalty:g}": partial(dirichlet_map, penalty=penalty) for penalty in PENALTIES},
}


@dataclass(frozen=True, eq=False)
class Recalibration:
    """The recalibration that the validation split supports.

    Attributes:
        method: a key of `CANDIDATES`.
        map: fitted to the whole validation split.
        out_of_fold: log-probabilities of the validation images, each from a map fitted without its lesion, (N, K).
        candidates: cross-validated negative log-likelihood by method, and its difference from that of temperature scaling.
        maps: every method that could be fitted, fitted to the whole validation split.
        reason: why it is this method.
    """

    method: str
    map: LinearMap
    out_of_fold: np.ndarray
    candidates: dict[str, dict[str, Any]]
    maps: dict[str, LinearMap]
    reason: str

    @property
    def representatives(self) -> dict[str, LinearMap]:
        """Of each kind of method the map with the best cross-validated likelihood; it is the chosen one of its kind."""
        best: dict[str, str] = {}
        for name in sorted(self.maps, key=lambda name: float(self.candidates[name]["nll"])):
            best.setdefault(name.partition(" ")[0], name)
        return {name: self.maps[name] for name in self.maps if name in best.values()}

    def to_json(self) -> dict[str, Any]:
        """What was chosen, why, and the figures of every candidate."""
        return {
            "method": self.method,
            "reason": self.reason,
            "temperature": float(1 / self.maps[SIMPLE].weights[0, 0]),
            **self.map.to_json(),
            "folds": FOLDS,
            "candidates": self.candidates,
        }


def choose_recalibration(
    log_probabilities: np.ndarray, labels: np.ndarray, lesion_ids: np.ndarray, label_set: LabelSet, seed: int = 0
) -> Recalibration:
    """Choose a recalibration by its cross-validated negative log-likelihood.

    Temperature scaling is kept unless another method is better by more than its uncertainty: the interval of the difference,
    by lesion and corrected for the number of methods (Bonferroni), must lie below 0. Methods with numbers for each diagnosis
    need `FOLDS` lesions of each.

    Args:
        log_probabilities: of the validation split, (N, K).
        labels: true class indices, (N,).
        lesion_ids: text, (N,).
        label_set: the K diagnoses.
        seed: of the folds.
    """
    folds, lesions = lesion_folds(labels, lesion_ids, seed), Lesions.of(lesion_ids)
    counts = lesions_per_class(labels, lesion_ids, len(label_set))
    rare = [f"{code} {n}" for code, n in zip(label_set.codes, counts, strict=True) if n < FOLDS]
    names = [SIMPLE] if rare else list(CANDIDATES)
    predicted = {name: _out_of_fold(CANDIDATES[name], log_probabilities, labels, folds) for name in names}
    losses = {name: -logs[np.arange(len(labels)), labels] for name, logs in predicted.items()}
    others = [name for name in names if name != SIMPLE]
    candidates: dict[str, dict[str, Any]] = {name: {"nll": float(loss.mean())} for name, loss in losses.items()}
    for name in others:
        level = 1 - (1 - LEVEL) / len(others)
        candidates[name]["difference"] = mean_difference(losses[name] - losses[SIMPLE], lesions, level).to_json()
    for name in CANDIDATES.keys() - candidates.keys():
        candidates[name] = {
            "nll": None,
            "reason": f"needs {FOLDS} validation lesions of each diagnosis; there are {', '.join(rare)}",
        }
    better = [name for name in others if (candidates[name]["difference"]["high"] or 0) < 0]
    method = min(better, key=lambda name: losses[name].mean()) if better else SIMPLE
    maps = {name: CANDIDATES[name](log_probabilities, labels) for name in names}
    ordered = {name: candidates[name] for name in CANDIDATES}
    return Recalibration(method, maps[method], predicted[method], ordered, maps, _reason(better, rare))


def _reason(better: list[str], rare: list[str]) -> str:
    if rare:
        return f"too few validation lesions for any other method: {', '.join(rare)}"
    if better:
        return "its likelihood is better than that of temperature scaling by more than the uncertainty, and the best of these"
    return "no other method has a better likelihood by more than the uncertainty"


def lesion_folds(labels: np.ndarray, lesion_ids: np.ndarray, seed: int = 0, folds: int = FOLDS) -> np.ndarray:
    """Fold of each image, (N,), in [0, folds): images of a lesion share one, and each diagnosis is spread evenly."""
    names, first, member = np.unique(lesion_ids, return_index=True, return_inverse=True)
    order = generator("folds", seed).permutation(len(names))
    order = order[np.argsort(labels[first][order], kind="stable")]
    by_lesion = np.empty(len(names), dtype=np.int64)
    by_lesion[order] = np.arange(len(names)) % folds
    return by_lesion[member]


def _out_of_fold(fit: Fit, log_probabilities: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    predicted = np.empty(log_probabilities.shape)
    for fold in np.unique(folds):
        inside = folds == fold
        fitted = fit(log_probabilities[~inside], labels[~inside])
        predicted[inside] = fitted.log_probabilities(log_probabilities[inside])
    return predicted


def mean_difference(differences: np.ndarray, lesions: Lesions, confidence: float) -> Interval:
    """Mean of `differences` (N,) over images with Student's interval by lesion; without bounds below two lesions."""
    totals, sizes = lesions.totals(differences), lesions.totals(np.ones(len(differences)))
    mean, n_lesions = float(differences.mean()), len(lesions)
    if n_lesions < 2:
        return Interval(mean, np.nan, np.nan, "", "one lesion")
    variance = np.square(totals - mean * sizes).sum() / len(differences) ** 2 * n_lesions / (n_lesions - 1)
    half = float(stdtrit(n_lesions - 1, (1 + confidence) / 2) * np.sqrt(variance))
    return Interval(mean, mean - half, mean + half, "student")
