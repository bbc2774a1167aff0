import pytest
from tests.serving.clinic_log import BUNDLE

from lesionlens.core.wilson import wilson
from lesionlens.serving.clinic_statistics import NOTE, calibration, clinic_statistics, proportion
from lesionlens.serving.history import History


def read(clinic, bundle=BUNDLE):
    history = History(clinic.record)
    try:
        return clinic_statistics(history, bundle)
    finally:
        history.close()


def test_agreement_counts_every_lesion_once(clinic):
    for number in range(15):
        clinic.review(clinic.add("A", f"L{number}", nv=0.9, mel=0.1), "nv")
    for _ in range(5):
        clinic.review(clinic.add(mel=0.9, bcc=0.1), "bcc")
    again = clinic.add("A", "L0", nv=0.8, mel=0.2)
    clinic.review(again, "nv")
    clinic.review(clinic.add(sha256="f" * 64, nv=0.9, mel=0.1), "other")
    clinic.review(clinic.add(sha256="f" * 64, nv=0.9, mel=0.1), "other")
    clinic.add(nv=0.9, mel=0.1)
    found = read(clinic)["agreement"]
    assert (found["reviewed"], found["not_comparable"]) == (21, 1)
    assert (found["diagnosis"]["hits"], found["diagnosis"]["n"]) == (15, 20)
    assert found["malignant"]["value"] == 1.0  # bcc and mel are both malignant
    low, high = wilson(0.75, 20)
    assert (found["diagnosis"]["low"], found["diagnosis"]["high"]) == pytest.approx((low, high))


def test_sensitivity_counts_not_sure_as_found(clinic):
    lesions = [
        ({"mel": 0.9, "nv": 0.1}, None, "mel"),
        ({"nv": 0.7, "mel": 0.3}, "not_sure", "mel"),
        ({"nv": 0.99, "mel": 0.01}, None, "bcc"),  # missed
        ({"nv": 0.9, "mel": 0.1}, None, "nv"),
        ({"mel": 0.6, "nv": 0.4}, None, "nv"),  # false alarm
        ({}, None, "mel"),  # not usable
        ({"nv": 0.9, "mel": 0.1, "bcc": 0.0}, None, "other"),
    ]
    for number, (probabilities, outcome, dx) in enumerate(lesions):
        full = {"bcc": 0.0, **probabilities} if probabilities else {}
        clinic.add("A", f"L{number}", outcome=outcome, **full)
        clinic.histology("A", f"L{number}", dx)
    found = read(clinic)["confirmed"]
    assert (found["lesions"], found["left_out"]) == (7, 2)
    assert (found["sensitivity"]["hits"], found["sensitivity"]["n"]) == (2, 3)
    assert (found["specificity"]["hits"], found["specificity"]["n"]) == (1, 2)
    assert found["by_diagnosis"]["mel"] == {**found["by_diagnosis"]["mel"], "hits": 1, "n": 2}
    assert found["calibration"]["predicted"] == pytest.approx((0.9 + 0.3 + 0.01 + 0.1 + 0.6) / 5)


def test_the_newest_prediction_of_a_lesion_is_taken(clinic):
    clinic.add("A", "L1", nv=0.9, mel=0.1)
    clinic.add("A", "L1", mel=0.9, nv=0.1)
    clinic.add("A", "L1")  # not usable: says nothing
    clinic.histology("A", "L1", "mel")
    found = read(clinic)
    assert found["confirmed"]["sensitivity"]["hits"] == 1
    assert found["note"] == NOTE


def test_another_bundle_has_its_own(clinic):
    clinic.review(clinic.add(nv=0.9, mel=0.1), "nv")
    assert read(clinic, "another")["agreement"]["reviewed"] == 0


def test_few_lesions_have_no_interval():
    assert proportion(19, 19)["value"] is None
    assert proportion(20, 20)["high"] == 1.0


def test_calibration_by_hand():
    found = calibration([0.0, 0.1, 1.0, 0.9], [False, True, True, True])
    assert found["predicted"] == pytest.approx(0.5)
    assert found["observed"]["hits"] == 3
    assert found["brier"] == pytest.approx((0 + 0.81 + 0 + 0.01) / 4)
    assert [each["observed"]["n"] for each in found["bins"]] == [1, 1, 0, 0, 2]  # 1.0 is in the last
