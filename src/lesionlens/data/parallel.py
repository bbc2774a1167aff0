"""One task for many images on a few threads: Pillow lets go of Python's lock while it decodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from PIL import Image

from lesionlens.core.machine import cores

TASKS_PER_WORKER = 4
Progress = Callable[[int], None]


def in_threads(task: Callable[[int], None], count: int, workers: int = 0, progress: Progress | None = None) -> None:
    """Call `task` with each number from 0 to `count` - 1.

    The first error stops the rest and is raised here; few tasks wait at a time, so memory does
    not grow with `count`.

    Args:
        task: must be safe to call from several threads.
        count: how many numbers.
        workers: threads; 0 means one for each core.
        progress: called from this thread with the number of tasks done since the last call.
    """
    Image.preinit()  # Pillow registers its readers on first use, which threads would race for
    workers = workers or cores()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for future in _bounded(pool, task, count, workers * TASKS_PER_WORKER):
                future.result()
                if progress is not None:
                    progress(1)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _bounded(pool: ThreadPoolExecutor, task: Callable[[int], None], count: int, waiting: int) -> Iterator[Future[None]]:
    numbers = iter(range(count))
    queue = deque(pool.submit(task, number) for number in islice(numbers, waiting))
    while queue:
        yield queue.popleft()
        queue.extend(pool.submit(task, number) for number in islice(numbers, 1))
