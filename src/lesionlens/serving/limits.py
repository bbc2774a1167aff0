"""Bounds on work in progress: predictions, waiting requests, bytes of uploads, requests per minute."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lesionlens.serving.problems import Problem

RETRY_SECONDS = 1
BURST_SECONDS = 10.0
MOST_CALLERS = 10_000


def busy(detail: str) -> Problem:
    """A 503 with a Retry-After header."""
    return Problem("busy", detail, {"Retry-After": str(RETRY_SECONDS)})


class Admission:
    """A bounded number of predictions at once, a short first-in first-out queue, then 503.

    Used from one event loop only.

    Args:
        active: predictions at once.
        queue: requests that may wait.
    """

    def __init__(self, active: int, queue: int) -> None:
        self.active = 0
        self.waiting = 0
        self._most = active
        self._queue = queue
        self._slots = asyncio.Semaphore(active)

    def check(self) -> None:
        """Refuse a request early, before its body is read.

        Raises:
            Problem: `busy`, if all slots and all places in the queue are taken.
        """
        if self.active + self.waiting >= self._most + self._queue:
            raise busy(f"{self.active} predictions are running and {self.waiting} are waiting; try again soon")

    async def __aenter__(self) -> None:
        self.check()
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        self.active += 1

    async def __aexit__(self, *exception: object) -> None:
        self.active -= 1
        self._slots.release()


class Budget:
    """Bytes of all uploads that are in memory at one time.

    Args:
        most: the limit, bytes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A share that grows with its upload and is returned at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.used -= share.held


class Share:
    """The part of a `Budget` that one upload holds."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, n_bytes: int) -> None:
        """Hold more bytes.

        Raises:
            Problem: `busy`, if the budget is used up.
        """
        if self._budget.used + n_bytes > self._budget.most:
            raise busy("other uploads fill the memory that is reserved for them; try again soon")
        self._budget.used += n_bytes
        self.held += n_bytes


class RateLimit:
    """A token bucket per caller: `rate` requests per minute, with a burst of ten seconds' worth.

    Args:
        rate: requests per minute; 0: no limit.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.burst = max(1.0, rate * BURST_SECONDS / 60)
        self._buckets: dict[str, tuple[float, float]] = {}  # requests left, and when that was counted

    def take(self, caller: str, now: float | None = None) -> None:
        """Count one request.

        Raises:
            Problem: `rate_limited`, with Retry-After.
        """
        if not self.rate:
            return
        now = time.monotonic() if now is None else now
        left, since = self._buckets.get(caller, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate / 60)
        if left < 1:
            wait = max(1, math.ceil((1 - left) * 60 / self.rate))
            detail = f"this token may send {self.rate} requests per minute; try again in {wait} s"
            raise Problem("rate_limited", detail, {"Retry-After": str(wait)})
        if len(self._buckets) >= MOST_CALLERS and caller not in self._buckets:
            self._buckets.clear()
        self._buckets[caller] = (left - 1, now)
