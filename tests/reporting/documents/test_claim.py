from lesionlens.reporting.documents.claim import CLAIM


def test_the_items_are_numbered_from_1_to_44():
    assert [item.number for item in CLAIM.items] == [str(number) for number in range(1, 45)]


def test_some_items_are_where_the_publication_has_them():
    titles = {item.number: item.title for item in CLAIM.items}
    assert titles["14"] == "What the reference standard is"
    assert titles["20"] == "Level at which partitions are disjoint"
    assert titles["33"] == "Testing on external data"
    assert titles["44"] == "Funding"
