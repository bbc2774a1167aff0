"""The order in which an epoch reads the rows of a plan: a pure function of seed and epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.seeds import generator


@dataclass(frozen=True)
class Order:
    """The draws of one epoch.

    Attributes:
        rows: rows of the plan in reading order, int64 (M,).
        repeats: how often each row was drawn earlier in this epoch, int64 (M,); a repeated row
            gets other random numbers, unless its pixels are drawn once.
    """

    rows: np.ndarray
    repeats: np.ndarray


def shuffled(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every row once, in random order."""
    return rng.permutation(len(labels))


def balanced(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many draws as rows, the same number from every class present (up to one).

    All rows of a class are read before any is read again, so no rare image is left out by chance,
    as it would be with replacement.
    """
    classes = rng.permutation(np.unique(labels))
    shares = [len(draws) for draws in np.array_split(np.arange(len(labels)), len(classes))]
    rows = [_cycle(np.flatnonzero(labels == c), share, rng) for c, share in zip(classes, shares, strict=True)]
    return rng.permutation(np.concatenate(rows))


def _cycle(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate([rows[:0], *rounds])[:count]


SAMPLERS = {"shuffle": shuffled, "balanced": balanced}


def epoch_order(labels: np.ndarray, sampler: str, seed: int, epoch: int) -> Order:
    """The draws of an epoch.

    Args:
        labels: class index of each row of the plan, (M,).
        sampler: `shuffle` or `balanced`.
        seed: seed of the recipe.
        epoch: from 1.
    """
    rows = SAMPLERS[sampler](labels, generator(seed, "order", epoch))
    return Order(rows, _earlier_draws(rows))


def _earlier_draws(rows: np.ndarray) -> np.ndarray:
    by_row = np.argsort(rows, kind="stable")
    ordered = rows[by_row]
    first = np.searchsorted(ordered, ordered)  # where the run of equal rows begins
    repeats = np.empty(len(rows), np.int64)
    repeats[by_row] = np.arange(len(rows)) - first
    return repeats


def class_counts(labels: np.ndarray, n_classes: int, sampler: str) -> np.ndarray:
    """Images of each class in an epoch, shape (K,).

    Class weights and logit adjustment correct for this prior: that of the plan, or the uniform
    one under the balanced sampler.
    """
    counts = np.bincount(labels, minlength=n_classes)
    if sampler == "balanced":
        present = counts > 0
        return np.where(present, len(labels) / max(1, present.sum()), 0.0)
    return counts


def cut_batches(n_draws: int, batch_size: int) -> list[slice]:
    """Cut an epoch into batches of at most `batch_size`, whose sizes differ by at most one.

    No draw is dropped, and no small last batch upsets batch norms.
    """
    n_batches = max(1, -(-n_draws // batch_size))
    return [slice(n_draws * n // n_batches, n_draws * (n + 1) // n_batches) for n in range(n_batches)]
