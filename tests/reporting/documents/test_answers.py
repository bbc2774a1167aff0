import pytest

from lesionlens.core.errors import ArtifactError
from lesionlens.reporting.documents.answers import Answer, combined, counted, guarded, lacking, statement, words
from lesionlens.reporting.documents.stated import Stated


def test_a_statement_comes_from_the_file_or_says_where_to_make_it(finished_run, facts_of):
    answer = statement("funding")
    assert answer(facts_of(finished_run)).missing == (
        "no artifact records sources of funding, and the role of the funders; state it as `funding` in stated.toml"
    )
    stated = Stated({"funding": "A grant."}, name="stated.toml")
    assert answer(facts_of(finished_run, stated)) == Answer("A grant.", "stated.toml")


def test_what_lacks_names_the_command(plain_facts):
    assert lacking(plain_facts, "bundle", "thresholds").missing == "thresholds: make it with: lesionlens export CHECKPOINT"


def test_answers_are_combined_without_repetition():
    a, b = Answer("A.", "x.json, y.json", "u"), Answer("B.", "y.json", "v")
    assert combined([a, b, a]) == Answer("A. B.", "x.json, y.json", "u; v")
    assert combined([Answer(missing="u"), Answer()]) == Answer(missing="u")


def test_what_does_not_apply_counts_only_alone():
    none = Answer.inapplicable("Drawn.")
    assert combined([none, none]) == none
    assert combined([none, Answer("A.", "x.json")]) == Answer("Drawn. A.", "x.json")


def test_a_guarded_provider_names_its_file(plain_facts):
    @guarded("audit")
    def broken(facts):
        raise KeyError("pairs")

    with pytest.raises(ArtifactError, match=r"audit\.json does not hold what it should \(KeyError: 'pairs'\)"):
        broken(plain_facts)


def test_words():
    assert words([]) == "none"
    assert words(["a"]) == "a"
    assert words(["a", "b"]) == "a and b"
    assert counted({"train": 1200}) == "train 1,200"
