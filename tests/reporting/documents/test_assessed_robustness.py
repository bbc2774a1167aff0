import copy

import pytest
from tests.reporting.documents.conftest import robustness

from lesionlens.reporting.documents import assessed_robustness


@pytest.fixture
def content():
    return copy.deepcopy(robustness())


def test_the_section_has_agreement_and_every_corruption(content):
    text = assessed_robustness.section(content)
    assert "- Photographs of one lesion: one diagnosis for 85.0 % (75.0 to 92.0) of 50 lesions, kappa 0.800 (0.700 to" in text
    assert "- Flips and rotations of one image: not available, only one view was predicted." in text
    assert "| Gaussian blur | 75.0 % (70.0 to 80.0) | 50.0 % (45.0 to 55.0) | 30.0 % (20.0 to 40.0) |" in text
    assert "Mean corruption error 40.0 % (30.0 to 50.0), 10.0 % (5.0 to 15.0) above clean." in text


def test_the_answer_names_the_worst_corruption(content):
    assert "Lowest under corruption: 50.0 % (45.0 to 55.0) (Gaussian blur)." in assessed_robustness.answer(content)


def test_limits(content):
    repeat, corruption = assessed_robustness.limits(content)
    assert "one diagnosis for only 85.0 % (75.0 to 92.0) of the lesions" in repeat.text
    assert corruption.text == ("Under gaussian blur balanced accuracy falls from 80.0 % (70.0 to 90.0) to 50.0 % (45.0 to 55.0).")
    content["corruptions"]["rows"][0]["title"] = "JPEG compression"
    assert "Under JPEG compression balanced" in assessed_robustness.limits(content)[1].text
    content["photographs"]["metrics"]["all_alike"]["value"] = 0.9
    assert [limit.name for limit in assessed_robustness.limits(content)] == ["corruption"]


def test_without_corruptions(content):
    content["corruptions"] |= {"rows": [], "mean": None}
    content["photographs"] = {"n_units": 0, "reason": "no lesion has several photographs"}
    assert assessed_robustness.limits(content) == []
    assert "Mean corruption" not in assessed_robustness.section(content) + assessed_robustness.answer(content)


def test_a_small_fall_is_no_limit(content):
    content["corruptions"]["clean"]["balanced_accuracy"]["value"] = 0.549
    assert [limit.name for limit in assessed_robustness.limits(content)] == ["repeatability"]
    content["corruptions"]["clean"]["balanced_accuracy"]["value"] = 0.551
    assert [limit.name for limit in assessed_robustness.limits(content)] == ["repeatability", "corruption"]
