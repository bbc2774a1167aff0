"""Which pairs a split unites: the published, those that an audit is certain of, and HAM10000's fixed ones."""

from dataclasses import replace
from pathlib import Path

from lesionlens.core.labels import HAM10000
from lesionlens.data.audit.corrections import AUDITED, MISSED_DUPLICATES, listed_pairs, united_pairs
from lesionlens.data.index import Index, Record

IDS = sorted({image_id for pair in (*MISSED_DUPLICATES, *AUDITED) for image_id in pair} | {"x", "y", "z"})
INDEX = Index(tuple(Record(i, f"{i}.jpg", "nv", f"L{i}") for i in IDS), HAM10000, Path("images"), "ham10000")
FOUND = [("y", "x"), AUDITED[0], ("x", "elsewhere")]


def test_the_lists():
    assert (len(MISSED_DUPLICATES), len(AUDITED)) == (18, 15)
    assert not {frozenset(pair) for pair in MISSED_DUPLICATES} & {frozenset(pair) for pair in AUDITED}
    assert len(listed_pairs(INDEX)) == 18
    few = replace(INDEX, records=tuple(r for r in INDEX.records if r.image_id in MISSED_DUPLICATES[0]))
    assert listed_pairs(few) == (MISSED_DUPLICATES[0],)


def test_groups_of_ham10000_are_fixed():
    together, apart = united_pairs(INDEX, FOUND)
    assert set(together) == {*MISSED_DUPLICATES, *AUDITED}
    assert apart == (("x", "y"),)
    assert united_pairs(INDEX, []) == (together, ())


def test_all_can_be_united():
    together, apart = united_pairs(INDEX, FOUND, unite_all=True)
    assert set(together) == {*MISSED_DUPLICATES, AUDITED[0], ("x", "y")}
    assert apart == ()


def test_elsewhere_what_is_found_is_united():
    together, apart = united_pairs(replace(INDEX, source="table"), FOUND)
    assert ("x", "y") in together
    assert apart == ()
