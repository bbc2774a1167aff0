"""Concepts from the columns of a table: kinds of columns, missing values, and what is wrong with them."""

import math

import numpy as np
import pytest

from lesionlens.core.errors import DataError
from lesionlens.data.concepts import ConceptUnit, read_concepts

TABLE = """image_id,streaks,network,colours,dx,constant,remark
a,present,atypical,2,mel,1,one
b,absent,typical,4,nv,1,two
c,,absent,6,nv,1,three
d,unknown,typical,99,mel,1,four
z,present,typical,3,mel,1,five
"""
IDS, TRAIN = ("a", "b", "c", "d", "e"), ("a", "b", "c", "e")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "concepts.csv"
    path.write_text(TABLE)
    return path


def test_what_is_present_or_absent_is_one_concept(table):
    concepts = read_concepts(table, ["streaks"], IDS, TRAIN)
    assert concepts.units == (ConceptUnit("streaks", "streaks"),)
    np.testing.assert_array_equal(concepts.rows("abcde")[:, 0], [1, 0, math.nan, math.nan, math.nan])


def test_each_word_of_a_column_is_a_concept(table):
    concepts = read_concepts(table, ["network"], IDS, TRAIN)
    assert [unit.name for unit in concepts.units] == ["network: absent", "network: atypical", "network: typical"]
    assert concepts.rows("ac").tolist() == [[0, 1, 0], [1, 0, 0]]


def test_numbers_are_scaled_to_the_training_images(table):
    concepts = read_concepts(table, ["colours"], IDS, TRAIN)
    assert concepts.units == (ConceptUnit("colours", "colours", low=2.0, high=6.0),)
    assert concepts.rows("abcd")[:, 0].tolist() == [0, 0.5, 1, 1]  # 99 is not in training and counts as the largest


def test_what_is_missing_is_counted(table):
    notes = read_concepts(table, ["streaks", "colours"], IDS, TRAIN).notes
    assert notes[0] == "concepts of 4 training images, of so many the value is known: streaks 2, colours 3"
    assert notes[1].endswith("1 images are not in the index and not used")


def test_the_facts_follow_the_values(table):
    first = read_concepts(table, ["colours"], IDS, TRAIN).facts
    table.write_text(TABLE.replace("b,absent,typical,4", "b,absent,typical,5"))
    second = read_concepts(table, ["colours"], IDS, TRAIN).facts
    assert first["units"] == second["units"]
    assert first["hash"] != second["hash"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["veil"], "has no column 'veil'; it has image_id, streaks, network"),
        (["dx"], "column 'dx' cannot be a concept: it tells the diagnosis"),
        (["constant"], "column 'constant' is always '1' in the training images; a concept must vary"),
    ],
)
def test_a_bad_column_is_one_line(table, columns, message):
    with pytest.raises(DataError, match=message) as error:
        read_concepts(table, columns, IDS, TRAIN)
    assert "\n" not in str(error.value)


def test_free_text_is_no_concept(table):
    rows = "".join(f"i{number},text {number}\n" for number in range(9))
    table.write_text(f"image_id,remark\n{rows}")
    ids = [f"i{number}" for number in range(9)]
    with pytest.raises(DataError, match="column 'remark' has 9 different values, such as 'text 0' and 'text 8'; a concept is"):
        read_concepts(table, ["remark"], ids, ids)


def test_wrong_tables(table):
    with pytest.raises(DataError, match="none of the 1 training images is in"):
        read_concepts(table, ["streaks"], ["q"], ["q"])
    table.write_text("name,streaks\na,present\n")
    with pytest.raises(DataError, match="has none of the columns image_id"):
        read_concepts(table, ["streaks"], IDS, TRAIN)
    table.write_text("image_id,streaks\na,present\na.jpg,absent\n")
    with pytest.raises(DataError, match="line 3: image a is listed twice; keep one of the rows"):
        read_concepts(table, ["streaks"], IDS, TRAIN)
    table.write_text("image_id,streaks\na,\nb,unknown\n")
    with pytest.raises(DataError, match="column 'streaks' has no value in the training images"):
        read_concepts(table, ["streaks"], IDS, TRAIN)
