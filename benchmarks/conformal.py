"""Coverage of conformal sets over resampled splits of given predictions.

    python benchmarks/conformal.py PREDICTIONS.npz [MORE.npz] [--splits 200] [--out benchmarks/results/conformal.json]

Of each split, half of the lesions are the validation split on which the sets are fitted. One photograph of one other lesion
asks whether a new lesion is covered: over the splits, the number that are must lie in the binomial interval of the promise
(APS may lie above, because it has ties). All other lesions, each counting once, give coverage for each diagnosis, and sizes.
Give predictions that had no part in the training, such as validation.npz and predictions.npz.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

from lesionlens.assessment.decisions.conformal import GROUPS, SCORES, fit_sets
from lesionlens.core.artifact import hash_file
from lesionlens.core.seeds import generator
from lesionlens.evaluation.predictions import Predictions, read_predictions
from output import write_or_print
from source_version import commit

LEVEL = 0.99  # of the binomial interval


@dataclass(frozen=True)
class Pool:
    """Lesions that are split again and again.

    Attributes:
        probabilities: (N, K).
        labels: true class indices, (N,).
        lesions: numbers from 0, (N,).
        codes: the K diagnoses.
        weights: 1 over the number of images of the lesion, (N,).
    """

    probabilities: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray
    codes: tuple[str, ...]
    weights: np.ndarray

    @classmethod
    def of(cls, predictions: list[Predictions]) -> Pool:
        """All lesions of some predictions."""
        names = ("probabilities", "labels", "lesion_ids")
        p, labels, ids = (np.concatenate([getattr(each, name) for each in predictions]) for name in names)
        _, lesions, counts = np.unique(ids, return_inverse=True, return_counts=True)
        return cls(p, labels, lesions, predictions[0].codes, 1 / counts[lesions])

    def split(self, number: int) -> tuple[np.ndarray, int]:
        """Images of the half of the lesions that sets are fitted on, (N,), and one image of another lesion."""
        random = generator("conformal", number)
        order = random.permutation(self.lesions.max() + 1)
        fitted = np.isin(self.lesions, order[: len(order) // 2])
        return fitted, int(random.choice(np.flatnonzero(self.lesions == order[-1])))


def measure(pool: Pool, splits: int, coverage: float, score: str, group: str) -> dict[str, Any]:
    """One kind of sets over all splits."""
    new, by_class, sizes, empty = 0, [], [], []
    for number in range(splits):
        fitted, image = pool.split(number)
        given = (pool.probabilities[fitted], pool.labels[fitted], pool.lesions[fitted], pool.codes)
        chosen = fit_sets(*given, coverage, score, group).sets(pool.probabilities)
        covered, rest = chosen[np.arange(len(chosen)), pool.labels], ~fitted
        new += bool(covered[image])
        by_class.append([_mean(covered, pool.weights * (rest & (pool.labels == k))) for k in range(len(pool.codes))])
        sizes.append(chosen[rest].sum(axis=1).mean())
        empty.append((~chosen[rest].any(axis=1)).mean())
    low, high = binom.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], splits, coverage)
    return {
        "score": score,
        "group": group,
        "new_lesions_covered": new,
        "binomial_interval": [int(low), int(high)],
        "inside": bool(low <= new and (new <= high or score == "aps")),
        "per_class": dict(zip(pool.codes, np.round(np.nanmean(by_class, axis=0), 4).tolist(), strict=True)),
        "size": round(float(np.mean(sizes)), 3),
        "empty": round(float(np.mean(empty)), 4),
    }


def _mean(covered: np.ndarray, weights: np.ndarray) -> float:
    return float(weights @ covered / weights.sum()) if weights.any() else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path, nargs="+")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--coverage", type=float, default=0.9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    predictions = [read_predictions(path) for path in options.predictions]
    pool, files = Pool.of(predictions), " ".join(path.name for path in options.predictions)
    content = {
        "splits": options.splits,
        "coverage": options.coverage,
        "level": LEVEL,
        "names": [f"{each.origin.name}, {each.split} split" for each in predictions],
        "n_images": len(pool.labels),
        "n_lesions": int(pool.lesions.max()) + 1,
        "rows": [measure(pool, options.splits, options.coverage, score, group) for score in SCORES for group in GROUPS],
        "hashes": [hash_file(path) for path in options.predictions],
        "command": f"python benchmarks/conformal.py {files} --splits {options.splits}",
        "commit": commit(),
    }
    write_or_print(content, options.out)


if __name__ == "__main__":
    main()
