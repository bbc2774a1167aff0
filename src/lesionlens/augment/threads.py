"""One image per thread: its pixels stay in the core's cache, and no operation waits for another core."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def in_torch_threads(task: Callable[[int], None], count: int) -> None:
    """Call `task` with each number from 0 to `count` - 1, on as many threads as torch may use.

    In these threads, torch itself uses one thread. The first error is raised.
    """
    threads = min(torch.get_num_threads(), count)
    if threads < 2:
        for number in range(count):
            task(number)
        return
    previous = torch.get_num_threads()
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            list(pool.map(task, range(count)))
        finally:
            torch.set_num_threads(previous)
