import copy

import pytest

from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.card import card
from lesionlens.bundle.card_limits import Limit
from lesionlens.bundle.card_sections import NOT_MEASURED


@pytest.fixture
def facts(small_bundle):
    return copy.deepcopy(open_bundle(small_bundle).facts)


def test_the_card_in_the_bundle_is_of_its_facts(facts, small_bundle):
    assert (small_bundle / "card.md").read_text() == card(facts)


def test_it_says_what_a_reader_must_know(facts):
    text = card(facts)
    for needed in ("not a medical device", "Not for:", "| mel | Melanoma | yes |", "95% interval", "Licences", "Temperature"):
        assert needed in text
    metric = facts["scores"]["metrics"]["accuracy"]
    assert f"| Accuracy | {metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}] |" in text


def test_a_leaking_split_shouts(facts):
    facts["origin"]["leak_statement"] = "THE METRICS ARE TOO HIGH BECAUSE THIS SPLIT LEAKS"
    assert card(facts).count("THIS SPLIT LEAKS") == 2


def test_metrics_that_are_not_there(facts):
    facts["scores"]["metrics"]["macro_auc"] = {"value": None, "low": None, "high": None}
    facts["scores"]["metrics"]["ece"] = {"value": 0.5, "low": None, "high": None}
    assert "| Macro AUC | - |" in card(facts)
    assert "| Calibration error (ECE) | 0.500 |" in card(facts)
    facts["scores"] = None
    assert NOT_MEASURED in card(facts)


def test_metrics_over_several_views_say_so(facts):
    assert "the bundle looks once" not in card(facts)
    facts["scores"]["views"] = 8
    assert "Measured over 8 views; the bundle looks once." in card(facts)


def test_a_network_without_maps(facts):
    facts["outputs"]["maps"] = None
    assert "gives no heat maps" in card(facts)


def test_the_gate_is_told_with_its_limits(facts):
    text = card(facts)
    gate = facts["gate"]
    assert f"| too_dark | mean luma (0 to 255) below {gate['thresholds']['too_dark']:.4g} | 0 |" in text
    assert f"of the {gate['validation']['n_images']} images of the validation split" in text
    assert "With so few images" in text
    facts["gate"] = None
    assert "## Gate\nNone" in card(facts)


def test_the_third_answer_is_told_or_its_absence(facts):
    assert "no calibrated third answer" in card(facts)
    assert "too few" in card(facts)
    metric = {"value": 0.96, "low": 0.9, "high": 1.0}
    shares = dict.fromkeys(("sensitivity", "called", "not_sure", "accuracy_answered"), metric)
    counts = {"split": "validation", "n_images": 1000, "n_watched": 111, "n_lesions": 61}
    facts["decision"] = {
        "watched": ["mel"],
        "sensitivity": 0.95,
        "threshold": 0.0704,
        "reason": "",
        "validation": counts | shares,
    }
    text = card(facts)
    assert "probability of mel is 0.0704 or more" in text
    assert "111 images of 61 lesions" in text
    assert "0.960 [0.900, 1.000]" in text
    del facts["decision"]
    assert "it was exported without one" in card(facts)


def test_the_first_screen_says_whom_it_is_for_and_three_limits(facts):
    text = card(facts)
    summary = text[text.index("## In short") : text.index("## Diagnoses")]
    assert f"- For: {facts['intended_use']['for']}" in summary
    assert f"- Not for: {facts['intended_use']['not_for']}" in summary
    metric = facts["scores"]["metrics"]["balanced_accuracy"]
    assert (
        f"| Balanced accuracy | {100 * metric['value']:.1f} % | {100 * metric['low']:.1f} to {100 * metric['high']:.1f} % |"
        in summary
    )
    assert [line[:2] for line in summary.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3."]
    assert "drawn by a program" in summary


def test_limits_and_sections_of_a_run_take_their_place(facts):
    first = Limit(1, "test", "It is of glass.")
    text = card(facts, {"people": "## People\nNobody.", "external": ""}, [first])
    assert "1. It is of glass." in text
    assert "- It is of glass." in text
    assert text.index("## Data") < text.index("## People") < text.index("## Metrics")


def test_a_network_that_was_not_exported(facts):
    for name in ("variants", "temperature", "gate", "decision", "outputs"):
        del facts[name]
    text = card(facts)
    assert "A test_convnext that gives probabilities of 7 diagnoses" in text
    assert "was not exported" in text
    assert "## Gate" not in text
    assert "## Calibration" not in text
