"""Prevalences from text and files, and what is refused."""

import numpy as np
import pytest

from lesionlens.assessment.decisions.prevalence import read_prevalence, whole_prevalence
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.labels import HAM10000

PRIOR = np.array([0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02])


def test_text_toml_and_csv_say_the_same(tmp_path):
    (tmp_path / "clinic.toml").write_text("mel = 0.05\nnv = 0.7\n")
    (tmp_path / "clinic.csv").write_text("dx,prevalence\nmel,0.05\nnv,0.7\n")
    expected = {"mel": 0.05, "nv": 0.7}
    assert read_prevalence("mel=0.05,nv=0.7") == expected
    assert read_prevalence(str(tmp_path / "clinic.toml")) == expected
    assert read_prevalence(str(tmp_path / "clinic.csv")) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mel", "write it as mel=0.05,nv=0.7"),
        ("=0.1", "write it as"),
        ("mel=much", "prevalence of mel is 'much'; it must be a number"),
        ("mel=0.1,mel=0.2", "names mel twice"),
    ],
)
def test_text_that_is_no_prevalence(text, message):
    with pytest.raises(RecipeError, match=message):
        read_prevalence(text)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", "mel == 1", "is no TOML"),
        ("a.csv", "mel,0.05\n", "two columns dx,prevalence"),
        ("a.csv", "dx,prevalence\nmel\n", "two columns"),
    ],
)
def test_files_that_are_no_prevalences(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_prevalence(str(tmp_path / name))


def test_a_missing_file():
    with pytest.raises(DataError, match=r"clinic.csv does not exist"):
        read_prevalence("clinic.csv")


def test_the_rest_is_shared_as_in_the_validation_split():
    whole = whole_prevalence({"mel": 0.05}, HAM10000, PRIOR)
    assert whole.sum() == pytest.approx(1)
    assert whole[4] == 0.05
    assert whole[5] / whole[2] == pytest.approx(0.67 / 0.11)


def test_all_diagnoses_stated():
    stated = dict(zip(HAM10000.codes, [0.1, 0.1, 0.1, 0.0, 0.1, 0.5, 0.1], strict=True))
    np.testing.assert_allclose(whole_prevalence(stated, HAM10000, PRIOR), list(stated.values()))


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"melanoma": 0.1}, "prevalence of melanoma; the diagnoses are akiec, bcc"),
        ({"mel": -0.1}, "prevalence of mel is -0.1; it must be from 0 to 1"),
        ({"mel": 0.6, "nv": 0.6}, "sum to 1.2; they must sum to at most 1"),
        (dict.fromkeys(HAM10000.codes, 0.1), "all 7 diagnoses sum to 0.7; they must sum to 1"),
    ],
)
def test_prevalences_that_cannot_be(stated, message):
    with pytest.raises(RecipeError, match=message):
        whole_prevalence(stated, HAM10000, PRIOR)


def test_a_rest_that_nobody_can_share():
    prior = np.zeros(7)
    prior[4] = 1
    with pytest.raises(RecipeError, match="no other diagnoses that could share the rest"):
        whole_prevalence({"mel": 0.5}, HAM10000, prior)
