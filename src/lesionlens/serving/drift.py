"""Drift: the gate's refusals and the prior, week by week, and an alarm when the last weeks differ from those before.

The prior is the mean malignant share. The last `RECENT` weeks are compared with the weeks before them: refusals by the
two-proportion z-test, the prior by Welch's z-test. An alarm needs |z| of at least `ALARM_Z` (two-sided p < 0.001), enough
predictions on both sides, and a difference that matters. Only predictions of one bundle are compared: another model has
another prior.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from lesionlens.serving.history import History
from lesionlens.serving.identifiers import first_of

WEEKS, RECENT = 14, 2  # so that a Monday is not blind
ALARM_Z = 3.29
LEAST_RECENT, LEAST_BEFORE = 30, 100  # predictions
LEAST_DIFFERENCE = {"refusals": 0.05, "prior": 0.05}
DAYS = """SELECT substr(a.created, 1, 10), a.outcome, count(*), coalesce(sum(s.malignant_share), 0),
    coalesce(sum(s.malignant_share * s.malignant_share), 0), count(s.malignant_share)
    FROM answers a JOIN subjects s ON s.prediction = a.id WHERE a.bundle_id = ? AND a.id >= ? GROUP BY 1, 2"""


class Sums(NamedTuple):
    """Counts of some predictions, and sums of their malignant shares."""

    n: int = 0
    refused: int = 0
    not_sure: int = 0
    shares: int = 0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, other: Sums) -> Sums:
        """Of both together."""
        counts = (self.n + other.n, self.refused + other.refused, self.not_sure + other.not_sure, self.shares + other.shares)
        return Sums(*counts, self.total + other.total, self.squares + other.squares)

    @property
    def prior(self) -> float | None:
        """Mean malignant share; None without any."""
        return self.total / self.shares if self.shares else None

    @property
    def variance(self) -> float:
        """Of single malignant shares."""
        mean = self.total / self.shares
        return max(0.0, self.squares / self.shares - mean * mean) * self.shares / max(1, self.shares - 1)


def drift(history: History, bundle_id: str, now: datetime | None = None) -> dict[str, Any]:
    """Weeks and alarms as `Drift` in `worklist_schemas`, of the predictions of one bundle."""
    today = (now or datetime.now(UTC)).date()
    first = monday(today) - timedelta(weeks=WEEKS - 1)
    weeks = {first + timedelta(weeks=week): Sums() for week in range(WEEKS)}
    start = first_of(1000 * int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()))
    with history.reading() as connection:
        for day, outcome, n, total, squares, shares in connection.execute(DAYS, (bundle_id, start)):
            week = monday(date.fromisoformat(day))
            if week in weeks:  # not what a clock that was wrong dated later
                refused, unsure = (n if outcome == kind else 0 for kind in ("not_usable", "not_sure"))
                weeks[week] = weeks[week].plus(Sums(n, refused, unsure, shares, total, squares))
    return {"bundle": bundle_id, "weeks": [_week(day, sums) for day, sums in weeks.items()], **alarms(list(weeks.values()))}


def monday(day: date) -> date:
    """The first day of its ISO week."""
    return day - timedelta(days=day.weekday())


def alarms(weeks: list[Sums]) -> dict[str, Any]:
    """What moved between the last weeks and those before; `state` says if there is enough to tell.

    Args:
        weeks: oldest first; the last `RECENT` are compared with the others.
    """
    before, recent = Sums(), Sums()
    for at, sums in enumerate(weeks):
        if at < len(weeks) - RECENT:
            before = before.plus(sums)
        else:
            recent = recent.plus(sums)
    if recent.n < LEAST_RECENT or before.n < LEAST_BEFORE:
        return {"state": "too_few", "alarms": []}
    found = [each for each in (_refusals(before, recent), _prior(before, recent)) if each is not None]
    return {"state": "alarm" if found else "steady", "alarms": found}


def _refusals(before: Sums, recent: Sums) -> dict[str, Any] | None:
    pooled = (before.refused + recent.refused) / (before.n + recent.n)
    error = math.sqrt(pooled * (1 - pooled) * (1 / before.n + 1 / recent.n))
    return _alarm("refusals", before.refused / before.n, recent.refused / recent.n, error)


def _prior(before: Sums, recent: Sums) -> dict[str, Any] | None:
    if before.prior is None or recent.prior is None:
        return None
    error = math.sqrt(before.variance / before.shares + recent.variance / recent.shares)
    return _alarm("prior", before.prior, recent.prior, error)


def _alarm(what: str, before: float, recent: float, error: float) -> dict[str, Any] | None:
    difference = recent - before
    if abs(difference) < LEAST_DIFFERENCE[what] or abs(difference) < ALARM_Z * error:
        return None
    return {"what": what, "before": before, "recent": recent, "z": difference / error if error else None}


def _week(day: date, sums: Sums) -> dict[str, Any]:
    share = None if not sums.n else sums.refused / sums.n
    return {
        "week": day.isoformat(),
        "predictions": sums.n,
        "not_usable": sums.refused,
        "not_sure": sums.not_sure,
        "refusal_share": share,
        "prior": sums.prior,
    }
