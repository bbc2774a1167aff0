import dataclasses
import json

import numpy as np
import pytest

from lesionlens.core.labels import LabelSet
from lesionlens.evaluation.scores import score
from lesionlens.evaluation.tables import scores_table, warnings
from lesionlens.evaluation.weighted_metrics import OVERALL, PER_CLASS


def test_every_metric_of_the_schema(draw):
    scores = score(draw(200), resamples=100)
    json.dumps(scores, allow_nan=False)
    assert list(scores["metrics"]) == list(OVERALL)
    assert list(scores["per_class"]) == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    for row in scores["per_class"].values():
        assert row.keys() == {"n", "n_lesions", *PER_CLASS}
        assert row["recall"].keys() == {"value", "low", "high", "method", "count", "of"}
    used = {row[key]["method"] for row in scores["per_class"].values() for key in PER_CLASS}
    used |= {metric["method"] for metric in scores["metrics"].values()}
    assert used == scores["methods"].keys()
    assert scores["format"] == 2
    assert (scores["n_images"], scores["n_lesions"], scores["n_classes_averaged"]) == (200, 100, 7)
    assert (scores["name"], scores["seed"], scores["protocol"], scores["split"]) == ("drawn", 3, "lesion", "test")
    assert scores["made_from"] == {"split": "s", "checkpoint": "c"}
    assert LabelSet.from_json(scores["labels"]).codes == tuple(scores["per_class"])


def test_metrics_agree_with_the_confusion(draw):
    predictions = draw(200)
    scores = score(predictions, resamples=100)
    confusion = np.array(scores["confusion"])
    assert confusion.sum() == 200
    assert scores["metrics"]["accuracy"]["value"] == np.trace(confusion) / 200
    for c, row in enumerate(scores["per_class"].values()):
        assert row["n"] == confusion[c].sum()
        assert row["recall"]["value"] == pytest.approx(confusion[c, c] / confusion[c].sum())


def test_same_seed_same_scores_in_any_order(draw):
    predictions = draw(120)
    shuffled = predictions.take(np.random.default_rng(0).permutation(120))
    first, second = score(predictions, resamples=100), score(shuffled, resamples=100)
    assert first == score(predictions, resamples=100)
    assert first["confusion"] == second["confusion"]
    for name in OVERALL:
        for end in ("value", "low", "high"):
            assert first["metrics"][name][end] == pytest.approx(second["metrics"][name][end], abs=1e-12)


def test_absent_class_is_null_and_said(draw):
    predictions = draw(210)
    scores = score(predictions.take(predictions.labels != 3), resamples=100)
    assert scores["n_classes_averaged"] == 6
    assert scores["per_class"]["df"]["n"] == 0
    recall = scores["per_class"]["df"]["recall"]
    assert (recall["value"], recall["low"], recall["high"]) == (None, None, None)
    assert recall["reason"] == "no images of this diagnosis"
    assert "macro means over 6 of 7 diagnoses" in scores_table(scores)


def test_leak_is_said_in_words(draw):
    predictions = draw(100)
    assert warnings(score(predictions, resamples=100)) == []
    leaking = dataclasses.replace(predictions.origin, protocol="paper", leaks=True, leak_rate=0.386)
    table = scores_table(score(dataclasses.replace(predictions, origin=leaking), resamples=100))
    assert table.startswith("LEAKING SPLIT (protocol paper): 38.6 % of these images show a lesion that was also trained on.")
    trained = dataclasses.replace(predictions.origin, split="train", n_dropped=2)
    table = scores_table(score(dataclasses.replace(predictions, origin=trained), resamples=100))
    assert "were trained on" in table
    assert "2 images of this split could not be read" in table


def test_table_holds_values_and_intervals(draw):
    scores = score(draw(200), resamples=100)
    lines = scores_table(scores).splitlines()
    number = scores["metrics"]["balanced_accuracy"]
    (line,) = (line for line in lines if line.startswith("balanced accuracy"))
    assert line.split() == [
        "balanced",
        "accuracy",
        *(f"{number[end]:.4f}" for end in ("value", "low")),
        "to",
        f"{number['high']:.4f}",
        "mover",
    ]
    assert sum(line.startswith("mel ") for line in lines) == 1


def test_few_lesions_give_counts_and_no_interval(draw):
    predictions = draw(280)
    few = predictions.take((predictions.labels != 3) | (np.arange(280) < 84))
    scores = score(few, resamples=100)
    recall = scores["per_class"]["df"]["recall"]
    n_lesions, n = scores["per_class"]["df"]["n_lesions"], scores["per_class"]["df"]["n"]
    assert (n_lesions, n, recall["of"]) == (12, 13, 13)
    assert recall["value"] == recall["count"] / 13
    assert (recall["low"], recall["high"]) == (None, None)
    assert recall["reason"] == "12 lesions of this diagnosis; an interval needs 20"
    table = scores_table(scores)
    assert f"{recall['value']:.3f} ({recall['count']} of 13)" in table
    assert "Fewer than 20 lesions, so counts and no intervals: df (12)" in table
    assert "ECE is debiased" in table


def test_scores_of_the_first_format_are_printed(draw):
    scores = score(draw(200), resamples=100)
    old = {key: value for key, value in scores.items() if key not in ("format", "methods", "least_lesions")}
    bare = {name: {end: metric[end] for end in ("value", "low", "high")} for name, metric in scores["metrics"].items()}
    table = scores_table({**old, "metrics": bare})
    assert "macro means over 7 of 7" in table
    assert "ECE is debiased" not in table
