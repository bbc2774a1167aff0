"""Confident learning against its definition in the paper, and on labels that were changed on purpose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.assessment.robustness.label_errors import label_errors


def by_definition(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, set[tuple[int, int]]]:
    """Equations 1 and 2 of Northcutt et al. (2021), image by image: the joint, and (row, confident class) off its diagonal."""
    classes = range(probabilities.shape[1])
    threshold = {j: np.mean([p[j] for p, label in zip(probabilities, labels, strict=True) if label == j]) for j in set(labels)}
    joint, off = np.zeros((len(classes), len(classes)), int), set()
    for row, (p, label) in enumerate(zip(probabilities, labels, strict=True)):
        reached = [j for j in classes if j in threshold and p[j] >= threshold[j]]
        if reached:
            best = max(reached, key=lambda j: (p[j], -j))
            joint[label, best] += 1
            if best != label:
                off.add((row, best))
    return joint, off


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(5, 60))
def test_it_is_the_papers_confident_joint(seed: int, n_classes: int, n_images: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(n_classes), n_images)
    labels = rng.integers(n_classes, size=n_images)
    found = label_errors(probabilities, labels)
    joint, off = by_definition(probabilities, labels)
    assert np.array_equal(found.joint, joint)
    assert set(zip(found.rows.tolist(), found.suggested.tolist(), strict=True)) == off
    assert (np.diff(found.margin) <= 0).all()


def test_changed_labels_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=600)
    logits = rng.normal(size=(600, 4)) + 3.5 * np.eye(4)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels, changed = truth.copy(), rng.choice(600, 30, replace=False)
    labels[changed] = (labels[changed] + 1) % 4
    first = label_errors(probabilities, labels).rows[:30]
    assert len(set(first) & set(changed)) >= 24
    assert label_errors(probabilities, labels).suggested[:5].tolist() == truth[first[:5]].tolist()


def test_a_class_without_labels_is_never_suggested() -> None:
    probabilities = np.array([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.6, 0.1, 0.3]])
    assert label_errors(probabilities, np.array([0, 2, 0])).joint[:, 1].sum() == 0


def test_perfect_predictions_leave_no_doubt() -> None:
    found = label_errors(np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 2, 2]))
    assert len(found.rows) == 0
    assert found.joint.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 2]]


def test_the_margin_is_confident_minus_given() -> None:
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]])
    found = label_errors(probabilities, np.array([0, 0, 1, 0]))
    assert found.rows.tolist() == [3]
    assert found.margin[0] == pytest.approx(0.8)
