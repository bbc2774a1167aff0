import copy

import pytest

from lesionlens.compression.table import footnote, text

FIGURE = {
    **{"value": 0.75, "low": 0.7, "high": 0.8},
    **{"difference": -0.0021, "difference_low": -0.006, "difference_high": 0.0019, "p": 0.3},
}
COUNTED = {
    "fp32": {"parameters": 27_825_511, "size_mib": 106.145},
    "dynamic_int8": {"parameters": 1_908_480, "size_mib": 7.2803},
    "linear": 25_917_031,
}


@pytest.fixture
def content():
    row = {
        **{"variant": "fp32", "runtime": "openvino", "available": True, "size_bytes": 8_897_031},
        **{"parameters": 2_232_839, "nonzero_parameters": 2_232_000, "macs": 220_500_000, "batch_sizes": [1, 64]},
        "metrics": dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "ece"), FIGURE),
        "times": {"1": {"median_ms": 2.5, "p95_ms": 3.25}, "64": {"median_ms": 1.5, "p95_ms": 1.75}},
        "peak_memory_bytes": 123_456_789,
    }
    int8 = {**copy.deepcopy(row), "variant": "int8", "times": None, "peak_memory_bytes": None}
    bf16 = {"variant": "bf16", "runtime": "openvino", "available": False, "reason": "this processor has no bf16 arithmetic"}
    return {
        **{"name": "light", "split": "test", "n_images": 2003, "n_lesions": 1494, "protocol": "lesion"},
        **{"confidence": 0.95, "resamples": 2000, "batch_sizes": [1, 64], "rows": [row, bf16, int8]},
        **{"paper_count": COUNTED, "notes": ["A note."], "default": {"variant": "int8", "why": "it loses 0.20 points."}},
    }


def lines_of(content, start):
    return [line for line in text(content).splitlines() if line.startswith(start)]


def test_fp32_stands_alone_and_others_with_their_difference(content):
    assert "(" not in lines_of(content, "fp32")[0]
    assert lines_of(content, "int8")[0].count("0.7500 (-0.0021: -0.0060 to +0.0019)") == 5


def test_costs_have_their_units(content):
    fp32, int8 = lines_of(content, "fp32")[1], lines_of(content, "int8")[1]
    words = ("8.90", "2,232,839", "2,232,000", "220.5", "2.50 (p95 3.25)", "1.50 (p95 1.75)", "123")
    assert [fp32.count(word) for word in words] == [1] * len(words)
    assert int8.split()[-3:] == ["-", "-", "-"]


def test_what_cannot_be_had_here_is_said(content):
    assert lines_of(content, "bf16") == ["bf16 on openvino: this processor has no bf16 arithmetic"]


def test_head_default_and_notes(content):
    whole = text(content)
    assert "test split, 2003 images of 1494 lesions, protocol lesion" in whole
    assert "95 % interval by lesion, paired" in whole
    assert "The bundle runs int8 by default: it loses 0.20 points." in whole
    assert whole.endswith("A note.")


def test_an_undefined_metric_is_a_dash(content):
    content["rows"][2]["metrics"] = {name: dict.fromkeys(FIGURE) for name in content["rows"][2]["metrics"]}
    assert lines_of(content, "int8")[0].count("- (-)") == 5


def test_the_footnote_is_the_papers_table_11():
    said = footnote(COUNTED)
    assert "27,825,511 parameters (106.14 MB) in fp32, 1,908,480 (7.28 MB)" in said
    assert '"93.1 % smaller"' in said
    assert "25,917,031 numbers inside linear layers" in said
