"""Training curves of all rows on common axes."""

import re

from lesionlens.experiments.curves import curve_panels
from lesionlens.training.history import Epoch, write_history


def history(losses: list[float]) -> list[Epoch]:
    return [
        Epoch(number, 0.1, loss, 0.5, {"loss": loss + 0.1, "accuracy": 0.4}, 10.0, 1.0, 0.0, True)
        for number, loss in enumerate(losses, start=1)
    ]


def row(name: str, *folders: str) -> dict:
    return {"name": name, "title": "", "runs": [{"folder": folder} for folder in folders]}


def test_every_run_is_a_line_and_rows_share_their_axes(tmp_path):
    for folder, losses in {"a0": [4.0, 3.0, 2.0], "a1": [4.0, 3.5, 2.5], "b0": [1.0, 0.5]}.items():
        write_history(history(losses), tmp_path / folder / "train" / "history.jsonl")
    table = {"rows": [row("a", "a0", "a1"), row("b", "b0"), row("broken", "c0")]}
    first, second = curve_panels(table, tmp_path)
    assert (first["name"], first["runs"], second["name"], second["runs"]) == ("a", 2, "b", 1)
    assert first["loss"].count("<path") == 4, "training and validation of two runs"
    assert second["accuracy"].count("<path") == 2
    assert ticks(first["loss"]) == ticks(second["loss"])
    assert ">4</text>" in second["loss"], "the largest loss of all rows decides"
    assert "first run ends at 2 in training and 2.1 in validation" in first["loss"]


def ticks(drawing: str) -> list[str]:
    return re.findall(r">([\d.]+)</text>", drawing)


def test_one_epoch_is_a_dot_and_none_is_nothing(tmp_path):
    write_history(history([1.0]), tmp_path / "a0" / "train" / "history.jsonl")
    (panel,) = curve_panels({"rows": [row("a", "a0")]}, tmp_path)
    assert panel["loss"].count("<circle") == 2
    assert curve_panels({"rows": [row("a", "nowhere")]}, tmp_path) == []
