"""Subgroups: what is scored, what is marked, and which gaps are named."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lesionlens.assessment.subgroups.subgroups import assess_subgroups
from lesionlens.assessment.subgroups.table import subgroups_text
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, Record
from lesionlens.data.store import pack
from lesionlens.evaluation.metric_intervals import metric_intervals
from lesionlens.evaluation.predictions import Origin, Predictions
from lesionlens.evaluation.weighted_metrics import WeightedMetrics

Draw = Callable[..., tuple[Predictions, Index]]
HALVES = np.repeat([0, 1], 350)


def attribute(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in result["attributes"] if each["name"] == name)


def test_metrics_of_a_group_are_those_of_its_images(draw: Draw) -> None:
    predictions, index = draw(sex=np.array(["female", "male"])[HALVES])
    result = assess_subgroups(predictions, index)
    female = attribute(result, "sex")["groups"][0]
    own = predictions.take(predictions.sex == "female")
    expected = metric_intervals(WeightedMetrics.of(own.logits, own.labels), own.lesion_ids, 100)
    assert (female["group"], female["n_images"], female["n_lesions"]) == ("female", 350, 175)
    for name in ("accuracy", "balanced_accuracy", "ece"):
        assert female["metrics"][name] == expected[name][0].to_json()
    assert female["metrics"]["auc_melanoma"] == expected["auc"][HAM10000.index("mel")].to_json()


def test_json_and_order_of_images(draw: Draw) -> None:
    predictions, index = draw(sex=np.array(["female", "male"])[HALVES], age=np.linspace(5, 95, 700))
    result = assess_subgroups(predictions, index)
    json.dumps(result, allow_nan=False)
    shuffled = assess_subgroups(predictions.take(np.random.default_rng(1).permutation(700)), index)
    for one, other in zip(result["attributes"], shuffled["attributes"], strict=True):
        for first, second in zip(one["groups"], other["groups"], strict=True):
            assert first["metrics"]["accuracy"] == second["metrics"]["accuracy"]


def test_a_gap_that_is_there_is_named_and_one_that_is_not_is_not_significant(draw: Draw) -> None:
    predictions, index = draw(
        1400,
        skill=np.where(np.repeat([0, 1], 700), 2.5, 0.8),
        sex=np.repeat(["female", "male"], 700),
        site=np.repeat(np.random.default_rng(3).choice(["back", "face", "hand"], 700), 2),
    )
    result = assess_subgroups(predictions, index)
    sex, site = (attribute(result, name)["gaps"] for name in ("sex", "site"))
    for metric in ("accuracy", "balanced_accuracy", "auc_malignant"):
        assert (sex[metric]["better"], sex[metric]["worse"]) == ("male", "female")
        assert sex[metric]["difference"]["low"] > 0
    assert sex["auc_malignant"]["p_holm"] < 0.001
    assert site["auc_malignant"]["p_holm"] > 0.05
    assert site["auc_malignant"]["difference"]["low"] < 0
    assert sex["balanced_accuracy"]["classes"] == list(HAM10000.codes)


def test_small_groups_are_marked_and_not_scored(draw: Draw) -> None:
    sites = np.array(["back"] * 660 + ["ear"] * 38 + ["acral"] * 2)
    predictions, index = draw(site=sites)
    back, ear, acral = attribute(assess_subgroups(predictions, index), "site")["groups"]
    assert back["scored"]
    assert (ear["scored"], ear["metrics"], ear["reason"]) == (False, {}, "19 lesions; a score needs 20")
    assert acral["reason"] == "1 lesion; a score needs 20"


def test_unknown_values_and_lesions_in_two_groups_are_counted(draw: Draw) -> None:
    sex = np.array(["female", "male"])[HALVES]
    sex[:4], sex[4] = "", "male"
    result = attribute(assess_subgroups(*draw(sex=sex)), "sex")
    assert (result["n_unknown"], result["n_lesions_in_several_groups"]) == (4, 1)


def test_what_the_index_lacks_is_not_available_with_its_reason(draw: Draw) -> None:
    predictions, index = draw()
    result = assess_subgroups(predictions, index)
    assert [each["name"] for each in result["attributes"] if each["reason"]] == [
        *("sex", "age", "site", "dx_type", "dataset", "lesion_size", "skin_tone")
    ]
    reason = attribute(result, "dx_type")["reason"]
    assert reason == "the index has no column dx_type; index the images again with: lesionlens index ROOT (the split stays valid)"
    assert "lesionlens pack INDEX" in attribute(result, "skin_tone")["reason"]
    assert "Ground truth: not available, because the index has no column dx_type" in subgroups_text(result)


def test_ages_have_bands(draw: Draw) -> None:
    ages = np.repeat([0.0, 29.0, 30.0, 44.9, 75.0, 90.0, np.nan], 100)
    groups = attribute(assess_subgroups(*draw(age=ages)), "age")["groups"]
    assert [(group["group"], group["n_images"]) for group in groups] == [
        ("0 to 29", 200),
        ("30 to 44", 200),
        ("75 and over", 200),
    ]


def test_only_benign_lesions_have_no_auc_and_no_gap_of_it(draw: Draw) -> None:
    predictions, index = draw(dx_type=np.repeat(["histo", "follow_up"], 350))
    nv = HAM10000.index("nv")
    labels = np.where(HALVES == 1, nv, predictions.labels)
    benign = Predictions(**{**vars(predictions), "labels": labels})
    records = tuple(Record(**{**vars(r), "dx": HAM10000.codes[c]}) for r, c in zip(index.records, labels, strict=True))
    result = attribute(assess_subgroups(benign, Index(records, HAM10000, index.root, "drawn")), "dx_type")
    follow_up = next(group for group in result["groups"] if group["group"] == "follow_up")
    assert follow_up["metrics"]["auc_malignant"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no images of malignant diagnoses",
    }
    assert result["gaps"]["auc_malignant"] is None
    assert result["gaps"]["balanced_accuracy"] is None  # one diagnosis in common is no balance


class TestPixels:
    """Lesion size and skin tone of real files: light and tan skin, small and large lesions."""

    spec = InputSpec(64, 64, "squash", (0.5,) * 3, (0.5,) * 3)

    @pytest.fixture(scope="class")
    @classmethod
    def assessed(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("masks")
        rng, records = np.random.default_rng(0), []
        for n in range(84):
            skin, radius = ((226, 196, 172), 10) if n < 42 else ((176, 128, 92), 26)
            y, x = np.mgrid[:64, :64] - 31.5
            lesion = np.hypot(x, y) < radius
            pixels = np.where(lesion[..., None], (90, 60, 50), skin) + rng.normal(0, 2, (64, 64, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{n}.png")
            Image.fromarray((255 * lesion).astype(np.uint8)).save(folder / f"{n}_mask.png")
            records.append(Record(f"i{n}", f"{n}.png", HAM10000.codes[n % 7], f"lesion{n}", mask=f"{n}_mask.png"))
        (folder / "0_mask.png").write_bytes(b"no picture")
        (folder / "1_mask.png").unlink()
        index = Index(tuple(records), HAM10000, folder, "drawn")
        labels = index.dx_indices()
        predictions = Predictions(
            *(
                np.array(index.ids),
                np.array([r.lesion_id for r in records]),
                labels,
                np.eye(7, dtype=np.float32)[labels],
                HAM10000,
            ),
            *(np.full(84, np.nan, np.float32), np.full(84, ""), np.full(84, "")),
            Origin("drawn", 0, "lesion", False, 0.0, "test"),
        )
        return assess_subgroups(predictions, index, pack(index, cls.spec, folder / "store"), cls.spec)

    def test_size_by_masks(self, assessed: dict[str, Any]) -> None:
        size = attribute(assessed, "lesion_size")
        assert [(group["group"], group["n_images"]) for group in size["groups"]] == [("under 10 %", 40), ("40 % and over", 42)]
        assert size["n_unknown"] == 2
        assert any("1 lesion masks are not readable" in note for note in size["notes"])
        assert any("1 lesion masks are not there; the first is i1" in note for note in size["notes"])

    def test_tone_is_an_estimate(self, assessed: dict[str, Any]) -> None:
        tone = attribute(assessed, "skin_tone")
        assert tone["estimate"]
        assert "estimate" in tone["title"]
        assert [(group["group"], group["n_images"]) for group in tone["groups"]] == [("very light", 42), ("tan", 42)]
