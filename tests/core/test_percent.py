import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.core.percent import percent


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.824, "82.4 %"),
        (0.0625, "6.3 %"),
        (0.9994, "99.9 %"),
        (0.9995, ">99.9 %"),
        (1.0, ">99.9 %"),
        (0.0, "<0.1 %"),
        (0.0005, "0.1 %"),
    ],
)
def test_by_hand(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(("share", "text"), [(0.07013, "7.01 %"), (0.00004, "<0.01 %"), (0.99996, ">99.99 %")])
def test_more_decimals(share, text):
    assert percent(share, 2) == text


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_is_not_below_never_reads_as_below(one, other):
    """So that "not below the threshold" cannot contradict its own numbers."""
    low, high = sorted((one, other))
    assert value(percent(low, 2)) <= value(percent(high, 2))


def value(text: str) -> float:
    number = float(text.strip("<> %"))
    return number - 0.001 if text.startswith("<") else number + 0.001 if text.startswith(">") else number


@given(st.floats(0, 1))
def test_nothing_reads_as_certain(share):
    assert percent(share) not in ("0.0 %", "100.0 %")
