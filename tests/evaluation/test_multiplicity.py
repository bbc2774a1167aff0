import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.core.errors import DataError
from lesionlens.evaluation.multiplicity import Hypotheses, holm, non_inferiority


def test_holm_by_hand():
    """Holm 1979's procedure: 0.005 * 4, 0.011 * 3, then 0.02 * 2 and 0.04 * 1, never falling."""
    assert holm([0.02, 0.005, 0.04, 0.011]) == pytest.approx([0.04, 0.02, 0.04, 0.033])
    assert holm([0.01, None]) == [0.02, None]
    assert holm([0.6, 0.7]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_p_and_bonferroni(p_values):
    for adjusted, p in zip(holm(p_values), p_values, strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p) + 1e-12


@pytest.mark.parametrize(
    ("low", "high", "verdict", "text"),
    [
        (-0.004, 0.002, "non-inferior", "at worst it loses 0.4 points"),
        (-0.01, 0.0, "non-inferior", "the margin is 1.0"),
        (-0.03, -0.012, "inferior", "it loses at least 1.2 points"),
        (-0.03, 0.01, "inconclusive", "may lose up to 3.0 points"),
        (None, None, "inconclusive", "has no interval"),
        (0.0, 0.01, "non-inferior", "at worst it loses 0.0 points"),
    ],
)
def test_verdicts(low, high, verdict, text):
    judged = non_inferiority("int8", low, high, 0.01, "balanced accuracy")
    assert judged.verdict == verdict
    assert text in judged.text
    assert judged.to_json()["margin"] == 0.01


def test_undeclarable_hypotheses():
    with pytest.raises(DataError, match="'ece' cannot be tested"):
        Hypotheses("ece")
    with pytest.raises(DataError, match="declared twice"):
        Hypotheses("accuracy", ("macro_f1", "accuracy"))
