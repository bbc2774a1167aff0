from datetime import UTC, datetime, timedelta

import pytest
from tests.serving.clinic_log import BUNDLE, ClinicLog

from lesionlens.serving.drift import RECENT, WEEKS, Sums, alarms, drift
from lesionlens.serving.history import History

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday


def sums(n, refused=0, share=0.2):
    usable = n - refused
    return Sums(n, refused, 0, usable, usable * share, usable * share)  # as of shares that are 0 or 1


def weeks(before, recent):
    return [before] * (WEEKS - RECENT) + [recent] * RECENT


def test_a_quiet_clinic_has_no_alarm():
    assert alarms(weeks(sums(50, 2), sums(50, 3))) == {"state": "steady", "alarms": []}


def test_more_refusals_are_an_alarm():
    found = alarms(weeks(sums(50, 1), sums(50, 10)))
    (alarm,) = found["alarms"]
    assert found["state"] == "alarm"
    assert (alarm["what"], alarm["before"], alarm["recent"]) == ("refusals", pytest.approx(0.02), pytest.approx(0.2))
    n, m = 50 * (WEEKS - RECENT), 50 * RECENT
    pooled = (0.02 * n + 0.2 * m) / (n + m)
    assert alarm["z"] == pytest.approx(0.18 / (pooled * (1 - pooled) * (1 / n + 1 / m)) ** 0.5)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_a_prior_that_moves_is_an_alarm(share):
    assert [each["what"] for each in alarms(weeks(sums(100), sums(100, share=share)))["alarms"]] == ["prior"]


def test_little_says_nothing():
    assert alarms(weeks(sums(50), sums(5, 5)))["state"] == "too_few"
    assert alarms(weeks(sums(1), sums(100, 90)))["state"] == "too_few"


def test_what_is_certain_but_small_is_none():
    assert alarms(weeks(sums(100_000, 1000), sums(100_000, 3000)))["state"] == "steady"


def test_weeks_are_counted_from_the_log(tmp_path):
    clinic = ClinicLog(tmp_path / "record.sqlite", NOW)
    for _ in range(3):
        clinic.add(age=timedelta(days=1), nv=0.75, mel=0.25)  # Sunday of the week before
    clinic.add(age=timedelta(days=1))
    clinic.add(nv=0.6, mel=0.4, outcome="not_sure")
    clinic.add(age=timedelta(weeks=WEEKS + 1), nv=0.9, mel=0.1)
    clinic.log.close()
    history = History(tmp_path / "record.sqlite")
    found = drift(history, BUNDLE, NOW)
    assert drift(history, "another", NOW)["weeks"][-1]["predictions"] == 0
    history.close()
    assert len(found["weeks"]) == WEEKS
    last, this = found["weeks"][-2:]
    assert last == {
        **{"week": "2026-11-16", "predictions": 4, "not_usable": 1, "not_sure": 0},
        **{"refusal_share": 0.25, "prior": pytest.approx(0.25)},
    }
    assert (this["week"], this["predictions"], this["not_sure"], this["prior"]) == ("2026-11-23", 1, 1, pytest.approx(0.4))
    assert sum(week["predictions"] for week in found["weeks"]) == 5
