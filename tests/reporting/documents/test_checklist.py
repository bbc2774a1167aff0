import pytest

from lesionlens.reporting.documents.answers import Answer
from lesionlens.reporting.documents.checklist import Checklist, Item, as_markdown, fill

LIST = Checklist(
    "Test 1",
    "test-1",
    "Somebody",
    "10.1/x",
    "Only a test.",
    {
        "First": (Item("1", "All", ("whole",)), Item("2a", "Half", ("whole", "none"))),
        "Second": (Item("2b", "None", ("none",)), Item("3", "Not", ("not",))),
    },
)
PROVIDERS = {
    "whole": lambda facts: Answer("It is|so.", "a.json, b.json"),
    "none": lambda facts: Answer(missing="nobody knows"),
    "not": lambda facts: Answer.inapplicable("There is no such thing."),
}


@pytest.fixture
def filled(plain_facts):
    return fill(LIST, plain_facts, PROVIDERS)


def test_each_item_has_one_of_four_states(filled):
    assert [(item["number"], item["status"]) for item in filled["items"]] == [
        ("1", "filled"),
        ("2a", "partly"),
        ("2b", "not available"),
        ("3", "not applicable"),
    ]
    assert filled["counts"] == {"filled": 1, "partly": 1, "not available": 1, "not applicable": 1}
    assert filled["items"][0]["from"] == ["a.json", "b.json"]
    assert filled["items"][2]["missing"] == "nobody knows"


def test_the_markdown_says_the_same(filled):
    text = as_markdown(filled)
    assert "| 1 | All | It is/so. [a.json, b.json] |" in text
    assert "| 2a | Half | It is/so. [a.json, b.json] **Not available:** nobody knows |" in text
    assert "| 2b | None | **Not available:** nobody knows |" in text
    assert "| 3 | Not | Not applicable: There is no such thing. |" in text
    assert text.count("## ") == 2
    assert "doi:10.1/x" in text
    assert "4 items: 1 filled, 1 partly, 1 not available, 1 not applicable." in text
