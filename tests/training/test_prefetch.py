"""The thread that runs ahead: order, errors, an early end, and the waiting it measures."""

import threading
import time

import pytest
import torch

from lesionlens.training.prefetch import Prefetch


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_order_is_kept(depth):
    with Prefetch(range(50), depth) as items:
        assert list(items) == list(range(50))


@pytest.mark.parametrize("depth", [0, 2])
def test_an_error_reaches_the_reader(depth):
    def source():
        yield 1
        raise ValueError("broken image")

    with Prefetch(source(), depth) as items:
        iterator = iter(items)
        assert next(iterator) == 1
        with pytest.raises(ValueError, match="broken image"):
            next(iterator)


def test_leaving_early_ends_the_thread():
    before = threading.active_count()

    def endless():
        number = 0
        while True:
            yield number
            number += 1

    with Prefetch(endless(), 2) as items:
        assert next(iter(items)) == 0
    assert threading.active_count() == before


def test_it_runs_no_further_ahead_than_depth():
    made = []

    def source():
        for number in range(20):
            made.append(number)
            yield number

    with Prefetch(source(), 3) as items:
        next(iter(items))
        time.sleep(0.3)
        assert len(made) <= 1 + 3 + 1  # read, queued, and one in hand


def test_waiting_is_measured():
    def slow():
        for number in range(3):
            time.sleep(0.05)
            yield number

    with Prefetch(slow(), 2) as items:
        list(items)
    assert 0.1 < items.waited_s < 1.0


def test_the_threads_of_torch_are_as_before():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)  # the tests themselves run on one
        with Prefetch(range(3), 2) as items:
            list(items)
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
