import copy

import pytest
from tests.reporting.documents.conftest import subgroups

from lesionlens.reporting.documents import assessed_subgroups


@pytest.fixture
def content():
    return copy.deepcopy(subgroups())


def test_the_section_names_the_gap_and_every_group(content):
    text = assessed_subgroups.section(content)
    gap = "AUC, malignant against benign 0.900 for male and 0.800 for female, a difference of 0.100 (0.020 to 0.180); p = 0.020."
    assert f"Largest gap: sex, {gap}" in text
    assert "| male | 100 | 80 | 80.0 % (50.0 to 90.0) | 0.900 (0.700 to 0.950) |" in text
    assert "| genital | 3 | 2 | not scored: 2 lesions; a score needs 20 | |" in text
    assert "Not available: the index has no column dataset." in text
    assert "As the source states it. Unknown for 4 images." in text


def test_answers_tell_of_people_and_centres_apart(content):
    assert "by sex: male 0.900 (0.700 to 0.950); female" in assessed_subgroups.answer(content)
    assert assessed_subgroups.clusters(content) == ""
    content["attributes"][2] |= {"reason": "", "groups": content["attributes"][0]["groups"]}
    assert "by source: male" in assessed_subgroups.clusters(content)
    assert assessed_subgroups.fairness(content).startswith(
        "Gaps between groups of people were measured and nothing was done to close them. Sex: AUC"
    )


def test_limits_depend_on_the_test_of_the_gap(content):
    ranks = {limit.name: limit.rank for limit in assessed_subgroups.limits(content)}
    assert ranks == {"largest_gap": 75, "small_groups": 140, "skin_tone": 150}
    content["attributes"][0]["gaps"]["auc_malignant"]["p_holm"] = 0.2
    assert assessed_subgroups.limits(content)[0].rank == 95
    content["attributes"][0]["gaps"]["auc_malignant"] |= {"p_holm": None, "p": None}
    assert assessed_subgroups.limits(content)[0].rank == 95
    assert "not tested" in assessed_subgroups.limits(content)[0].text


def test_nothing_to_compare(content):
    content["attributes"] = content["attributes"][1:3]
    assert assessed_subgroups.largest_gap(content) == "none could be measured."
    assert [limit.name for limit in assessed_subgroups.limits(content)] == ["small_groups"]
    assert not assessed_subgroups.has_skin_tone(content)


def test_many_small_groups_are_counted(content):
    (small,) = content["attributes"][1]["groups"]
    content["attributes"][1]["groups"] = [{**small, "group": f"site {n}"} for n in range(8)]
    (text,) = [limit.text for limit in assessed_subgroups.limits(content) if limit.name == "small_groups"]
    assert text.startswith("Too few lesions for a score of: body site site 0 (2), ")
    assert text.endswith("body site site 4 (2), and 3 more.")
