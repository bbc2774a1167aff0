from tests.reporting.documents.conftest import external

from lesionlens.reporting.documents import assessed_external


def test_each_data_set_stands_beside_the_own_test_split():
    text = assessed_external.section({"clinic": external(), "b|d": external("b|d")})
    assert "| own test split | 47 | 90.0 % (85.0 to 95.0) | 0.900 (0.850 to 0.950) |" in text
    assert "| clinic | 598 | 70.0 % (65.0 to 75.0) | 0.700 (0.650 to 0.750) |" in text
    assert "| b/d | 598 |" in text
    assert "600 images, 2 left out because they may be training images, 1 unreadable, 30 refused by the gate" in text
    assert "25.0 % beyond the threshold; 31.0 % of the images would have to change diagnosis" in text


def test_the_worst_set_is_the_limit():
    (limit,) = assessed_external.limits({"good": external("good", 0.85), "bad": external("bad", 0.6)})
    assert limit.text == (
        "On bad (598 images) the AUC for melanoma is 0.600 (0.550 to 0.650), on the own test split 0.900 (0.850 to 0.950)."
    )


def test_sets_without_melanoma_or_without_any_score():
    content = external()
    content["key_figures"]["image"]["figures"]["melanoma_auc"]["value"] = None
    content["internal"] = None
    (limit,) = assessed_external.limits({"clinic": content})
    assert limit.text.startswith("On clinic (598 images) the AUC for malignant lesions is 0.700")
    assert limit.text.endswith("0.750).")
    assert assessed_external.limits({"clinic": external(auc=None)}) == []
    assert "own test split" not in assessed_external.section({"clinic": content})


def test_what_was_not_measured_says_why():
    content = external()
    content["shift"] = {"distance": {"reason": "the model has no gate"}, "prior": {"observed_from_training": None}}
    assert assessed_external.shift({"clinic": content}) == (
        "clinic: Distance from the training images: not measured (the model has no gate)."
    )
    assert assessed_external.answer({"clinic": content}).startswith("clinic: 600 images")


def test_a_reason_stands_once_below_the_table():
    content = external()
    for name in ("melanoma_sensitivity", "melanoma_specificity"):
        content["key_figures"]["image"]["figures"][name] = {"value": None, "low": None, "high": None, "reason": "no threshold"}
    text = assessed_external.section({"clinic": content})
    assert "| undefined | undefined |" in text
    assert text.count("no threshold") == 1
    assert "- Undefined: sensitivity melanoma (clinic), specificity melanoma (clinic), because no threshold." in text
