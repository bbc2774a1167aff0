import pytest

from lesionlens.core.errors import RecipeError
from lesionlens.core.run import Run
from lesionlens.reporting.documents.stated import NOTHING, NUMBERS, TEXTS, Stated, read_stated, stated_of


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "stated.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_texts_and_numbers_are_read(write):
    stated = read_stated(write('funding = "A grant.\\n  No role."\nwatts = 90\ngrams_co2_per_kwh = 400.5\n'))
    assert stated == Stated({"funding": "A grant. No role."}, 90.0, 400.5, "stated.toml")
    assert stated.text("funding") == "A grant. No role."
    assert stated.text("ethics") == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('fundings = "x"', "unknown key fundings; did you mean funding?"),
        ("funding = 3", "it must be a text (sources of funding"),
        ('funding = "  "', "leave the key out to state nothing"),
        ('watts = "90"', "watts = '90'; it must be a number"),
        ("watts = true", "it must be a number"),
        ("watts = 0", "watts = 0.0; it must be a number above 0"),
        ("watts = nan", "watts = nan; it must be a number above 0"),
        ("watts = inf", "it must be a number above 0"),
        ("grams_co2_per_kwh = 400", "a carbon intensity is stated and the power is not"),
        ("funding = ", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(write, text, words):
    with pytest.raises(RecipeError) as error:
        read_stated(write(text))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read as TOML"):
        read_stated(tmp_path / "none.toml")


def test_the_file_of_the_run_folder_counts(tmp_path):
    assert stated_of(Run.at(tmp_path)) == NOTHING
    (tmp_path / "stated.toml").write_text('funding = "A grant."')
    assert stated_of(Run.at(tmp_path)).text("funding") == "A grant."


def test_an_option_counts_before_the_file():
    stated = Stated({"data_licence": "CC0", "funding": "A"}, watts=90.0)
    assert stated.with_options() == stated
    changed = stated.with_options("CC BY 4.0", 120.0, 30.0)
    assert (changed.text("data_licence"), changed.watts, changed.grams_co2_per_kwh) == ("CC BY 4.0", 120.0, 30.0)
    assert changed.text("funding") == "A"
    with pytest.raises(RecipeError, match="--watts"):
        NOTHING.with_options(grams_co2_per_kwh=30.0)


def test_every_key_is_in_the_documentation():
    from tests.conftest import ROOT

    page = (ROOT / "docs" / "documents.md").read_text(encoding="utf-8")
    for key, meaning in {**TEXTS, **NUMBERS}.items():
        assert f"| `{key}` | {meaning} |" in page
