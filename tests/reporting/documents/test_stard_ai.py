from lesionlens.reporting.documents.stard_ai import STARD_AI

PARTS = {15: "abcd", 16: "abc", 17: "ab", 26: "ab", 40: "ab"}


def test_the_items_are_40_in_48_parts():
    expected = [f"{number}{part}" for number in range(1, 41) for part in PARTS.get(number, [""])]
    assert [item.number for item in STARD_AI.items] == expected
    assert len(expected) == 48


def test_the_file_says_where_its_numbers_come_from():
    assert "not from the version of record" in STARD_AI.note
