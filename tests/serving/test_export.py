import csv
import io

import pytest

from lesionlens.serving.examples import PREDICTION, REVIEW, UNUSABLE
from lesionlens.serving.export import csv_lines, plain_cell


def rows(answers):
    return list(csv.DictReader(io.StringIO("".join(csv_lines(answers, ["mel", "nv"])), newline="")))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "  =HYPERLINK(1)", "＝1", "|x", "%x"])
def test_formulas_become_text(text):
    assert plain_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["a;=1+1", "a; +1", 'a;"=1+1"', "a\n=1+1", "a\r\n-1", "a\t@x", "x;y;=1", "=1;=1"])
def test_no_part_is_a_formula_where_something_else_separates(text):
    """As Excel reads a file with commas where the list separator is `;`: its quotes are not at the start of a field."""
    line = "".join(csv_lines([{**PREDICTION, "file_name": text}], ["mel"]))
    for delimiter in ";\t":
        for row in csv.reader(io.StringIO(line, newline=""), delimiter=delimiter):
            assert not [
                cell for cell in row if cell.lstrip(" \"'").startswith(tuple("=+-@|%")) and not cell.lstrip(" ").startswith("'")
            ]


def test_a_byte_order_mark_on_request():
    assert "".join(csv_lines([], ["mel"], bom=True)).startswith("\ufeffid,")
    assert "".join(csv_lines([], ["mel"])).startswith("id,")


@pytest.mark.parametrize("value", ["a=1", "", "lesion.jpg", -0.5, None, "a-b"])
def test_other_values_stay(value):
    assert plain_cell(value) == value


def test_a_line_by_hand():
    row = rows([{**PREDICTION, "file_name": '=cmd|"x"', "review": {**REVIEW, "note": "-2+3\r\n<b>"}}])[0]
    assert row["file_name"] == '\'=cmd|"x"'
    assert (row["p_mel"], row["p_nv"], row["malignant_share"]) == ("0.82", "0.18", "0.82")
    assert row["review_note"] == "'-2+3\r\n<b>"
    assert row["review_conclusion"] == "mel"


def test_an_unusable_image_has_reasons_and_no_numbers():
    row = rows([UNUSABLE])[0]
    assert (row["gate_reasons"], row["p_mel"], row["diagnosis"]) == ("blurred", "", "")
