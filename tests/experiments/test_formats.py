"""What a table says in words and in Markdown, from numbers written by hand."""

from typing import Any

import pytest

from lesionlens.core.percent import p_number
from lesionlens.experiments.formats import caption, conclusion, cost_cells, markdown, scores_table, signed

NUMBER = {"value": 0.7, "low": 0.65, "high": 0.75, "training_sd": 0.012}


def row(name: str, difference: float | None = None, p: float | None = None, **changes: Any) -> dict[str, Any]:
    gap = {"difference": difference, "low": None, "high": None}
    if p is not None and difference is not None:
        gap |= {"low": difference - 0.02, "high": difference + 0.02}
    metrics = {"balanced_accuracy": NUMBER, "accuracy": NUMBER, "macro_f1": NUMBER, "macro_auc": NUMBER}
    return {
        "name": name,
        "title": "",
        "runs": [{"state": "done", "fold": "", "metrics": {}}] * 2,
        "metrics": metrics,
        "differences": {} if difference is None else {"balanced_accuracy": gap},
        "holm": {} if difference is None else {"balanced_accuracy": p},
        "paper": {},
        "cost": {},
        "reason": "",
        "n_images": 100,
        **changes,
    }


def table(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "grid": "mine",
        "title": "Mine",
        "heading": "arm",
        "primary": "balanced_accuracy",
        "family": ["accuracy"],
        "confidence": 0.95,
        "protocol": "lesion",
        "split": "test",
        "seeds": [0, 1],
        "watts": 0.0,
        "method": "by hand",
        "notes": [],
        "paper_rows": [],
        "rows": list(rows),
    }


def test_sentences_on_what_is_significant():
    found = conclusion(table(row("none"), row("both", 0.031, 0.004), row("online", -0.01, 0.4), row("broken")))
    assert found == (
        "Balanced accuracy differs from that of none in both +3.1 (1.1 to 5.1) (Holm, 5 % level). "
        "Balanced accuracy does not differ significantly from that of none in online -1.0 (-3.0 to 1.0): "
        "the intervals show which differences these runs cannot exclude. Not tested: broken."
    )
    assert conclusion(table(row("alone"))) == ""


def test_the_level_is_that_of_the_intervals():
    found = table(row("none"), row("both", 0.03, 0.06))
    assert "does not differ significantly" in conclusion(found)
    assert "differs from that of none in both" in conclusion({**found, "confidence": 0.9})


def test_the_scores_of_every_row():
    lines = scores_table(table(row("none"), row("a|b", 0.03, 0.0004, title="with a bar"))).splitlines()
    assert lines[0] == (
        "| arm | runs | Balanced accuracy | Accuracy | Macro F1 | Macro AUC | difference | p (Holm) | sd of training |"
    )
    assert lines[2].startswith("| none | 2 | 70.0 (65.0–75.0) |")
    assert "| reference |  | 1.2 |" in lines[2]
    assert r"a\|b (with a bar)" in lines[3]
    assert "| +3.0 (1.0 to 5.0) | < 0.001 | 1.2 |" in lines[3]


def test_a_row_without_runs_is_a_row_with_its_reason():
    runs = [{"state": "failed", "fold": "", "metrics": {}}] * 2
    broken = row("large", metrics={}, runs=runs, reason="large, seed 0: failed: out of memory")
    text = markdown(table(row("none"), broken))
    assert "| large | 0 of 2 | – | – |" in text
    assert "- large: large, seed 0: failed: out of memory" in text


def test_cost_in_its_units():
    cost = {"parameters": 27_825_511, "macs": 4_456_000_000, "peak_memory_bytes": 2_500_000_000, "peak_gpu_bytes": None}
    cost |= {"training_s": 90.0, "energy_kwh": 0.0123, "latency": {"median_ms": 12.34}}
    assert cost_cells(cost) == ["27.83", "4.456", "12.3", "2500", "1.5", "0.012"]
    assert cost_cells({**cost, "peak_gpu_bytes": 7_000_000_000, "latency": None, "energy_kwh": None})[2:] == [
        "–",
        "7000",
        "1.5",
        "–",
    ]


@pytest.mark.parametrize(("p", "text"), [(None, "–"), (0.00099, "< 0.001"), (0.0123, "0.012"), (1.0, "1.000")])
def test_p_values(p, text):
    assert p_number(p, "–") == text


def test_signs():
    assert signed("accuracy", {"difference": 0.0, "low": None, "high": None}) == "+0.0"
    assert signed("macro_auc", {"difference": -0.0123, "low": -0.02, "high": 0.01}) == "-0.012 (-0.020 to 0.010)"


def test_the_caption_names_split_protocol_and_metric():
    text = caption(table(row("none")))
    assert text.startswith("100 images of the test split, protocol lesion; 2 seeds; 95 % intervals by lesion")
    assert "Primary metric: balanced accuracy" in text
