import dataclasses

from lesionlens.reporting.documents.answers_model import MODEL
from lesionlens.reporting.documents.stated import Stated


def test_every_answer_is_a_text_or_a_reason(plain_facts, bundled_facts):
    for facts in (plain_facts, bundled_facts):
        for name, provider in MODEL.items():
            answer = provider(facts)
            assert answer.text or answer.missing, name
            assert not answer.text or answer.source, name


def test_what_only_a_bundle_has(plain_facts, bundled_facts):
    for name in ("output", "recalibration", "calculation", "bad_input"):
        assert "lesionlens export CHECKPOINT" in MODEL[name](plain_facts).missing
        assert not MODEL[name](bundled_facts).missing
    assert "One temperature" in MODEL["recalibration"](bundled_facts).text
    assert "too few" in MODEL["output"](bundled_facts).text
    assert "of the validation split" in MODEL["bad_input"](bundled_facts).text


def test_a_threshold_is_told_with_where_it_was_chosen(bundled_facts):
    decision = {"watched": ["mel"], "threshold": 0.07, "sensitivity": 0.95, "validation": {"split": "validation"}}
    facts = dataclasses.replace(bundled_facts, card={**bundled_facts.card, "decision": decision})
    assert (
        '0.0700 or more is "not sure": chosen on the validation split for a sensitivity of at least 95 %'
        in MODEL["output"](facts).text
    )
    facts = dataclasses.replace(bundled_facts, card={**bundled_facts.card, "gate": None})
    assert "their quality is not checked" in MODEL["bad_input"](facts).text


def test_the_network_and_its_training(plain_facts, bundled_facts):
    assert f"{bundled_facts.parameters:,} trained weights" in MODEL["model"](bundled_facts).text
    assert (
        MODEL["model"](plain_facts).missing
        == "number of weights: the run has no train/best.safetensors; make it with: lesionlens train RECIPE"
    )
    assert "adamw, 100 epochs planned, batches of 64, peak learning rate 5e-05" in MODEL["training"](plain_facts).text
    assert "weights trained on ImageNet" in MODEL["initial_weights"](plain_facts).text
    assert "random weights" in MODEL["initial_weights"](bundled_facts).text
    versions = {"training": {"torch": "2.13", "timm": "1.0"}, "export": {}}
    known = dataclasses.replace(plain_facts, card={**plain_facts.card, "versions": versions})
    assert MODEL["software"](known).text == "Trained with torch 2.13, timm 1.0."
    assert MODEL["software"](plain_facts).missing
    assert "epoch with the best balanced accuracy" in MODEL["selection"](plain_facts).text


def test_time_and_energy_name_their_sources(finished_run, facts_of, bundled_facts):
    facts = facts_of(finished_run, Stated(watts=120.0, name="stated.toml"))
    assert MODEL["duration"](facts).source == "train/history.jsonl, stated.toml"
    assert "about 0.01 kWh, an estimate" in MODEL["duration"](facts).text
    assert MODEL["duration"](bundled_facts).missing == "time of the training: make it with: lesionlens train RECIPE"


def test_heat_maps(plain_facts):
    assert "lesionlens explain CHECKPOINT" in MODEL["explanation"](plain_facts).missing
    metrics = {"energy_inside": {"value": 0.4}, "chance": {"value": 0.2}}
    report = {"method": "grad-cam", "n_images": 7, "split": "test", "localisation": {"metrics": metrics}}
    facts = dataclasses.replace(plain_facts, run=dataclasses.replace(plain_facts.run, explanation=report))
    assert "grad-cam on 7 images of the test split; 40.0" in MODEL["explanation"](facts).text
    facts = dataclasses.replace(
        plain_facts, run=dataclasses.replace(plain_facts.run, explanation={**report, "localisation": None})
    )
    assert "not compared with lesion masks" in MODEL["explanation"](facts).text
