"""A queue between threads whose reader takes all that waits at once."""

from __future__ import annotations

import queue
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Batches(Generic[Item]):
    """A first-in first-out queue that hands out several items at a time, until it is closed.

    >>> batches = Batches()
    >>> for item in "abc": batches.put(item)
    >>> batches.close()
    >>> batches.take(2), batches.take(2), batches.take(2)
    (['a', 'b'], ['c'], [])
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()

    def put(self, item: Item) -> None:
        """Add an item."""
        self._queue.put(item)

    def close(self, readers: int = 1) -> None:
        """Let each reader stop once it has taken what was put before."""
        for _ in range(readers):
            self._queue.put(None)

    def take(self, most: int) -> list[Item]:
        """Wait for an item, and take those that wait behind it; empty once the queue is closed.

        Args:
            most: the most items to take, at least 1.
        """
        items: list[Item] = []
        item = self._queue.get()
        while item is not None:
            items.append(item)
            if len(items) == most:
                return items
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return items
        if items:
            self._queue.put(None)  # for the next call
        return items
