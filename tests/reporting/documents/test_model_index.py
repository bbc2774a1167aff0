import dataclasses

import pytest
from huggingface_hub import ModelCard

from lesionlens.reporting.documents.model_index import card_data, front_matter
from lesionlens.reporting.documents.run_card import run_card, with_front_matter
from lesionlens.reporting.documents.sources import HAM10000


def test_the_hub_s_own_library_reads_every_metric(plain_facts):
    card = ModelCard(with_front_matter(plain_facts, run_card(plain_facts)))
    results = card.data.eval_results
    scores = plain_facts.run.scores
    by_name = {result.metric_name: result for result in results}
    accuracy = by_name["Accuracy"]
    assert (accuracy.task_type, accuracy.metric_type) == ("image-classification", "accuracy")
    assert accuracy.metric_value == scores["metrics"]["accuracy"]["value"]
    expected = {name: scores["metrics"]["accuracy"][name] for name in ("low", "high", "method")}
    assert accuracy.metric_args == {**expected, "confidence": 0.95}
    assert (accuracy.dataset_split, accuracy.dataset_revision) == ("test", plain_facts.run.split.hash)
    assert by_name["Recall of mel"].metric_args is None
    assert card.data.model_name == "made up"
    assert card.data.license == "other"
    assert card.text.lstrip().startswith("# made up")


def test_the_whole_front_matter_survives_a_round_trip(plain_facts):
    data = ModelCard(front_matter(plain_facts) + "text").data.to_dict()
    expected = card_data(plain_facts)
    for name in expected.keys() - {"model-index"}:
        assert data[name] == expected[name]
    assert data["model-index"][0]["results"][0]["dataset"] == expected["model-index"][0]["results"][0]["dataset"]


def test_metrics_that_are_undefined_are_left_out(plain_facts):
    scores = plain_facts.run.scores
    metrics = {**scores["metrics"], "ece": {"value": None, "low": None, "high": None}}
    run = dataclasses.replace(plain_facts.run, scores={**scores, "metrics": metrics})
    (result,) = card_data(dataclasses.replace(plain_facts, run=run))["model-index"][0]["results"]
    names = [metric["type"] for metric in result["metrics"]]
    assert "ece" not in names
    assert "brier" in names


@pytest.mark.parametrize("name", ['a: b\n---\nx: "y"', "'", "# x", "\u2028\u00e4", "- a", "{", "&a *b", "true", "1e3"])
def test_no_name_breaks_out(plain_facts, name):
    recipe = dataclasses.replace(plain_facts.run.recipe, name=name)
    facts = dataclasses.replace(plain_facts, run=dataclasses.replace(plain_facts.run, recipe=recipe))
    card = ModelCard(front_matter(facts) + "text")
    assert card.data.to_dict()["model-index"][0]["name"] == name
    assert card.text.strip() == "text"


def test_a_published_set_has_its_name(plain_facts):
    index = dataclasses.replace(plain_facts.run.index, source="ham10000")
    facts = dataclasses.replace(plain_facts, run=dataclasses.replace(plain_facts.run, index=index))
    assert card_data(facts)["datasets"] == [HAM10000.name]
    assert card_data(facts)["model-index"][0]["results"][0]["dataset"]["type"] == "ham10000"
