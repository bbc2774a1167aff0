"""Orders and batches: pure functions with countable properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.training.order import class_counts, cut_batches, epoch_order

LABELS = np.repeat([0, 1, 2], [50, 8, 2])


def test_shuffle_reads_every_row_once():
    order = epoch_order(LABELS, "shuffle", 0, 1)
    assert sorted(order.rows) == list(range(60))
    assert not order.repeats.any()


@pytest.mark.parametrize("sampler", ["shuffle", "balanced"])
def test_seed_and_epoch_decide(sampler):
    first = epoch_order(LABELS, sampler, 3, 1).rows
    np.testing.assert_array_equal(first, epoch_order(LABELS, sampler, 3, 1).rows)
    assert not np.array_equal(first, epoch_order(LABELS, sampler, 3, 2).rows)
    assert not np.array_equal(first, epoch_order(LABELS, sampler, 4, 1).rows)


def test_balanced_draws_classes_alike():
    order = epoch_order(LABELS, "balanced", 0, 1)
    assert np.bincount(LABELS[order.rows]).tolist() == [20, 20, 20]
    drawn = np.bincount(order.rows, minlength=60)
    assert set(drawn[LABELS == 0]) == {0, 1}
    assert set(drawn[LABELS == 1]) == {2, 3}
    assert set(drawn[LABELS == 2]) == {10}


def test_repeats_count_earlier_draws():
    order = epoch_order(LABELS, "balanced", 0, 1)
    seen: dict[int, int] = {}
    for row, repeat in zip(order.rows.tolist(), order.repeats.tolist(), strict=True):
        assert repeat == seen.get(row, 0)
        seen[row] = repeat + 1


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=80), epoch=st.integers(1, 5))
def test_balanced_counts_are_those_of_class_counts(labels, epoch):
    labels = np.array(labels)
    drawn = np.bincount(labels[epoch_order(labels, "balanced", 0, epoch).rows], minlength=5)
    assert drawn.sum() == len(labels)
    assert np.abs(drawn - class_counts(labels, 5, "balanced")).max() < 1


def test_class_counts_of_a_shuffle_are_the_plan():
    assert class_counts(LABELS, 4, "shuffle").tolist() == [50, 8, 2, 0]


@given(n=st.integers(1, 5000), batch_size=st.integers(1, 300))
def test_batches_hold_every_draw_once_and_are_alike(n, batch_size):
    cuts = cut_batches(n, batch_size)
    sizes = [cut.stop - cut.start for cut in cuts]
    assert [cut.start for cut in cuts] == [0, *np.cumsum(sizes)[:-1]]
    assert sum(sizes) == n
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
