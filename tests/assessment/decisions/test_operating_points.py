"""Operating points: chosen on validation, reported on test."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.cases import Cases, Target
from lesionlens.assessment.decisions.operating_points import READERS, operating_points
from lesionlens.assessment.decisions.settings import DecisionSettings, Resampling
from lesionlens.core.labels import ISIC2016
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.scores import score

MELANOMA, MALIGNANT, HOW = Target("melanoma", ("mel",)), Target("malignant", ("akiec", "bcc", "mel")), Resampling(200)


def cases_of(split):
    return Cases.of(softmax(split.logits), split.labels, split.lesion_ids, split.label_set)


def points_of(validation, test, target=MELANOMA, **settings):
    return operating_points(target, cases_of(validation), cases_of(test), DecisionSettings(**settings), HOW)


def test_thresholds_are_of_validation_and_rates_of_test(draw):
    validation, test = draw(900, split="validation"), draw(900)
    found = points_of(validation, test)
    p, truth = softmax(test.logits)[:, 4], test.labels == 4
    own, own_truth = softmax(validation.logits)[:, 4], validation.labels == 4
    for row in found["at_specificity"]:
        assert (own[~own_truth] < row["threshold"]).mean() == pytest.approx(row["validation"]["specificity"])
        assert row["validation"]["specificity"] >= row["stated"]
        assert row["test"]["sensitivity"]["value"] == pytest.approx((p[truth] >= row["threshold"]).mean())
        assert row["test"]["specificity"]["value"] == pytest.approx((p[~truth] < row["threshold"]).mean())
        assert row["curve"].keys() == {"sensitivity"}
    for row in found["at_sensitivity"]:
        assert row["validation"]["sensitivity"] >= row["stated"]
        assert row["curve"].keys() == {"specificity"}
    assert [row["prevalence"] for row in found["at_specificity"][0]["predictive_values"]] == [0.01, 0.05, 0.1, 0.2]


def test_the_auc_is_that_of_the_scores(draw):
    test = draw(600)
    expected = score(test, 100)["per_class"]["mel"]["auc"]
    found = points_of(draw(600, split="validation"), test)["auc"]
    for name in ("value", "low", "high"):
        assert found[name] == pytest.approx(expected[name])


def test_intervals_are_never_without_width(draw):
    found = points_of(draw(900, split="validation"), draw(900))
    for kind in ("at_specificity", "at_sensitivity"):
        for row in found[kind]:
            for each in (*row["test"].values(), *row["curve"].values()):
                assert each["low"] < each["high"]
                assert each["low"] <= each["value"] <= each["high"]


def test_several_diagnoses_are_added_up(draw):
    validation, test = draw(600, split="validation"), draw(600)
    found = points_of(validation, test, MALIGNANT)
    assert found["counts"]["test"]["positive"]["images"] == np.isin(test.labels, [0, 1, 4]).sum()
    assert "readers" not in found


def test_the_readers_stand_beside_the_network(draw):
    found = points_of(draw(900, split="validation"), draw(900), specificities=(0.9,))["readers"]
    assert found["sensitivity"] == READERS["sensitivity"] == 0.866
    assert found["point"]["stated"] == 0.713
    assert found["verdict"] == "higher than the readers' sensitivity"


@pytest.mark.parametrize(("sharpness", "verdict"), [(0.0, "lower"), (1.0, "higher")])
def test_the_verdict_follows_the_interval(draw, sharpness, verdict):
    random = np.random.default_rng(0)
    validation, test = draw(900, split="validation"), draw(900)
    for split in (validation, test):
        split.logits[:] = sharpness * split.logits + (1 - sharpness) * random.standard_normal(split.logits.shape)
    assert points_of(validation, test)["readers"]["verdict"].startswith(verdict)


def test_a_rate_that_the_validation_split_cannot_resolve(draw):
    found = points_of(draw(300, split="validation"), draw(300), sensitivities=(0.99,), specificities=(0.9999,))
    assert "a sensitivity of 0.99 cannot be chosen on" in found["at_sensitivity"][0]["reason"]
    assert found["at_sensitivity"][0]["reason"].endswith("validation lesions; it takes 100")
    assert "a specificity of 0.9999 cannot be chosen on" in found["at_specificity"][0]["reason"]
    assert "threshold" not in found["at_sensitivity"][0]


@pytest.mark.parametrize("absent_in", ["validation", "test"])
def test_a_split_without_melanoma(draw, absent_in):
    shares = {name: [1, 1, 1, 1, int(name != absent_in), 1, 1] for name in ("validation", "test")}
    found = points_of(*(draw(300, split=name, shares=shares[name]) for name in ("validation", "test")))
    expected = {"reason": f"no image of melanoma (mel) in the {absent_in} split"}
    assert all(found[name] == expected for name in ("at_specificity", "at_sensitivity", "auc", "partial_auc", "readers"))


def test_few_melanomas_have_counts_and_no_interval(draw):
    found = points_of(draw(900, split="validation"), draw(100))
    assert found["counts"]["test"]["positive"]["lesions"] < 20
    sensitivity = found["at_specificity"][0]["test"]["sensitivity"]
    assert sensitivity["low"] is None
    assert sensitivity["of"] == found["counts"]["test"]["positive"]["images"]
    assert found["auc"]["low"] is None
    assert found["readers"]["verdict"] == "not compared: the sensitivity has no interval"
    assert found["at_specificity"][0]["predictive_values"][0]["ppv"]["low"] is None


def test_a_perfect_ranking_has_no_interval_of_its_partial_area(draw):
    validation, test = draw(600, split="validation"), draw(600)
    for split in (validation, test):
        split.logits[:] = 20 * np.eye(7)[split.labels] + 0.01 * split.logits
    areas = points_of(validation, test)["partial_auc"]
    assert areas["standardised"]["value"] == 1
    assert areas["isic_2024"]["value"] == pytest.approx(0.2)
    assert areas["standardised"]["reason"] == "every resample gives the same"
    assert "positive lesions that score lowest; an interval needs 100" in areas["isic_2024"]["reason"]


def test_the_area_above_a_sensitivity_has_an_interval_where_enough_lesions_are_hard(draw):
    shares = [1, 1, 1, 1, 4, 4, 1]
    areas = points_of(draw(600, split="validation", shares=shares), draw(600, shares=shares))["partial_auc"]
    for each in (areas["standardised"], areas["isic_2024"]):
        assert each["low"] < each["value"] < each["high"]
        assert each["method"] == "bootstrap-logit"


def test_label_sets_of_two_diagnoses(draw):
    found = points_of(
        draw(300, split="validation", labels=ISIC2016, shares=[3, 1]),
        draw(300, labels=ISIC2016, shares=[3, 1]),
        Target("malignant", ("malignant",)),
    )
    assert found["auc"]["value"] > 0.8
