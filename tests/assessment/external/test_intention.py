import numpy as np
import pytest

from lesionlens.assessment.external.binary import Cases
from lesionlens.assessment.external.flow import image_flow, outcomes_of
from lesionlens.assessment.external.intention import Intended, intention_lines, mean_recall
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.metric_intervals import metric_intervals
from lesionlens.evaluation.weighted_metrics import WeightedMetrics

MEL, NV, BCC = (HAM10000.index(code) for code in ("mel", "nv", "bcc"))


def intended(rows: list[tuple[int, int, bool, str]]) -> Intended:
    """Rows of (class or -1, first choice, malignant, outcome)."""
    labels, first, malignant, outcomes = zip(*rows, strict=True)
    probabilities = np.full((len(rows), 7), 0.05)
    probabilities[np.arange(len(rows)), list(first)] = 0.7
    names = np.array([f"L{number}" for number in range(len(rows))])
    truth = np.array(labels)
    return Intended(Cases(probabilities, truth, np.array(malignant), truth == MEL, names, HAM10000), np.array(outcomes))


EXAMPLE = intended(
    [
        (MEL, MEL, True, "diagnosed"),  # right
        (MEL, NV, True, "not_sure"),
        (MEL, BCC, True, "diagnosed"),  # wrong diagnosis, right malignancy
        (NV, NV, False, "diagnosed"),  # right
        (NV, NV, False, "refused"),
        (NV, MEL, False, "diagnosed"),  # false alarm
        (-1, BCC, True, "diagnosed"),  # a class that the model lacks, called malignant
        (NV, NV, False, "unreadable"),
    ]
)


def test_the_three_lines_by_hand() -> None:
    lines = intention_lines(EXAMPLE)
    values = {name: {key: row[key]["value"] for key in row if isinstance(row[key], dict)} for name, row in lines.items()}
    assert list(lines) == ["first_choice", "excluded", "wrong"]
    assert values["first_choice"]["accuracy"] == pytest.approx(3 / 6)  # mel; nv, nv of the readable ones
    assert values["excluded"]["accuracy"] == pytest.approx(2 / 4)
    assert values["wrong"]["accuracy"] == pytest.approx(2 / 7)
    assert values["first_choice"]["malignant_sensitivity"] == pytest.approx(3 / 4)
    assert values["excluded"]["malignant_sensitivity"] == pytest.approx(3 / 3)
    assert values["wrong"]["malignant_sensitivity"] == pytest.approx(3 / 4)
    assert values["excluded"]["malignant_specificity"] == pytest.approx(1 / 2)
    assert values["wrong"]["malignant_specificity"] == pytest.approx(1 / 4)
    assert values["excluded"]["balanced_accuracy"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert values["wrong"]["balanced_accuracy"] == pytest.approx((1 / 3 + 1 / 4) / 2)
    assert [row["n_images"] for row in lines.values()] == [7, 5, 8]
    assert [row["n_counted_wrong"] for row in lines.values()] == [0, 0, 3]


@pytest.mark.parametrize(("option", "names"), [("wrong", ["wrong"]), ("excluded", ["excluded"])])
def test_one_line_if_stated(option: str, names: list[str]) -> None:
    assert list(intention_lines(EXAMPLE, option)) == ["first_choice", *names]


def test_few_images_have_no_interval_but_a_reason() -> None:
    line = intention_lines(EXAMPLE)["wrong"]
    assert line["accuracy"]["low"] is None
    assert "an interval needs 20" in line["accuracy"]["reason"]
    assert "an interval needs 20" in line["balanced_accuracy"]["reason"]


def test_the_mean_recall_has_the_interval_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, 400)
    logits = rng.normal(0, 1, (400, 7))
    logits[np.arange(400), labels] += 2
    clusters = np.repeat([f"L{number}" for number in range(200)], 2)
    cases = Cases(np.exp(logits), labels, labels == MEL, labels == MEL, clusters, HAM10000)
    own = mean_recall(logits.argmax(axis=1) == labels, np.ones(400, bool), cases)
    (reference,) = metric_intervals(WeightedMetrics.of(logits, labels), clusters, 50)["balanced_accuracy"]
    assert [own[name] for name in ("value", "low", "high")] == pytest.approx([reference.value, reference.low, reference.high])


def test_nothing_to_count() -> None:
    lines = intention_lines(intended([(-1, BCC, True, "diagnosed")]))
    assert lines["wrong"]["balanced_accuracy"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "no images of the model's classes",
    }
    assert lines["wrong"]["accuracy"]["reason"] == "no images"


def test_the_flow_adds_up() -> None:
    flow = image_flow(10, {"n_leaked": 2, "kept": False}, EXAMPLE)
    assert flow["index"] == sum(flow[name] for name in ("unreadable", "leaked", "refused", "not_sure", "diagnosed"))
    assert (flow["unreadable"], flow["leaked"], flow["refused"], flow["not_sure"], flow["diagnosed"]) == (1, 2, 1, 1, 5)
    assert flow["called"] == {"malignant": {"n": 3, "malignant": 3, "benign": 0}, "benign": {"n": 2, "malignant": 1, "benign": 1}}
    assert flow["diagnosed"] == flow["right_diagnosis"] + flow["wrong_diagnosis"] + flow["outside_diagnosed"]
    assert (flow["right_diagnosis"], flow["wrong_diagnosis"], flow["outside_diagnosed"]) == (2, 2, 1)
    assert flow["not_diagnosed"]["not_sure"] == {"malignant": 1, "benign": 0}


def test_kept_leaks_are_assessed_and_said() -> None:
    flow = image_flow(8, {"n_leaked": 2, "kept": True}, EXAMPLE)
    assert (flow["leaked"], flow["leaked_kept"]) == (0, 2)
    assert flow["index"] == sum(flow[name] for name in ("unreadable", "leaked", "refused", "not_sure", "diagnosed"))


def test_the_gate_comes_before_the_threshold() -> None:
    usable, unsure = np.array([True, True, False, False]), np.array([False, True, False, True])
    assert outcomes_of(usable, unsure).tolist() == ["diagnosed", "not_sure", "refused", "refused"]
