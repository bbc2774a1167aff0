"""decisions.json as a whole, on sound and on poor splits."""

import json

import numpy as np
import pytest

from lesionlens.assessment.decisions.decisions import assess_decisions
from lesionlens.assessment.decisions.settings import DecisionSettings, Resampling
from lesionlens.assessment.decisions.table import decisions_text
from lesionlens.core.errors import RecipeError
from lesionlens.core.labels import HAM10000, ISIC2016, PH2, Diagnosis, LabelSet
from lesionlens.evaluation.scores import score
from lesionlens.export.decision_fit import Guarantee

HOW = Resampling(100)
CLINIC = DecisionSettings(prevalence={"mel": 0.02}, cost_missed=50, cost_referral=1, guarantee=Guarantee("pac", 0.1))
SECTIONS = ("recalibration", "reliability", "questions", "guarantees", "conformal", "clinic")


@pytest.fixture(scope="module")
def content(draw):
    return assess_decisions(draw(900, split="validation", sharpness=1.5), draw(900, sharpness=1.5), CLINIC, HOW)


def undefined(value, path=""):
    """Paths of numbers that are None without a reason beside them."""
    if isinstance(value, dict):
        if value.get("value", 0) is None and not value.get("reason"):
            yield path
        for name, each in value.items():
            yield from undefined(each, f"{path}/{name}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from undefined(each, f"{path}/{place}")


def test_it_is_json_without_nan_and_every_gap_has_a_reason(content):
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content.keys() >= set(SECTIONS)
    assert list(undefined(content)) == []


def test_the_network_itself_is_scored_as_in_scores_json(draw, content):
    expected = score(draw(900, sharpness=1.5), 100)["metrics"]
    for name in ("nll", "brier", "ece"):
        for key in ("value", "low", "high"):
            assert content["recalibration"]["test"]["none"][name][key] == pytest.approx(expected[name][key])


def test_recalibration_helps_on_test(content):
    test = content["recalibration"]["test"]
    assert test["temperature"]["nll"]["value"] < test["none"]["nll"]["value"]
    assert test["temperature"]["ece"]["value"] < test["none"]["ece"]["value"]


def test_conformal_sets_are_never_marginal_alone(content):
    kinds = [(row["sets"]["score"], row["sets"]["group"]) for row in content["conformal"]]
    assert kinds == [("lac", "marginal"), ("lac", "class"), ("aps", "marginal"), ("aps", "class")]
    assert all(row["test"]["per_class"].keys() == set(HAM10000.codes) for row in content["conformal"])


def test_the_clinics_prevalence_is_used(content):
    clinic = content["clinic"]
    assert clinic["prior_correction"]["diagnoses"]["mel"]["prevalence"] == 0.02
    assert clinic["questions"]["melanoma"]["decision_curve"]["prevalence"] == pytest.approx(0.02)
    assert clinic["questions"]["melanoma"]["costs"]["prevalence"] == pytest.approx(0.02)
    own = content["questions"]["melanoma"]["decision_curve"]["prevalence"]
    assert own > 0.05


def test_nothing_is_stated(draw):
    content = assess_decisions(draw(300, split="validation"), draw(300), resampling=HOW)
    assert content["clinic"] is None
    assert content["questions"]["melanoma"]["costs"]["reason"].startswith("no costs are stated")


def test_what_is_reported_does_not_change_what_is_chosen(draw):
    """Another test split leaves every threshold and the recalibration as they are."""
    validation = draw(600, split="validation")
    first, second = (assess_decisions(validation, draw(600, seed=seed), resampling=HOW) for seed in (0, 9))
    assert first["recalibration"]["weights"] == second["recalibration"]["weights"]
    for name in ("at_specificity", "at_sensitivity"):
        thresholds = [[row["threshold"] for row in each["questions"]["melanoma"][name]] for each in (first, second)]
        assert thresholds[0] == thresholds[1]
    assert [row["sets"] for row in first["conformal"]] == [row["sets"] for row in second["conformal"]]


def test_the_same_seed_gives_the_same_numbers(draw):
    splits = draw(200, split="validation"), draw(200)
    assert assess_decisions(*splits, CLINIC, HOW) == assess_decisions(*splits, CLINIC, HOW)


WITHOUT_DF = [1, 1, 1, 0, 1, 1, 1]
WITHOUT_MELANOMA = [1, 1, 1, 1, 0, 1, 1]
BENIGN = LabelSet("benign", (Diagnosis("nv", "Nevus", False), Diagnosis("bkl", "Keratosis", False)))


@pytest.mark.parametrize(
    ("labels", "validation", "test", "n_lesions"),
    [
        (HAM10000, WITHOUT_DF, None, 200),
        (HAM10000, None, WITHOUT_DF, 200),
        (HAM10000, WITHOUT_MELANOMA, None, 200),
        (HAM10000, None, WITHOUT_MELANOMA, 200),
        (HAM10000, None, None, 12),
        (HAM10000, [0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1, 0], 30),
        (PH2, [80, 80, 40], [80, 80, 40], 100),
        (ISIC2016, [4, 1], [4, 1], 200),
        (BENIGN, [1, 1], [1, 1], 100),
    ],
    ids=["df-val", "df-test", "mel-val", "mel-test", "tiny", "one-class", "ph2", "isic2016", "benign"],
)
def test_poor_splits_are_reported_with_reasons(draw, labels, validation, test, n_lesions):
    splits = [
        draw(n_lesions, split=name, labels=labels, shares=shares) for name, shares in (("validation", validation), ("test", test))
    ]
    settings = DecisionSettings(cost_missed=50, cost_referral=1)
    content = assess_decisions(*splits, settings, HOW)
    assert json.dumps(content, allow_nan=False)
    assert list(undefined(content)) == []
    assert decisions_text(content)


def test_an_absent_diagnosis_is_named_once_in_the_notes(draw):
    content = assess_decisions(draw(200, split="validation", shares=WITHOUT_DF), draw(200), resampling=HOW)
    assert [note for note in content["notes"] if "df" in note] == [
        "The validation split has no image of df; nothing is said about them."
    ]


@pytest.mark.parametrize(
    ("labels", "reasons"),
    [
        (
            BENIGN,
            {
                "melanoma": "none of the diagnoses is melanoma: nv, bkl",
                "malignant": "none of the diagnoses is malignant: nv, bkl",
            },
        ),
        (ISIC2016, {"melanoma": "none of the diagnoses is melanoma: benign, malignant"}),
        (PH2, {"malignant": "melanoma is the only malignant diagnosis; see melanoma"}),
    ],
)
def test_questions_that_a_label_set_does_not_allow(draw, labels, reasons):
    shares = [60] * len(labels)
    content = assess_decisions(
        *(draw(120, split=n, labels=labels, shares=shares) for n in ("validation", "test")), resampling=HOW
    )
    for name, reason in reasons.items():
        assert content["questions"][name] == {"reason": reason}


def test_unknown_diagnoses_of_a_clinic_are_refused(draw):
    with pytest.raises(RecipeError, match="prevalence of melanoma; the diagnoses are akiec"):
        assess_decisions(draw(50, split="validation"), draw(50), DecisionSettings(prevalence={"melanoma": 0.1}), HOW)


def test_the_text_names_every_section(content):
    text = decisions_text(content)
    for words in ("recalibration", "melanoma (mel): AUC", "malignant (akiec + bcc + mel)", "58 dermatologists", "decision curve"):
        assert words in text
    for words in ("costs 50 (missed) and 1 (needless)", "pac (stated)", "lac, class", "at the clinic's prevalence"):
        assert words in text
    assert "nan" not in text.lower().replace("maligna", "")


def test_a_leaking_split_is_marked(draw):
    from dataclasses import replace

    test = draw(100)
    leaking = replace(test, origin=replace(test.origin, leaks=True))
    content = assess_decisions(draw(100, split="validation"), leaking, resampling=HOW)
    assert "The split leaks: these numbers are too good." in content["notes"]
    assert np.all([content["leaks"]])
