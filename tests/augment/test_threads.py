import threading

import pytest
import torch

from lesionlens.augment.threads import in_torch_threads


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_number_once_and_torch_keeps_its_threads(threads):
    seen, within, lock = [], set(), threading.Lock()

    def task(number: int) -> None:
        with lock:
            seen.append(number)
            within.add(torch.get_num_threads())

    in_torch_threads(task, 20)
    assert sorted(seen) == list(range(20))
    assert within == {1}
    assert torch.get_num_threads() == threads


def test_an_error_is_raised_here(threads):
    with pytest.raises(ZeroDivisionError):
        in_torch_threads(lambda number: 1 // (number - 3), 6)
    assert torch.get_num_threads() == threads


def test_nothing_to_do(threads):
    in_torch_threads(lambda number: 1 // 0, 0)
