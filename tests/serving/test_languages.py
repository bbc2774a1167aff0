"""The catalogues of the page's languages: complete, alike in keys, places and plurals, and true to what the server says."""

import copy
import json
import re
from pathlib import Path

import pytest

from lesionlens.bundle.gate import CHECKS
from lesionlens.bundle.outcome import WITHOUT
from lesionlens.core.errors import RecipeError
from lesionlens.core.labels import ISIC2016, ISIC2017, LABEL_SETS, PH2
from lesionlens.core.metadata import FIELDS, SEXES, SITES
from lesionlens.data.colour import NO_PROFILE, ON_WHITE
from lesionlens.export.provenance import INTENDED_USE
from lesionlens.serving.clinic_statistics import NOTE
from lesionlens.serving.page_files import FOLDER, languages, page_files
from lesionlens.serving.problems import KINDS
from lesionlens.serving.settings import ServingSettings

SITE = FOLDER.parents[1] / "site" / "page"
ARABIC = {"zero", "one", "two", "few", "many", "other"}
PLURALS = {  # CLDR; a browser test compares them with Intl.PluralRules
    "en": {"one", "other"},
    "de": {"one", "other"},
    "fr": {"one", "many", "other"},
    "es": {"one", "many", "other"},
    "ar": ARABIC,
    "ckb": {"one", "other"},
}
UNREAD = "machine-translated, not read by a clinician"
PLACE = re.compile(r"\{(\w+)\}")
COUNT_ALONE = {"zero", "one", "two"}  # forms that may say their number in words
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", re.DOTALL)
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
CODE_WORDS = {  # literals with a capital letter that are no language
    *("Accept", "Authorization", "Bearer", "Content-Type", "Enter", "Files", "Image", "AbortError", "POST", "PUT", "DELETE"),
    *("ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Retry-After", "X-Request-ID", "DETAILS", "LesionLens", "SHA-256"),
    *("English", "Deutsch", "Français", "Español", "MB", "GET", "Space", "Escape", "Home", "End", "Tab"),
}


def catalogue(tag):
    return json.loads((FOLDER / f"language.{tag}.json").read_text(encoding="utf-8"))


def faults(own, source):
    """What is wrong with a catalogue, one line each."""
    tag, texts, known = own["language"]["tag"], own["texts"], source["texts"]
    found = [f"{tag}: no text for {key}" for key in known.keys() - texts.keys()]
    found += [f"{tag}: unknown key {key}" for key in texts.keys() - known.keys()]
    for key in known.keys() & texts.keys():
        forms, wanted = texts[key], known[key]
        if isinstance(forms, str) != isinstance(wanted, str):
            found.append(f"{tag}: {key} has plurals in one language only")
            continue
        if isinstance(forms, dict) and set(forms) != PLURALS[tag]:
            found.append(f"{tag}: {key} has plurals {sorted(forms)}, not {sorted(PLURALS[tag])}")
        found += place_faults(tag, key, forms, wanted)
    return sorted(found)


def place_faults(tag, key, forms, wanted):
    places = set(PLACE.findall(wanted if isinstance(wanted, str) else wanted["other"]))
    for form, text in (forms if isinstance(forms, dict) else {"": forms}).items():
        own = set(PLACE.findall(text))
        if not text.strip():
            yield f"{tag}: {key} {form} is empty"
        if own != places and not (form in COUNT_ALONE and own == places - {"count"}):
            yield f"{tag}: {key} {form} has places {sorted(own)}, not {sorted(places)}"


@pytest.mark.parametrize("tag", sorted(PLURALS))
def test_a_catalogue_is_complete(tag):
    own = catalogue(tag)
    assert own["language"]["tag"] == tag
    assert faults(own, catalogue("en")) == []


def test_every_language_has_a_catalogue_and_its_own_name():
    assert set(languages()) == set(PLURALS)
    listed = re.search(r"export const NAMES = (\{.*?\});", (FOLDER / "language.js").read_text(encoding="utf-8"), re.DOTALL)[1]
    names = json.loads(re.sub(r"(\w+):", r'"\1":', listed).replace(", }", "}").replace(" }", "}"))
    assert names == {tag: catalogue(tag)["language"]["name"] for tag in languages()}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda texts: texts.pop("view.images"), "de: no text for view.images"),
        (lambda texts: texts.update({"view.imagse": "Bilder"}), "de: unknown key view.imagse"),
        (lambda texts: texts.update({"map.of": "Heatmap"}), "de: map.of  has places [], not ['name']"),
        (lambda texts: texts.update({"map.of": "Heatmap {nmae}"}), "de: map.of  has places ['nmae'], not ['name']"),
        (lambda texts: texts["list.images"].pop("one"), "de: list.images has plurals ['other'], not ['one', 'other']"),
        (lambda texts: texts.update({"view.images": " "}), "de: view.images  is empty"),
    ],
)
def test_a_damaged_catalogue_is_named(damage, said):
    own = copy.deepcopy(catalogue("de"))
    damage(own["texts"])
    assert said in faults(own, catalogue("en"))


