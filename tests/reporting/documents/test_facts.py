import dataclasses
import math

import pytest
from tests.reporting.documents.conftest import decisions

from lesionlens.core.artifact import write_json
from lesionlens.core.errors import ArtifactError
from lesionlens.core.run import Run
from lesionlens.export.provenance import INTENDED_USE
from lesionlens.reporting.documents.stated import Stated


def test_a_run_that_was_not_exported(plain_facts):
    assert not plain_facts.exported
    assert plain_facts.parameters is None
    card = plain_facts.card
    assert card["scores"] is plain_facts.run.scores
    assert card["calibrated_scores"] is None
    assert card["input"] == {"size": 224, "frame": 224, "resize": "squash"}
    assert card["intended_use"] == INTENDED_USE
    assert card["origin"]["hashes"]["split"] == plain_facts.run.split.hash
    assert card["training"] == {"epochs": 5, "epoch": 4, "seconds": 150.0}


def test_a_bundle_gives_what_a_user_gets(bundled_facts):
    assert bundled_facts.exported
    card = bundled_facts.card
    assert card["temperature"]["fitted_on"] == "validation"
    assert card["scores"] == bundled_facts.run.scores
    assert card["calibrated_scores"]["temperature"] == card["temperature"]["value"]
    assert card["input"]["filter"] == "pillow-bilinear-antialiased"
    assert bundled_facts.synthetic


def test_trained_weights_are_counted_without_buffers(bundled_facts):
    from lesionlens.training.checkpoint import load_network

    network, _ = load_network(bundled_facts.run.paths.best)
    assert bundled_facts.parameters == sum(parameter.numel() for parameter in network.parameters())


def test_energy_is_power_times_time(finished_run, facts_of):
    training = facts_of(finished_run, Stated(watts=120.0, grams_co2_per_kwh=500.0)).card["training"]
    assert training["kwh"] == pytest.approx(120 * 150 / 3600 / 1000)
    assert training["grams_co2"] == pytest.approx(2.5)
    assert facts_of(finished_run, Stated(watts=120.0)).card["training"]["grams_co2"] is None


def test_a_stated_licence_is_the_licence(finished_run, facts_of):
    facts = facts_of(finished_run, Stated({"data_licence": "CC BY 4.0"}))
    assert facts.card["licences"]["data"] == "CC BY 4.0"
    assert "licence" not in [limit.name for limit in facts.limits]


def test_assessments_add_limits_in_their_place(plain_facts, assessed_facts):
    before, after = ([limit.name for limit in facts.limits] for facts in (plain_facts, assessed_facts))
    assert before[:3] == ["missed", "external", "few_lesions"]
    assert after[:4] == ["missed", "largest_gap", "cost_of_sensitivity", "external"]
    assert list(assessed_facts.limits) == sorted(assessed_facts.limits)
    assert {"repeatability", "corruption", "small_groups", "skin_tone"} <= set(after)
    (tone,) = [limit for limit in assessed_facts.limits if limit.name == "skin_tone"]
    assert "estimated from pixels" in tone.text


def test_scores_that_are_not_finite_are_refused(run_folder, facts_of):
    from lesionlens.reporting.documents.facts import gather
    from lesionlens.reporting.run_folder import read_run

    run = read_run(run_folder)
    run.scores["metrics"]["accuracy"]["low"] = math.nan
    with pytest.raises(ArtifactError, match=r"scores\.json holds nan at metrics\.accuracy\.low"):
        gather(run)
    with pytest.raises(ArtifactError, match=r"audit\.json holds inf at x"):
        gather(dataclasses.replace(read_run(run_folder), audit={"x": math.inf}))


@pytest.mark.parametrize("name", ["decisions", "subgroups", "robustness"])
def test_a_result_without_its_keys_is_one_line(assessed_run, facts_of, name):
    write_json(getattr(Run.at(assessed_run), name), {"made_from": decisions()["made_from"]})
    with pytest.raises(ArtifactError, match=rf"assessment/{name}\.json does not hold what it should \(KeyError: .*make it again"):
        facts_of(assessed_run)


def test_another_data_set_without_its_keys_is_one_line(assessed_run, facts_of):
    write_json(assessed_run / "external" / "clinic" / "external.json", {"made_from": decisions()["made_from"]})
    with pytest.raises(ArtifactError, match=r"external\.json does not hold what it should"):
        facts_of(assessed_run)
