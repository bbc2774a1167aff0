"""Methods to detect unusual images by a network's features or logits, compared on artificial outliers.

Each is fitted on training features (N, C) and labels (N,), and returns a score that is larger for more unusual images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

from lesionlens.bundle.gate import unit_length
from lesionlens.evaluation.calibration import softmax
from lesionlens.export.gate_fit import fit_gaussian

RATES = (0.01, 0.02)  # of the validation images; half the gate's 2 % is the distance's


@dataclass(frozen=True, eq=False)
class NetworkOutputs:
    """Outputs of a network for images.

    Attributes:
        features: (N, C).
        logits: (N, K).
    """

    features: np.ndarray
    logits: np.ndarray


Score = Callable[[NetworkOutputs], np.ndarray]


def mahalanobis(known: NetworkOutputs, labels: np.ndarray, by_class: bool, unit: bool) -> Score:
    """Lee et al. 2018: distance to the nearest mean under one covariance; one mean for all if not `by_class`."""
    features = _scaled(known.features, unit)
    groups = labels if by_class else np.zeros(len(labels), dtype=int)
    means = np.stack([features[groups == group].mean(axis=0) for group in np.unique(groups)])
    covariance, _ = ledoit_wolf(features - means[np.searchsorted(np.unique(groups), groups)], assume_centered=True)
    root = np.linalg.cholesky(np.linalg.inv(covariance))

    def score(outputs: NetworkOutputs) -> np.ndarray:
        features = _scaled(outputs.features, unit)
        return np.asarray(np.min([np.square((features - mean) @ root).sum(axis=1) for mean in means], axis=0))

    return score


def relative(known: NetworkOutputs, labels: np.ndarray) -> Score:
    """Ren et al. 2021: distance to the nearest class minus distance to all."""
    near, whole = mahalanobis(known, labels, True, False), mahalanobis(known, labels, False, False)
    return lambda outputs: near(outputs) - whole(outputs)


def neighbours(known: NetworkOutputs, number: int) -> Score:
    """Sun et al. 2022: distance to the k-th nearest training image, on features of length 1."""
    bank = unit_length(known.features)

    def score(outputs: NetworkOutputs) -> np.ndarray:
        likeness = unit_length(outputs.features) @ bank.T
        return np.asarray(-np.partition(likeness, -number, axis=1)[:, -number])

    return score


def low_rank(known: NetworkOutputs, directions: int) -> Score:
    """What the gate does: one mean, features of length 1, the widest directions and the mean of the rest."""
    gaussian, _ = fit_gaussian(known.features, directions)
    return lambda outputs: gaussian.distance(outputs.features)


def energy(outputs: NetworkOutputs) -> np.ndarray:
    """Liu et al. 2020, at temperature 1; needs logits, which a bundle does not give."""
    top = outputs.logits.max(axis=1)
    return np.asarray(-(top + np.log(np.exp(outputs.logits - top[:, None]).sum(axis=1))))


def unsureness(outputs: NetworkOutputs) -> np.ndarray:
    """Hendrycks & Gimpel 2017: one minus the largest probability."""
    return np.asarray(1 - softmax(outputs.logits).max(axis=1))


def methods(known: NetworkOutputs, labels: np.ndarray) -> dict[str, Score]:
    """All methods by name."""
    return {
        "low-rank Gaussian, length 1, 256 directions (the gate)": low_rank(known, 256),
        **{f"the gate, fitted on {len(known.features[::step])} images": low_rank(_every(known, step), 256) for step in (2, 4, 8)},
        "low-rank Gaussian, length 1, 64 directions": low_rank(known, 64),
        "Mahalanobis, one mean, length 1": mahalanobis(known, labels, by_class=False, unit=True),
        "Mahalanobis, mean by class, length 1": mahalanobis(known, labels, by_class=True, unit=True),
        "Mahalanobis, one mean": mahalanobis(known, labels, by_class=False, unit=False),
        "Mahalanobis, mean by class (Lee 2018)": mahalanobis(known, labels, by_class=True, unit=False),
        "relative Mahalanobis (Ren 2021)": relative(known, labels),
        **{f"{k} nearest neighbours (Sun 2022)": neighbours(known, k) for k in (1, 10, 50)},
        "energy (Liu 2020)": energy,
        "1 - largest probability (Hendrycks 2017)": unsureness,
    }


def compare(
    known: NetworkOutputs,
    labels: np.ndarray,
    validation: NetworkOutputs,
    outliers: dict[str, NetworkOutputs],
    foreign: tuple[str, ...],
) -> dict[str, Any]:
    """Detection of each kind of outlier by each method, at thresholds from the validation split.

    Args:
        known: training images that no outlier was made from.
        labels: their true classes.
        validation: good images for the thresholds.
        outliers: by kind.
        foreign: the kinds in the mean, those that the quality check need not detect.

    Returns:
        By method: the mean detected share at each rate, the mean AUROC, and the detected share by kind at the last rate.
    """
    results: dict[str, Any] = {}
    for name, score in methods(known, labels).items():
        good, strange = score(validation), {kind: score(outputs) for kind, outputs in outliers.items()}
        limits = [float(np.quantile(good, 1 - rate)) for rate in RATES]
        shares = {
            rate: {k: float((v > limit).mean()) for k, v in strange.items()} for rate, limit in zip(RATES, limits, strict=True)
        }
        truth = {kind: np.repeat([0, 1], [len(good), len(values)]) for kind, values in strange.items()}
        areas = [roc_auc_score(truth[kind], np.concatenate([good, strange[kind]])) for kind in foreign]
        results[name] = {
            **{f"found_at_{rate:g}": float(np.mean([shares[rate][kind] for kind in foreign])) for rate in RATES},
            "auroc": float(np.mean(areas)),
            "found_by_kind": shares[RATES[-1]],
        }
    return results


def _every(known: NetworkOutputs, step: int) -> NetworkOutputs:
    return NetworkOutputs(known.features[::step], known.logits[::step])


def _scaled(features: np.ndarray, unit: bool) -> np.ndarray:
    return (unit_length(features) if unit else features).astype(np.float64)
