"""What a network may be told of a patient: its encoding, what is refused, and what is missing."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.core import metadata as module
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.metadata import FIELDS, SEXES, SITES, Metadata, encode, hide, metadata_note, read_metadata, width
from lesionlens.core.recipe import ModelRecipe
from lesionlens.core.recipe_file import load_recipe


def test_examples():
    assert not doctest.testmod(module).failed


def test_ages_by_hand():
    """Centres stand at 5, 15, ..., 85: 20 is half-way between the second and the third."""
    rows = encode([Metadata(age=age) for age in (None, 0.0, 5.0, 20.0, 84.0, 100.0)], ["age"])
    unknown, young, first, between, old, oldest = rows
    assert unknown.tolist() == [1, *[0] * 9]
    assert young.tolist() == first.tolist() == [0, 1, *[0] * 8]
    np.testing.assert_allclose(between, [0, 0, 0.5, 0.5, *[0] * 6])
    np.testing.assert_allclose(old, [*[0] * 8, 0.1, 0.9], atol=1e-6)
    assert oldest.tolist() == [*[0] * 9, 1]


@given(
    st.one_of(st.none(), st.floats(0, 120)), st.sampled_from(["", *SEXES, "x"]), st.sampled_from(["", *SITES, "torso", "moon"])
)
def test_every_field_adds_up_to_one(age, sex, site):
    (row,) = encode([Metadata(age, sex, site)], FIELDS)
    assert len(row) == width(FIELDS)
    for start, stop in ((0, 10), (10, 13), (13, 29)):
        assert row[start:stop].sum() == pytest.approx(1)
    assert (row[0] == 1) == (age is None)
    assert (row[13] == 1) == (site in ("", "moon"))


def test_the_order_of_fields_is_the_recipe_s():
    one, other = encode([Metadata(sex="male")], ["sex", "age"])[0], encode([Metadata(sex="male")], ["age", "sex"])[0]
    assert one.tolist() == [*other[10:], *other[:10]]


def test_hiding_is_the_same_as_not_knowing():
    known = encode([Metadata(60.0, "male", "back")] * 3, FIELDS)
    hidden = hide(known, np.array([[True, False, False], [False, True, True], [False, False, False]]), FIELDS)
    expected = [Metadata(None, "male", "back"), Metadata(60.0), Metadata(60.0, "male", "back")]
    np.testing.assert_array_equal(hidden, encode(expected, FIELDS))
    assert known[0, 0] == 0, "the original is kept"


@pytest.mark.parametrize("name", ["dx_type", "dataset"])
def test_what_tells_the_diagnosis_is_refused_by_name_with_the_reason(name):
    reason = {"dx_type": "known only after it", "dataset": "each collected other lesions"}[name]
    with pytest.raises(RecipeError, match=f"model.metadata names '{name}', which no network may see: .*{reason}"):
        ModelRecipe(metadata=("age", name))
    with pytest.raises(DataError, match=f"the form has '{name}', which no network may see"):
        read_metadata({name: "histo"}, "the form")


def test_recipes():
    assert load_recipe("demo", ["model.metadata=age,sex"]).model.metadata == ("age", "sex")
    assert load_recipe("demo").hash("model") == load_recipe("demo", ["model.metadata_dropout=0.3"]).hash("model")
    assert load_recipe("demo").hash("model") != load_recipe("demo", ["model.metadata=age"]).hash("model")
    with pytest.raises(RecipeError, match=r"model.metadata names 'ages'; it must be of age, sex, site"):
        ModelRecipe(metadata=("ages",))
    with pytest.raises(RecipeError, match="each field must stand once"):
        ModelRecipe(metadata=("age", "age"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"age": "old"}, "has age 'old'; it must be years from 0 to 120"),
        ({"age": "121"}, "has age '121'"),
        ({"age": "nan"}, "has age 'nan'"),
        ({"sex": "f"}, "has sex 'f'; it must be female or male"),
        ({"site": "moon"}, "has site 'moon'; it must be of abdomen, acral"),
        ({"weight": "80"}, "has 'weight'; it must be of age, sex, site"),
    ],
)
def test_values_that_are_not_known(values, message):
    with pytest.raises(DataError, match=f"row 1 {message}"):
        read_metadata(values, "row 1")


def test_empty_and_unknown_are_unknown():
    assert read_metadata({"age": "", "sex": "unknown", "site": " "}, "row") == Metadata()
    assert Metadata().missing() == FIELDS


def test_values_that_no_network_knows_are_counted_and_named():
    items = [Metadata(50.0, "male", "moon"), Metadata(None, "x", "moon"), Metadata(130.0, "", "back")]
    assert metadata_note(items, FIELDS) == (
        "metadata of 3 images: age missing in 1, sex missing in 1, site missing in 0, age treated as missing: 130 (1), "
        "sex treated as missing: x (1), site treated as missing: moon (2)"
    )
