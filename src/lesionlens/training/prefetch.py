"""Prepare images in a background thread while the network computes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

import torch

T = TypeVar("T")
POLL_S = 0.1


class Prefetch(Generic[T]):
    """Iterates over `source`, which runs ahead in a thread by at most `depth` items.

    Use it as a context manager: leaving the block stops the thread. With `depth` 0 there is no
    thread. An error in `source` is raised in place of its item.

    Attributes:
        waited_s: seconds spent waiting for items so far.
    """

    def __init__(self, source: Iterable[T], depth: int) -> None:
        self._source = source
        self._depth = depth
        self._queue: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(max(1, depth))
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self.waited_s = 0.0

    def __enter__(self) -> Prefetch[T]:
        if self._depth > 0:
            threads = torch.get_num_threads()
            self._thread = threading.Thread(target=self._work, name="images", daemon=True)
            self._thread.start()
            self._ready.wait()
            torch.set_num_threads(threads)  # the worker's limit also changes the global one
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        while self._thread is not None and self._thread.is_alive():
            with suppress(queue.Empty):
                self._queue.get(timeout=POLL_S)
        self._thread = None

    def __iter__(self) -> Iterator[T]:
        items = self._queued() if self._thread is not None else iter(self._source)
        while True:
            start = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            self.waited_s += time.perf_counter() - start
            yield item

    def _queued(self) -> Iterator[T]:
        while True:
            item, error = self._queue.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    def _work(self) -> None:
        torch.set_num_threads(1)  # leaves the other cores to the network
        self._ready.set()
        try:
            for item in self._source:
                self._put((item, None))
                if self._stop.is_set():
                    return
            self._put((None, None))
        except BaseException as error:  # re-raised in the consuming thread
            self._put((None, error))

    def _put(self, entry: tuple[T | None, BaseException | None]) -> None:
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._queue.put(entry, timeout=POLL_S)
                return
