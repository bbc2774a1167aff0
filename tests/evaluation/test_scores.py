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
        assert row.keys() == {"n", *PER_CLASS}
        assert row["recall"].keys() == {"value", "low", "high"}
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
    assert scores["per_class"]["df"]["recall"] == {"value": None, "low": None, "high": None}
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
    ]
    assert sum(line.startswith("mel ") for line in lines) == 1
