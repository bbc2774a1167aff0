"""Numbers and columns for a terminal."""

import doctest

import pytest

from lesionlens.assessment.decisions import table
from lesionlens.assessment.decisions.table import aligned, number


def test_examples():
    assert doctest.testmod(table).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"value": -0.5, "low": -0.6, "high": 0.1}, "-0.500 (-0.600 to 0.100)"),
        ({"value": 0.5, "low": None, "high": None, "reason": "few", "count": 1, "of": 2}, "0.500 (1 of 2)"),
        ({"value": 0.5, "low": None, "high": None, "reason": "exact at this prevalence"}, "0.500"),
        ({"value": None, "low": None, "high": None, "reason": "never called"}, "- (never called)"),
    ],
)
def test_a_number_shows_its_interval_its_count_or_its_reason(value, text):
    assert number(value) == text


def test_columns_are_aligned():
    assert aligned([("a", "bb"), ("ccc", "d")]) == "a    bb\nccc   d"
