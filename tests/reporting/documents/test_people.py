import dataclasses

from lesionlens.core.recipe import SplitRecipe
from lesionlens.data.split import make_split
from lesionlens.reporting.documents.people import cell, counts_text, people, people_table


def counted(image_index, **changes):
    records = tuple(dataclasses.replace(record, **changes) for record in image_index.records)
    index = dataclasses.replace(image_index, records=records)
    split = make_split(index, SplitRecipe())
    return people(index, split), split


def test_counts_are_of_the_splits(image_index):
    counts, split = counted(image_index)
    for name, row in counts.items():
        assert row["images"] == len(split.ids[name]) == sum(row["dx"].values()) == row["sex"]["male"]
        assert row["age"] == {"n": row["images"], "median": 50.0, "low": 50.0, "high": 50.0}
        assert row["patients"] == 0
    assert sum(row["images"] for row in counts.values()) == len(image_index)
    assert next(iter(counts["train"]["dx"])) == "nv"


def test_unknown_fields_are_unknown_and_not_zero(image_index):
    counts, _ = counted(image_index, age=None, sex="", site="")
    assert counts["test"]["age"]["median"] is None
    assert counts["test"]["sex"] == {}
    table = people_table(counts)
    assert "| Age, median (quartiles) | unknown | unknown | unknown |" in table
    assert "Sex" not in table


def test_some_unknown_values_count_as_unknown(image_index):
    records = [
        dataclasses.replace(record, sex="", age=None if place else 30.0) for place, record in enumerate(image_index.records)
    ]
    index = dataclasses.replace(image_index, records=(*records[:-1], image_index.records[-1]))
    counts = people(index, make_split(index, SplitRecipe()))
    assert sum(row["sex"].get("male", 0) for row in counts.values()) == 1
    assert sum(row["age"]["n"] for row in counts.values()) == 2


def test_the_table_has_a_row_for_each_diagnosis(image_index):
    counts, split = counted(image_index)
    table = people_table(counts)
    row = " | ".join(str(counts[name]["dx"]["mel"]) for name in split.ids)
    assert f"| Images of mel | {row} |" in table
    assert "Race, ethnicity and skin type are not recorded." in table


def test_long_lists_end_with_the_others():
    counts = {f"site{n}": 10 - n for n in range(9)}
    assert counts_text(counts).endswith("site5 5, others 9")


def test_a_text_cannot_leave_its_cell():
    assert cell("a|b\n\nc") == "a/b c"
