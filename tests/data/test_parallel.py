"""Threads: every task once, errors raised, few tasks waiting."""

import threading
import time

import pytest

from lesionlens.data.parallel import TASKS_PER_WORKER, in_threads


@pytest.mark.parametrize("count", [0, 1, 3, 100])
@pytest.mark.parametrize("workers", [0, 1, 7])
def test_every_number_once(count: int, workers: int) -> None:
    done: list[int] = []
    steps: list[int] = []
    in_threads(done.append, count, workers, steps.append)
    assert sorted(done) == list(range(count))
    assert sum(steps) == count


def test_the_first_error_stops_the_rest() -> None:
    done: list[int] = []

    def task(number: int) -> None:
        if number == 3:
            raise ValueError("three")
        done.append(number)

    with pytest.raises(ValueError, match="three"):
        in_threads(task, 10_000, 2)
    assert len(done) < 100


def test_few_tasks_run_ahead_of_the_caller() -> None:
    done: list[int] = []
    ahead: list[int] = []
    reported = 0
    lock = threading.Lock()

    def task(number: int) -> None:
        with lock:
            done.append(number)

    def progress(steps: int) -> None:
        nonlocal reported
        reported += steps
        time.sleep(0.001)
        ahead.append(len(done) - reported)

    in_threads(task, 200, 2, progress)
    assert max(ahead) <= 2 * TASKS_PER_WORKER
