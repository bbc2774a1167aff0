import pytest

from lesionlens.reporting import formats


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.9521, "95.2"),
        ("macro_auc", 0.95821, "0.958"),
        ("nll", 0.5, "0.500"),
        ("recall", None, "–"),
        ("ece", float("nan"), "–"),
    ],
)
def test_metrics(name, value, text):
    assert formats.metric_text(name, value) == text


def test_intervals():
    assert formats.interval_text("recall", {"low": 0.5, "high": 0.6123}) == "50.0–61.2"
    assert formats.interval_text("auc", {"low": 0.5, "high": 1.0}) == "0.500–1.000"
    assert formats.interval_text("recall", {"low": None, "high": None}) == "–"


def test_plurals_and_sizes():
    assert formats.plural(1, "image") == "1 image"
    assert formats.plural(2000, "image") == "2,000 images"
    assert formats.size_text(295_000) == "295\u202fkB"
    assert formats.size_text(5_940_000) == "5.9\u202fMB"
    assert [formats.duration_text(s) for s in (43, 1260, 7500)] == ["43\u202fs", "21\u202fmin", "2\u202fh 05\u202fmin"]
    assert formats.percent(0.386) == "38.6\u202f%"
    assert formats.percent(None) == "–"
