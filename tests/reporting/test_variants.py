"""The section about smaller and faster variants, on a table written by hand."""

import json

import pytest

from lesionlens.core.artifact import hash_file, write_json
from lesionlens.reporting.report import build_report
from lesionlens.reporting.run_folder import read_run
from lesionlens.reporting.variants import variants


def metric(value: float, gap: float) -> dict[str, float]:
    low, high = value - 0.02, value + 0.02
    return {
        "value": value,
        "low": low,
        "high": high,
        "difference": gap,
        "difference_low": gap - 0.001,
        "difference_high": gap + 0.001,
    }


def row(variant: str, balanced_accuracy: float, gap: float, size_bytes: int) -> dict:
    names = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "ece")
    return {
        "variant": variant,
        "runtime": "openvino",
        "available": True,
        "metrics": {name: metric(balanced_accuracy, gap) for name in names},
        "size_bytes": size_bytes,
        "parameters": 2_000_000,
        "nonzero_parameters": 1_500_000,
        "macs": 320_000_000,
        "times": {"1": {"median_ms": 2.5, "p95_ms": 3.25}},
        "peak_memory_bytes": None,
    }


@pytest.fixture
def content() -> dict:
    counted = {"parameters": 100, "size_mib": 0.5}
    return {
        "rows": [
            row("fp32", 0.735, 0.0, 8_900_000),
            row("int8", 0.7331, -0.0019, 2_400_000),
            {"variant": "bf16", "runtime": "openvino", "available": False, "reason": "no bf16 here"},
        ],
        "batch_sizes": [1, 64],
        "n_images": 2003,
        "confidence": 0.95,
        "default": {"variant": "int8", "why": "it loses little."},
        "paper_count": {"fp32": counted, "dynamic_int8": {"parameters": 90, "size_mib": 0.4}, "linear": 10},
        "notes": ["a note"],
        "machine": {"processor": "a processor"},
    }


@pytest.fixture
def compressed_run(trained_run, content):
    made_from = {"checkpoint": hash_file(trained_run / "train" / "best.safetensors")}
    write_json(trained_run / "compress" / "compression.json", {**content, "made_from": made_from})
    return trained_run


def test_rows_by_hand(compressed_run):
    shown = variants(read_run(compressed_run))
    fp32, int8 = shown["rows"]
    assert (fp32["variant"], fp32["cells"][0]["difference"]) == ("fp32", "")
    assert int8["cells"][0] == {"value": "73.3\u202f%", "difference": "-0.2 (-0.3 to -0.1)"}
    assert int8["cells"][1] == {"value": "0.733", "difference": "-0.002 (-0.003 to -0.001)"}
    assert (int8["size"], int8["nonzero"], int8["memory"]) == ("2.4\u202fMB", "1.50", "–")
    assert int8["times"] == [{"median": "2.50", "p95": "p95 3.25"}, {"median": "–", "p95": ""}]
    assert shown["missing"] == ["bf16: no bf16 here"]


def test_the_page_tells_the_default_and_the_papers_count(compressed_run):
    page = build_report(compressed_run)
    section = page[page.index('<section id="variants"') : page.index('<section id="provenance"')]
    assert "The bundle runs int8 by default: it loses little." in section
    assert "The paper’s own count" in section or "The paper&#39;s own count" in section
    assert "Times on: a processor." in section


def test_without_a_table_there_is_none(trained_run):
    assert variants(read_run(trained_run)) is None


def test_of_another_checkpoint_is_left_out(compressed_run):
    path = compressed_run / "compress" / "compression.json"
    write_json(path, {**json.loads(path.read_text()), "made_from": {"checkpoint": "0" * 64}})
    assert read_run(compressed_run).compression is None
