import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from lesionlens.core.errors import DataError
from lesionlens.evaluation.compare import compare, mcnemar
from lesionlens.evaluation.multiplicity import Hypotheses
from lesionlens.evaluation.scores import score
from lesionlens.evaluation.tables import comparison_table


def test_differences_are_those_of_the_scores(draw):
    first, second = draw(300, seed=1, skill=3.0), draw(300, seed=2, skill=1.5)
    comparison = compare(first, second, resamples=300)
    json.dumps(comparison, allow_nan=False)
    for each, key in ((first, "first"), (second, "second")):
        scores = score(each, resamples=100)
        for name, row in comparison["metrics"].items():
            assert row[key] == scores["metrics"][name]["value"]
    row = comparison["metrics"]["accuracy"]
    assert row["difference"] == row["first"] - row["second"]
    assert 0 < row["low"] < row["difference"] < row["high"]
    assert row["p"] < 0.05
    assert comparison["metrics"]["nll"]["difference"] < 0
    assert comparison["mcnemar"]["p"] < 0.001


def test_order_of_the_second_file_does_not_matter(draw):
    first, second = draw(100, seed=1), draw(100, seed=2)
    shuffled = second.take(np.random.default_rng(0).permutation(100))
    assert compare(first, shuffled, resamples=100) == compare(first, second, resamples=100)


def test_swapping_turns_the_signs(draw):
    first, second = draw(100, seed=1), draw(100, seed=2, skill=1.0)
    there, back = compare(first, second, resamples=200), compare(second, first, resamples=200)
    for name, row in there["metrics"].items():
        assert row["difference"] == -back["metrics"][name]["difference"]
        if name != "ece":
            assert row["low"] == pytest.approx(-back["metrics"][name]["high"])
            assert row["p"] == pytest.approx(back["metrics"][name]["p"])


def test_a_model_equals_itself(draw):
    comparison = compare(draw(100), draw(100), resamples=100)
    assert all(row["difference"] == row["low"] == row["high"] == 0 and row["p"] == 1 for row in comparison["metrics"].values())
    assert {row["method"] for row in comparison["metrics"].values()} == {"identical"}
    assert comparison["mcnemar"]["p"] == 1


def test_pairing_narrows_the_interval(draw):
    first = draw(300, seed=1)
    logits = first.logits + 0.3 * np.random.default_rng(5).normal(size=first.logits.shape).astype(np.float32)
    similar = dataclasses.replace(first, logits=logits)
    row = compare(first, similar, resamples=300)["metrics"]["accuracy"]
    alone = score(first, resamples=300)["metrics"]["accuracy"]
    assert row["high"] - row["low"] < 0.7 * (alone["high"] - alone["low"])


@pytest.mark.slow
def test_p_is_uniform_where_models_are_alike(draw):
    """Under the null hypothesis about one in twenty comparisons falls below 0.05."""
    found = [
        compare(draw(120, seed=2 * trial + 1), draw(120, seed=2 * trial + 2), resamples=100)["metrics"]["accuracy"]["p"]
        for trial in range(60)
    ]
    assert np.mean(np.array(found) < 0.05) < 0.15
    assert 0.35 < np.mean(found) < 0.75


def test_p_and_interval_agree(draw):
    """0 lies outside the interval exactly where p is below 0.05."""
    comparison = compare(draw(140, seed=1, skill=2.2), draw(140, seed=2), resamples=100)
    rows = [*comparison["metrics"].values(), *(row[name] for row in comparison["per_class"].values() for name in row)]
    for row in rows:
        if row["low"] is not None:
            assert (row["p"] < 0.05) == (row["low"] > 0 or row["high"] < 0)


def test_the_primary_metric_stands_alone_and_the_family_is_adjusted(draw):
    first, second = draw(200, seed=1, skill=2.5), draw(200, seed=2)
    hypotheses = Hypotheses("accuracy", ("macro_auc", "brier"))
    comparison = compare(first, second, resamples=100, hypotheses=hypotheses)
    p = {name: comparison["metrics"][name]["p"] for name in ("macro_auc", "brier")}
    tested = comparison["hypotheses"]
    assert (tested["primary"], tested["family"]) == ("accuracy", ["macro_auc", "brier"])
    assert min(tested["holm"].values()) == pytest.approx(2 * min(p.values()))
    assert max(tested["holm"].values()) == pytest.approx(max(*p.values(), 2 * min(p.values())))
    lines = comparison_table(comparison).splitlines()
    assert [line.split()[0] for line in lines if line.endswith("primary")] == ["accuracy"]
    assert sum("family, Holm" in line for line in lines) == 2
    assert "exploratory" in comparison_table(comparison)


def test_no_interval_for_the_difference_of_calibration_errors(draw):
    row = compare(draw(200, seed=1), draw(200, seed=2), resamples=100)["metrics"]["ece"]
    assert (row["low"], row["high"], row["p"]) == (None, None, None)
    assert "no interval of known coverage" in row["reason"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_mcnemar_equals_scipy(pairs):
    first, second = np.array(pairs).T
    test = mcnemar(first, second)
    n = test["first_only"] + test["second_only"]
    expected = binomtest(test["first_only"], n).pvalue if n else 1.0
    assert test["p"] == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand():
    first, second = np.array([True] * 8 + [False] * 1 + [True] * 5), np.array([False] * 8 + [True] * 1 + [True] * 5)
    assert mcnemar(first, second) == {"first_only": 8, "second_only": 1, "p": pytest.approx(2 * (1 + 9) / 512)}


def changed(predictions, **values):
    return dataclasses.replace(predictions, **values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.take(np.arange(19)), "1 images are in one file only"),
        (lambda p: changed(p, labels=(p.labels + 1) % 7), "labels of 20 images differ"),
        (lambda p: changed(p, lesion_ids=p.image_ids), "lesion_ids of 20 images differ"),
        (lambda p: changed(p, origin=dataclasses.replace(p.origin, split="validation")), "one split"),
        (
            lambda p: changed(p, label_set=dataclasses.replace(p.label_set, diagnoses=p.label_set.diagnoses[::-1])),
            "diagnoses differ",
        ),
    ],
)
def test_other_images_are_refused(draw, change, message):
    with pytest.raises(DataError, match=message):
        compare(draw(20), change(draw(20)), resamples=100)


def test_leak_is_shown_across_protocols(draw):
    first = draw(60)
    leaking = dataclasses.replace(first.origin, name="as printed", protocol="paper", leaks=True, hashes={"split": "other"})
    comparison = compare(first, dataclasses.replace(draw(60, seed=4), origin=leaking), resamples=100)
    assert (comparison["first"]["leaks"], comparison["second"]["leaks"]) == (False, True)
    table = comparison_table(comparison)
    assert "The second (as printed) was trained under protocol 'paper', which leaks" in table
    assert "different splits" in table
    assert "independent" in table
    assert comparison_table(compare(first, draw(60, seed=4), resamples=100)).startswith("first: drawn")
