import dataclasses

from lesionlens.reporting.documents.answers_results import RESULTS
from lesionlens.reporting.documents.stated import Stated


def with_scores(facts, **changes):
    run = dataclasses.replace(facts.run, scores={**facts.run.scores, **changes})
    return dataclasses.replace(facts, run=run)


def test_every_answer_is_a_text_or_a_reason(plain_facts, bundled_facts):
    for facts in (plain_facts, bundled_facts):
        for name, provider in RESULTS.items():
            answer = provider(facts)
            assert answer.text or answer.missing, name
            assert not answer.text or answer.source, name


def test_metrics_have_their_intervals(plain_facts):
    metric = plain_facts.run.scores["metrics"]["macro_auc"]
    assert (
        f"Macro AUC {metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})" in RESULTS["overall"](plain_facts).text
    )
    row = plain_facts.run.scores["per_class"]["mel"]["recall"]
    assert (
        f"mel {100 * row['value']:.1f} % ({row['count']} of {row['of']}, no interval)"
        in RESULTS["by_diagnosis"](plain_facts).text
    )
    methods = plain_facts.run.scores["methods"]
    assert all(text in RESULTS["uncertainty"](plain_facts).text for text in methods.values())


def test_scores_of_the_first_version_have_percentiles(plain_facts):
    scores = {name: value for name, value in plain_facts.run.scores.items() if name != "methods"}
    facts = dataclasses.replace(plain_facts, run=dataclasses.replace(plain_facts.run, scores=scores))
    assert "percentiles of 100 bootstrap resamples of lesions" in RESULTS["uncertainty"](facts).text


def test_confusions_are_counted(plain_facts):
    matrix = [[0] * 7 for _ in range(7)]
    matrix[4][5], matrix[5][4], matrix[5][5] = 3, 1, 9
    facts = with_scores(plain_facts, confusion=matrix)
    assert RESULTS["confusion"](facts).text == "True diagnosis: predicted. mel: nv 3; nv: mel 1, nv 9."
    assert RESULTS["failures"](facts).text.startswith("Most frequent errors: mel called nv 3 times; nv called mel 1 time.")
    matrix[4][5] = matrix[5][4] = 0
    assert RESULTS["failures"](with_scores(plain_facts, confusion=matrix)).text == "No image was called wrongly."


def test_the_size_of_the_sample_is_partly_known(finished_run, facts_of, plain_facts):
    assert RESULTS["sample_size"](plain_facts).missing.startswith("a calculation of the sample size")
    facts = facts_of(finished_run, Stated({"sample_size": "All there were."}, name="stated.toml"))
    assert RESULTS["sample_size"](facts).missing == ""
    assert RESULTS["sample_size"](facts).text.startswith("All there were. All 47 images")


def test_indeterminate_results(plain_facts, bundled_facts):
    assert "0 images of the test split could not be read and are not counted." in RESULTS["indeterminate"](plain_facts).text
    assert RESULTS["indeterminate"](plain_facts).missing
    assert "The gate refuses" in RESULTS["indeterminate"](bundled_facts).text
    share = {"value": 0.125}
    decision = {"threshold": 0.1, "validation": {"not_sure": share}}
    facts = dataclasses.replace(bundled_facts, card={**bundled_facts.card, "decision": decision})
    assert 'Of those 12.5\u202f% are "not sure".' in RESULTS["indeterminate"](facts).text
    assert (
        "1 image of the test split could not be read and is not counted"
        in RESULTS["indeterminate"](with_scores(plain_facts, n_dropped=1)).text
    )


def test_other_data_sets_change_the_goal(plain_facts, assessed_facts):
    assert RESULTS["goal"](plain_facts).text == "Development of a diagnostic classifier with internal testing."
    assert "and evaluation on other data sets" in RESULTS["goal"](assessed_facts).text


def test_variants(plain_facts):
    assert RESULTS["compared"](plain_facts).missing
    table = {
        "rows": [
            {"variant": "fp32", "available": True},
            {"variant": "int8", "available": True},
            {"variant": "bf16", "available": False},
        ]
    }
    facts = dataclasses.replace(plain_facts, run=dataclasses.replace(plain_facts.run, compression=table))
    assert RESULTS["compared"](facts).text == "Variants of this network measured side by side: fp32 and int8."


def test_a_stated_clinic_stands_beside_the_tested_diagnoses(plain_facts, assessed_facts):
    assert "--prevalence mel=0.05" in RESULTS["representative"](plain_facts).missing
    decisions = {**assessed_facts.results.content["decisions"], "settings": {"prevalence": {"mel": 0.05, "nv": 0.7}}}
    results = dataclasses.replace(assessed_facts.results, content={"decisions": decisions})
    answer = RESULTS["representative"](dataclasses.replace(assessed_facts, results=results))
    assert answer.text.endswith("Stated for the clinic: mel 5 %, nv 70 %.")
    assert (answer.missing, answer.source) == ("", "scores.json, assessment/decisions.json")
