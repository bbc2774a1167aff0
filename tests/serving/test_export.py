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
