from lesionlens.reporting.documents.tripod_ai import TRIPOD_AI

PARTS = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}


def test_the_items_are_27_in_52_parts():
    expected = [f"{number}{part}" for number in range(1, 28) for part in PARTS.get(number, [""])]
    assert [item.number for item in TRIPOD_AI.items] == expected
    assert len(expected) == 52


def test_some_items_are_where_the_publication_has_them():
    titles = {item.number: item.title for item in TRIPOD_AI.items}
    assert titles["14"] == "Fairness"
    assert titles["18f"] == "Sharing of code"
    assert titles["24"] == "Results of updating"