@pytest.mark.parametrize("tag", sorted(set(PLURALS) - {"en"}))
def test_a_translation_says_whether_a_clinician_has_read_it(tag):
    facts = catalogue(tag)["language"]
    assert (facts["status"] == UNREAD) == (not facts["reviewed_by"])
    assert facts["direction"] == ("rtl" if tag in ("ar", "ckb") else "ltr")


@pytest.mark.parametrize("tag", sorted(PLURALS))
def test_not_sure_never_reads_as_benign(tag):
    texts = catalogue(tag)["texts"]
    benign = texts["diagnosis.benign"].casefold()
    for key in ("outcome.not_sure", "outcome.not_sure.short", "welcome.not_sure", "explanation.not_sure", "tour.not_sure.text"):
        assert benign not in texts[key].casefold()
    assert len({texts[f"outcome.{name}"] for name in ("diagnosis", "not_sure", "not_usable")}) == 3


def test_english_is_what_the_server_says():
    texts = catalogue("en")["texts"]
    for code, kind in KINDS.items():
        assert texts[f"kind.{code}"] == kind.title
    for code, check in CHECKS.items():
        assert texts[f"reason.{code}"] == check.text
    for labels in (*LABEL_SETS.values(), ISIC2016, ISIC2017, PH2):
        for label in labels.diagnoses:
            assert texts[f"diagnosis.{label.code}"] == label.name
            assert texts[f"about.{label.code}"]
    for value in (*SITES, *SEXES):
        assert texts[f"choice.{value}"] == value.capitalize()
    assert all(f"patient.{field}" in texts for field in FIELDS)
    said = (NOTE, ON_WHITE, NO_PROFILE, WITHOUT, INTENDED_USE["for"], INTENDED_USE["not_for"])
    assert [text for text in said if text not in texts.values()] == []


def modules():
    return [*sorted(FOLDER.glob("*.js")), *(SITE / name for name in ("app.js", "api.js", "offline.js", "texts.js"))]


def html():
    files = (FOLDER / "index.html", SITE / "foot.html", SITE / "private.html")
    return "".join(path.read_text(encoding="utf-8") for path in files)


def test_the_fixed_texts_of_the_page_are_those_of_the_catalogue():
    texts = catalogue("en")["texts"]
    fixed = re.findall(r'data-text="([^"]+)"[^>]*>([^<]*)<', html())
    fixed += [(key, label) for label, key in re.findall(r'aria-label="([^"]+)" data-label="([^"]+)"', html())]
    assert len(fixed) > 40
    assert [(key, text) for key, text in fixed if texts.get(key) != text.strip()] == []


def test_every_key_of_the_modules_exists_and_every_text_is_used():
    texts = catalogue("en")["texts"]
    code = "".join(path.read_text(encoding="utf-8") for path in modules())
    areas = {key.split(".")[0] for key in texts}
    literal = {key for key in re.findall(r'"(\w+\.[\w.\-/]+)"', code) if key.split(".")[0] in areas}
    literal |= set(re.findall(r'data-(?:text|label)="([^"]+)"', html()))
    assert [key for key in literal if key not in texts and not key.endswith((".js", ".json", ".svg"))] == []
    made = [re.sub(r"\\\$\\\{[^}]*\\\}", "[^|]+", re.escape(key)) for key in re.findall(r"`(\w+\.[^`\n]*)`", code)]
    by_text = ("kind.", "known.")
    details = {f"{key}.detail" for key in literal}
    unused = [key for key in texts if key not in literal | details and not key.startswith(by_text)]
    assert [key for key in unused if not any(re.fullmatch(pattern, key) for pattern in made)] == []


def literals(path):
    """Texts between quotes, without what templates fill in, comments and imports."""
    code = COMMENT.sub("", path.read_text(encoding="utf-8"))
    code = re.sub(r"^import .*?;$|class: \"[^\"]*\"", "", code, flags=re.MULTILINE)
    for plain, template in LITERAL.findall(code):
        yield from re.split(r"\$\{.*?\}", template) if template else [plain]


def reads_as_english(text):
    words = text.strip().split()
    if text.strip() in CODE_WORDS or not words:
        return False
    sentence = re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", text) and not re.search(r"[#.\[\]=>:]\w|\(", text)
    return bool(re.fullmatch(r"[A-Z][a-z]{2,}.*", text.strip()) or sentence)


def test_no_module_has_english_of_its_own():
    found = [(path.name, text) for path in modules() for text in literals(path) if reads_as_english(text)]
    assert found == []


def test_the_scan_finds_english(tmp_path: Path):
    path = tmp_path / "module.js"
    path.write_text('p("The file is empty"); make("h2", {}, "History"); const x = `Case ${id}, of a lesion`; // A comment\n')
    assert [text for text in literals(path) if reads_as_english(text)] == ["The file is empty", "History", "Case "]


def test_a_clinic_sets_the_language_of_its_page(tmp_path: Path):
    assert b'<html lang="en" data-language="de">' in page_files(language="de")["index.html"].data
    assert b"data-language" not in page_files()["index.html"].data
    with pytest.raises(RecipeError, match="language 'xx'; the page has ar, ckb, de, en, es, fr"):
        ServingSettings(bundle=tmp_path, record=tmp_path / "record.sqlite", language="xx")
