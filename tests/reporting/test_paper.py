import csv
from pathlib import Path

import pytest

from lesionlens.reporting import paper

TABLES = Path(__file__).parents[3] / "shared" / "paper"


def table(name: str, key: str) -> dict[str, dict[str, float]]:
    path = TABLES / name
    if not path.is_file():
        pytest.skip(f"the paper's tables are not here: {path}")
    with path.open(encoding="utf-8") as stream:
        return {row[key]: {k: float(v) for k, v in row.items() if k != key} for row in csv.DictReader(stream)}


def test_table_8_is_the_papers():
    assert table("table08_per_class.csv", "dx") == paper.TABLE_8


def test_table_9_is_the_papers():
    names = {"base": "base", "offline": "offline augmentation", "online": "online MixUp/CutMix", "both": "both (proposed)"}
    printed = table("table09_augmentation_ablation.csv", "model")
    assert {arm: printed[name] for arm, name in names.items()} == paper.TABLE_9


def test_table_12_is_the_papers_convnexts():
    printed = table("table12_backbones.csv", "model")
    assert {name: printed[name] for name in paper.TABLE_12} == paper.TABLE_12


def test_table_7_is_the_last_row_of_table_9():
    assert paper.TABLE_9["both"] == paper.TABLE_7


# Diagonal and row sums of the paper's confusion matrix.
DIAGONAL = {
    "nv": (664, 671),
    "mel": (92, 112),
    "bkl": (99, 110),
    "bcc": (51, 52),
    "akiec": (25, 32),
    "vasc": (14, 14),
    "df": (9, 11),
}


@pytest.mark.parametrize("code", paper.TABLE_8)
def test_corrected_f1_follows_from_precision_and_recall(code):
    hits, cases = DIAGONAL[code]
    precision = paper.per_class(code, "precision").value
    called = round(hits / precision)
    assert paper.per_class(code, "f1").value == pytest.approx(2 * hits / (called + cases), abs=6e-5)
    assert paper.per_class(code, "recall").value == pytest.approx(hits / cases, abs=6e-5)


def test_overall_is_the_mean_of_the_corrected_classes():
    for metric in ("precision", "recall", "f1"):
        mean = sum(paper.per_class(code, metric).value for code in paper.TABLE_8) / 7
        assert mean == pytest.approx(paper.TABLE_7[metric] / 100, abs=1e-4)


def test_corrections_keep_what_was_printed():
    assert paper.per_class("vasc", "f1") == paper.PaperValue(0.9655, 99.90)
    assert paper.augmentation_arm("offline", "f1") == paper.PaperValue(0.9219, 98.05)
    assert paper.augmentation_arm("offline", "specificity") == paper.PaperValue(0.9805, 92.19)
    assert paper.per_class("mel", "recall").printed is None


def test_what_the_paper_does_not_have():
    assert paper.overall("ece") is None
    assert paper.per_class("scc", "recall") is None
    assert paper.per_class("mel", "ece") is None
    assert paper.backbone("mobilenetv2_100", "auc") is None


@pytest.mark.parametrize(("fill", "mixing", "arm"), [(0, 0, "base"), (1, 0, "offline"), (0, 0.5, "online"), (0.5, 0.5, "both")])
def test_arm_of_a_recipe(fill, mixing, arm):
    assert paper.arm_of(fill, mixing) == arm
