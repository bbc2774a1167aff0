"""What human readers and the network say of the same cases, and who is right where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionlens.assessment.resampling import Resampling, lesion_percentiles
from lesionlens.assessment.robustness.readers import ReaderAnswers
from lesionlens.assessment.shares import mean_share, proportion, undefined
from lesionlens.core.errors import DataError
from lesionlens.evaluation.predictions import Predictions
from lesionlens.evaluation.proportions import Lesions

LISTED = 24  # cases of each kind


def compare_with_readers(
    predictions: Predictions,
    answers: ReaderAnswers,
    resampling: Resampling,
) -> dict[str, Any]:
    """Compare readers and network on the images that both have answered.

    The readers' accuracy of a case is the share of them who are right; their majority is right where more chose the true
    diagnosis than any other.

    Args:
        predictions: of the network.
        answers: of the readers.
        resampling: of the intervals.

    Returns:
        JSON-ready: `metrics` of readers and network on these images with `difference` (network minus readers, paired by case),
        `agreement`, `table` of who is right, `cases` where only one of them is, and `points` of the scatter by case.

    Raises:
        DataError: if no image has been answered by both.
    """
    row_of = {image_id: row for row, image_id in enumerate(predictions.image_ids.tolist())}
    known = [place for place, image_id in enumerate(answers.image_ids) if image_id in row_of]
    if not known:
        raise DataError(
            f"none of the {len(answers.image_ids)} images of the readers (the first is {answers.image_ids[0]}) is in the "
            f"{predictions.split} split; predict the images that the readers saw, such as the ISIC 2018 test set"
        )
    rows = np.array([row_of[answers.image_ids[place]] for place in known])
    comparison = _Comparison(predictions.take(rows), answers.votes[known], resampling)
    elsewhere = len(answers.image_ids) - len(known)
    notes = [*answers.notes]
    if elsewhere:
        notes.append(f"{elsewhere} images of the readers are not in the {predictions.split} split and are left out")
    return {
        "n_images": len(known),
        "n_lesions": len(comparison.lesions),
        "n_answers": int(comparison.votes.sum()),
        "n_readers": answers.n_readers,
        "notes": notes,
        "metrics": comparison.metrics(),
        **comparison.cases(),
    }


class _Comparison:
    """Predictions and votes of the same N images."""

    def __init__(self, predictions: Predictions, votes: np.ndarray, resampling: Resampling) -> None:
        self.predictions, self.votes, self.resampling = predictions, votes, resampling
        self.lesions = Lesions.of(predictions.lesion_ids)
        self.share = votes / votes.sum(1, keepdims=True)
        self.rows = np.arange(len(votes))
        self.accuracy = self.share[self.rows, predictions.labels]  # of the readers, by case
        others = votes.copy()
        others[self.rows, predictions.labels] = -1
        self.majority_right = votes[self.rows, predictions.labels] > others.max(1)
        self.right = predictions.predicted == predictions.labels

    def metrics(self) -> dict[str, Any]:
        """Metrics of readers and network by name, and their difference."""
        malignant = np.array(self.predictions.label_set.malignant)
        truth, called = malignant[self.predictions.labels], malignant[self.predictions.predicted]
        by_readers = self.share[:, malignant].sum(1)
        every = np.ones(len(self.right), bool)
        pairs = {"accuracy": (self.accuracy, self.right, every)}
        if malignant.any():
            pairs["malignant_sensitivity"] = (by_readers, called, truth)
            pairs["malignant_specificity"] = (1 - by_readers, ~called, ~truth)
        metrics: dict[str, Any] = {name: self._pair(readers, network, of) for name, (readers, network, of) in pairs.items()}
        metrics["majority_accuracy"] = proportion(
            self.majority_right, every, self.lesions, "", self.resampling.confidence
        ).to_json()
        agreement = self.share[self.rows, self.predictions.predicted]
        metrics["agreement"] = mean_share(agreement, self.lesions, self.resampling.confidence).to_json()
        return metrics

    def _pair(self, readers: np.ndarray, network: np.ndarray, of: np.ndarray) -> Mapping[str, Any]:
        if not of.any():
            return {name: undefined("no such images").to_json() for name in ("readers", "network", "difference")}
        lesion_ids, differences = self.predictions.lesion_ids[of], network[of] - readers[of]
        return {
            "readers": mean_share(readers[of], Lesions.of(lesion_ids), self.resampling.confidence).to_json(),
            "network": proportion(network, of, self.lesions, "", self.resampling.confidence).to_json(),
            "difference": lesion_percentiles(
                lambda weights: weights @ differences / weights.sum(1), lesion_ids, self.resampling
            ).to_json(),
        }

    def cases(self) -> dict[str, Any]:
        """Who is right: counts, the cases where only one is (clearest first), and a point for each case."""
        only_readers, only_network = self.majority_right & ~self.right, self.right & ~self.majority_right
        both, neither = self.majority_right & self.right, ~self.majority_right & ~self.right
        p_true = self.predictions.probabilities[self.rows, self.predictions.labels]
        masks = {"both": both, "only_readers": only_readers, "only_network": only_network, "neither": neither}
        clearest = {"only_readers": self.accuracy - p_true, "only_network": p_true - self.accuracy}
        listed = {
            name: [
                self._case(row, p_true)
                for row in np.flatnonzero(masks[name])[np.argsort(-by[masks[name]], kind="stable")][:LISTED]
            ]
            for name, by in clearest.items()
        }
        malignant = np.array(self.predictions.label_set.malignant)[self.predictions.labels]
        points = [
            [round(float(a), 4), round(float(p), 4), bool(m)] for a, p, m in zip(self.accuracy, p_true, malignant, strict=True)
        ]
        return {"table": {name: int(mask.sum()) for name, mask in masks.items()}, "cases": listed, "points": points}

    def _case(self, row: int, p_true: np.ndarray) -> dict[str, Any]:
        codes = self.predictions.codes
        return {
            "image_id": str(self.predictions.image_ids[row]),
            "label": codes[self.predictions.labels[row]],
            "called": codes[self.predictions.predicted[row]],
            "readers": codes[int(self.votes[row].argmax())],
            "reader_accuracy": float(self.accuracy[row]),
            "p_true": float(p_true[row]),
            "n_answers": int(self.votes[row].sum()),
        }
