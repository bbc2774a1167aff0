"""How much at once: predictions, waiting requests, bytes in flight, requests a minute."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from lesionlens.serving.problems import Problem

RETRY_SECONDS = 1
BURST_SECONDS = 10.0
KNOWN_CALLERS = 10_000


def busy(detail: str) -> Problem:
    """A 503 that says when to come again."""
    return Problem("busy", detail, {"Retry-After": str(RETRY_SECONDS)})


class Admission:
    """At most so many predictions at once, a short queue in order of arrival, then 503.

    Used from one event loop only.

    Args:
        active: predictions at once.
        queue: requests that may wait.
    """

    def __init__(self, active: int, queue: int) -> None:
        self.active = 0
        self.most = active
        self.queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def check(self) -> None:
        """Refuse a request before its body is read, if it could not be taken anyway.

        Raises:
            Problem: `busy`.
        """
        if self.active >= self.most and self.waiting >= self.queue:
            raise busy(f"{self.active} predictions are being made and {self.waiting} are waiting; try again soon")

    async def __aenter__(self) -> None:
        self.check()
        if self.active < self.most:
            self.active += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():
                self._leave()
            raise

    async def __aexit__(self, *exception: object) -> None:
        self._leave()

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the place goes on to who waited longest
                return
        self.active -= 1


class Budget:
    """Bytes of all uploads that are in memory at one time.

    Args:
        most: their limit.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A share that grows with its upload and is given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.used -= share.held


class Share:
    """What one upload holds of a `Budget`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, n_bytes: int) -> None:
        """Hold more.

        Raises:
            Problem: `busy`, if the budget is used up.
        """
        if self._budget.used + n_bytes > self._budget.most:
            raise busy("uploads fill the memory that is set aside for them; try again soon")
        self._budget.used += n_bytes
        self.held += n_bytes


class RateLimit:
    """A token bucket for each caller: `rate` requests a minute, with a burst of what ten seconds give.

    Args:
        rate: requests a minute; 0: no limit.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.burst = max(1.0, rate * BURST_SECONDS / 60)
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, caller: str, now: float | None = None) -> None:
        """Count one request.

        Raises:
            Problem: `rate_limited`, with Retry-After.
        """
        if not self.rate:
            return
        now = time.monotonic() if now is None else now
        left, since = self._left.get(caller, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate / 60)
        if left < 1:
            wait = max(1, math.ceil((1 - left) * 60 / self.rate))
            detail = f"this token may send {self.rate} requests a minute; try again in {wait} s"
            raise Problem("rate_limited", detail, {"Retry-After": str(wait)})
        if len(self._left) >= KNOWN_CALLERS and caller not in self._left:
            self._left.clear()
        self._left[caller] = (left - 1, now)
