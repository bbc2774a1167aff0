import copy

import pytest

from lesionlens.bundle.card_limits import Limit, limits

DIAGNOSES = [
    {"code": "mel", "name": "Melanoma", "malignant": True},
    {"code": "nv", "name": "Nevus", "malignant": False},
]
NUMBER = {"value": 0.75, "low": 0.5, "high": 0.9}
SCORES = {
    "split": "test",
    "confusion": [[30, 10], [5, 55]],
    "per_class": {"mel": {"n": 40, "n_lesions": 30, "recall": NUMBER}, "nv": {"n": 60, "n_lesions": 50, "recall": NUMBER}},
    "metrics": {"ece": {"value": 0.01, "low": 0.0, "high": 0.02, "p": 0.4}},
    "least_lesions": 20,
    "temperature": 1.0,
}
ORIGIN = {"leaks": False, "leak_rate": 0.0, "source": "folder", "protocol": "lesion", "images": {"test": 100}}


@pytest.fixture
def facts():
    known = {
        "scores": SCORES,
        "origin": ORIGIN,
        "labels": {"diagnoses": DIAGNOSES},
        "licences": {"data": "CC0"},
        "variants": {},
        "gate": {"thresholds": {}},
        "decision": {"threshold": 0.1},
        "external": ["isic2017"],
        "skin_tone": True,
    }
    return copy.deepcopy(known)


def names(facts, *further):
    return [limit.name for limit in limits(facts, further)]


def test_a_good_model_has_one_limit_all_the_same(facts):
    (missed,) = limits(facts)
    assert missed.text == (
        "The most probable diagnosis is benign for 10 of 40 malignant images (25.0 %). "
        "It is melanoma for 75.0 % (interval 50.0 to 90.0 %) of the images of melanoma."
    )


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (
            {"origin": {**ORIGIN, "leaks": True, "leak_rate": 0.386}},
            "leaks",
            "38.6 % of the test images show a lesion that is also",
        ),
        ({"origin": {**ORIGIN, "leaks": True, "leak_rate": None}}, "leaks", "may be in training and in test (protocol lesion)"),
        ({"scores": {**SCORES, "split": "train"}}, "split", "the network was trained on them"),
        ({"scores": {**SCORES, "split": "validation"}}, "split", "they chose the epoch"),
        ({"origin": {**ORIGIN, "source": "synthetic"}}, "synthetic", "say nothing about skin"),
        ({"origin": {**ORIGIN, "n_unknown_lesion": 7}}, "unknown_lesion", "7 of 100 test images have no lesion id"),
        ({"origin": {**ORIGIN, "patient_leak_rate": 0.0004}}, "patients", "below 0.1 % of the test images"),
        ({"external": []}, "external", "No data set of another centre"),
        ({"decision": {"threshold": None}}, "not_sure", 'never says "not sure"'),
        ({"gate": None}, "gate", "does not check whether"),
        ({"skin_tone": False}, "skin_tone", "not recorded"),
        ({"licences": {"data": "not stated; ask"}}, "licence", "may be used is open"),
        ({"licences": {"data": "CC BY-NC 4.0; somebody"}}, "licence", "non-commercial use only (CC BY-NC 4.0)"),
    ],
)
def test_each_rule(facts, change, name, words):
    (limit,) = [limit for limit in limits(facts | change) if limit.name != "missed"]
    assert limit.name == name
    assert words in limit.text


def with_ece(**ece):
    return {**SCORES, "metrics": {"ece": {"value": 0.01, "low": None, "high": None, "p": None, **ece}}}


def test_calibration_is_a_limit_by_its_size_or_its_test(facts):
    assert "calibration" not in names(facts | {"scores": with_ece(value=0.05, p=0.05)})
    assert "calibration" in names(facts | {"scores": with_ece(value=0.051)})
    assert "calibration" in names(facts | {"scores": with_ece(p=0.049)})
    assert "calibration" not in names(facts | {"scores": with_ece(value=None)})
    text = limits(facts | {"scores": with_ece(value=0.0711, p=0.0001)})[1].text
    assert text == "The probabilities are off by 7.1 % on average (ECE; p below 0.001 that they are calibrated)."


def test_the_calibration_of_what_is_delivered_counts(facts):
    raw = {name: value for name, value in with_ece(value=0.2).items() if name != "temperature"}
    assert "calibration" not in names(facts | {"scores": raw, "calibrated_scores": with_ece()})
    (limit,) = [limit for limit in limits(facts | {"scores": raw}) if limit.name == "calibration"]
    assert "before the temperature" in limit.text


def test_small_and_absent_diagnoses(facts):
    rows = {"mel": SCORES["per_class"]["mel"], "nv": {"n": 9, "n_lesions": 3}, "df": {"n": 0, "n_lesions": 0}}
    (limit,) = [limit for limit in limits(facts | {"scores": {**SCORES, "per_class": rows}}) if limit.name == "few_lesions"]
    assert limit.text == "Fewer than 20 lesions were tested of nv (3), too few for an interval. No image of df was tested."


def test_malignant_images_that_are_not_there(facts):
    facts["scores"]["confusion"][0] = [0, 0]
    assert limits(facts)[0].text == "No malignant lesion was tested."
    facts["labels"]["diagnoses"][0]["malignant"] = False
    assert names(facts) == []


def test_without_scores(facts):
    assert names(facts | {"scores": None}) == ["not_measured"]


def test_what_is_not_exported_has_no_limits_of_a_bundle(facts):
    for name in ("variants", "gate", "decision"):
        del facts[name]
    assert names(facts) == ["missed"]


def test_what_others_find_is_ranked_among_them(facts):
    assert names(facts | {"external": []}, Limit(75, "gap", "A gap."), Limit(5, "worst", "Worst.")) == [
        "worst",
        "missed",
        "gap",
        "external",
    ]


def test_what_a_network_is_told_of_the_patient_is_a_limit(facts):
    assert "metadata" not in names(facts)
    (limit,) = (limit for limit in limits({**facts, "metadata": {"fields": ["age", "sex"]}}) if limit.name == "metadata")
    assert limit.text.startswith("It is told age and sex of the patient.")
