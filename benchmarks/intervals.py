"""Seconds for 95 % intervals of every metric by lesion bootstrap, against a plain loop over scikit-learn.

    python benchmarks/intervals.py [--images 1000] [--resamples 2000] [--rounds 7] [--out FILE]

The loop is timed on few resamples and scaled up, since each of its resamples costs the same. Both
run on one thread (set OMP_NUM_THREADS=1); the variants alternate within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics as reference

from lesionlens.core.artifact import write_json
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.intervals import lesion_bootstrap, lesion_weights
from lesionlens.evaluation.weighted_metrics import WeightedMetrics
from source_version import commit

SHARES = np.array([0.033, 0.051, 0.110, 0.011, 0.111, 0.670, 0.014])  # HAM10000's diagnoses
LOOP_RESAMPLES = 20


def draw_cases(n_images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (N, 7), labels (N,) and lesion ids (N,) with HAM10000's classes and lesions per image."""
    random = np.random.default_rng(0)
    labels = random.choice(7, n_images, p=SHARES / SHARES.sum())
    logits = (random.normal(size=(n_images, 7)) + 2 * np.eye(7)[labels]).astype(np.float32)
    return logits, labels, random.integers(0, int(0.75 * n_images), n_images).astype(str)


def loop(logits: np.ndarray, labels: np.ndarray, lesions: np.ndarray, resamples: int) -> list[float]:
    """Macro AUC, accuracy and macro precision, recall, F1 of each resample, one by one."""
    probabilities, predicted, metrics = softmax(logits), logits.argmax(1), []
    for weights in lesion_weights(lesions, resamples, 0, chunk_rows=1):
        rows = np.repeat(np.arange(len(labels)), weights[0].astype(int))
        truth, known = labels[rows], np.unique(labels[rows])
        aucs = [reference.roc_auc_score(truth == c, probabilities[rows, c]) for c in known]
        reference.precision_recall_fscore_support(truth, predicted[rows], average="macro", zero_division=0)
        metrics.append(float(np.mean(aucs)) + reference.accuracy_score(truth, predicted[rows]))
    return metrics


def seconds_of(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def spread(seconds: list[float]) -> dict[str, float]:
    return {"median_s": float(np.median(seconds)), "p95_s": float(np.quantile(seconds, 0.95))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logits, labels, lesions = draw_cases(options.images)
    warnings.filterwarnings("ignore", category=UserWarning)

    def ours() -> object:
        return lesion_bootstrap(WeightedMetrics.of(logits, labels), lesions, options.resamples)

    ours()
    loop(logits, labels, lesions, 2)
    pairs = [(seconds_of(ours), seconds_of(lambda: loop(logits, labels, lesions, LOOP_RESAMPLES))) for _ in range(options.rounds)]
    scaled = [options.resamples / LOOP_RESAMPLES * slow for _, slow in pairs]
    result = {
        "images": options.images,
        "lesions": len(np.unique(lesions)),
        "classes": 7,
        "resamples": options.resamples,
        "rounds": options.rounds,
        "ours": spread([fast for fast, _ in pairs]),
        "scikit_learn_loop_scaled": spread(scaled),
        "times_faster": float(np.median(scaled) / np.median([fast for fast, _ in pairs])),
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scikit-learn": sklearn.__version__},
        "commit": commit(),
    }
    print(json.dumps(result, indent=2))
    if options.out is not None:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
