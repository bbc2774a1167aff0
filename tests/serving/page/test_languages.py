"""The page in every language: what is shown, its direction, numbers, widths, the report, and the change of language."""

import json
import re
from pathlib import Path

import pytest
from tests.serving.page.walk import first_views

from lesionlens.serving.page_files import FOLDER, languages

pytestmark = pytest.mark.slow

CHECKS = (Path(__file__).parent / "checks.js").read_text()
RIGHT_TO_LEFT = ("ar", "ckb")
ADOPT = "const m = await import(new URL('language.js', location).href); m.adopt(JSON.parse(arguments[0]))"
# Texts and names that are seen or spoken, without what has no language: names of files and people, codes, numbers, English
# that is marked as such.
SEEN = """
const exempt = "bdi, code, time, [lang=en], .brand, #language, .scale-bar, .note, script, style, noscript, .symbols";
const hidden = (element) => !element.checkVisibility({ checkVisibilityCSS: true });
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const { parentElement: at, textContent: text } = walker.currentNode;
  if (text.trim() && !at.closest(exempt) && !hidden(at)) found.push(text.trim());
}
for (const element of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]")) {
  if (element.closest(exempt) || hidden(element)) continue;
  for (const name of ["aria-label", "title", "placeholder", "alt"])
    if (element.getAttribute(name)) found.push(element.getAttribute(name));
}
return found;
"""
NO_LANGUAGE = re.compile(
    r"\d+ [A-Z][a-z]{2,3} \d{4}|[\d\s.,:;%<>()\[\]–×\u2066-\u2069\u202f-]|mm|ms|kB|MB|CIELAB|\b(UTC|GMT)\b|JPEG|[\w.-]+\.jpg"
)


def catalogue(tag):
    return json.loads((FOLDER / f"language.{tag}.json").read_text(encoding="utf-8"))


def adopt(page, content):
    page.driver.execute_async_script(
        f"const done = arguments[1]; (async () => {{ {ADOPT} }})().then(() => done(), (error) => {{ throw error; }});",
        json.dumps(content),
    )


def speak(page, tag):
    page.js(
        "const menu = document.getElementById('language'); menu.value = arguments[0]; menu.dispatchEvent(new Event('change'))",
        tag,
    )
    page.until(lambda: page.js("return document.documentElement.lang") == tag, f"the language {tag}")


@pytest.fixture
def page(page):
    """English again after each test, as a first visit has it."""
    yield page
    page.js("localStorage.clear()")


def open_views(page, images):
    """Every view with something in it, by nothing that has a language."""
    yield from first_views(page, images)
    page.js("document.querySelector('[name=conclusion]').value = 'nv'")
    page.press(".review .primary")
    page.find(".review .conclusion")
    yield "reviewed"
    for view, ready in (
        ("history", ".history tbody tr"),
        ("worklist", ".label-next, .disagreeing, .waiting, #worklist-list .none"),
        ("cases", ".cases tbody tr"),
        ("case/A", "#case-detail .lesion"),
        ("lesion/A/L1", ".visits tbody tr"),
        ("model", ".diagnoses tbody tr"),
    ):
        page.go(view)
        page.find(ready)
        yield view.split("/")[0]


def pseudo():
    """English between brackets, with accents on its vowels, so that what is not from the catalogue stands out."""
    source = catalogue("en")

    def strange(text):
        parts = re.split(r"(\{\w+\})", text)
        return "⟦" + "".join(p if p.startswith("{") else p.translate(str.maketrans("aeiou", "àéîöü")) for p in parts) + "⟧"

    texts = {
        key: {form: strange(t) for form, t in entry.items()} if isinstance(entry, dict) else strange(entry)
        for key, entry in source["texts"].items()
    }
    return {"language": {**source["language"], "tag": "en-XA"}, "texts": texts}


def outside(text):
    """What stands in no brackets."""
    depths = [text[: at + 1].count("⟦") - text[:at].count("⟧") for at in range(len(text))]
    return "".join(letter for letter, depth in zip(text, depths, strict=True) if not depth)


def test_every_text_comes_from_the_catalogue(page, images):
    adopt(page, pseudo())
    faults = []
    for view in open_views(page, images):
        seen = page.js(SEEN)
        assert len(seen) > 5
        faults += [f"{view}: {text}" for text in seen if re.search(r"[A-Za-z]{2}", NO_LANGUAGE.sub("", outside(text)))]
    assert sorted(set(faults)) == []


@pytest.mark.parametrize("tag", sorted(languages()))
def test_every_view_fits_in_every_language(page, images, tag):
    speak(page, tag)
    assert page.js("return document.documentElement.dir") == ("rtl" if tag in RIGHT_TO_LEFT else "ltr")
    faults = []
    for view in open_views(page, images):
        for width in (320, 1280):
            page.emulate(width=width)
            wide = page.js("return document.documentElement.scrollWidth - innerWidth")
            faults += [f"{view} at {width}: {wide} px too wide"] if wide > 0 else []
            cut = page.js(
                "return [...document.querySelectorAll('button, .views a, th, dt, h1, h2, h3')]"
                ".filter((each) => each.checkVisibility() && !each.closest('.unseen, thead, .scroll, .row-open, .cases')"
                " && !each.matches('.unseen') && each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 1)"
                ".map((each) => each.textContent)"
            )
            faults += [f"{view} at {width}: cut {text}" for text in cut]
        text = page.js("return document.body.innerText")
        assert "undefined" not in text
        assert not re.search("[\u0660-\u0669\u06f0-\u06f9]", text)  # one kind of digits
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_arabic_has_contrast(page, images, scheme):
    speak(page, "ar")
    page.emulate(prefers_color_scheme=scheme)
    for view in open_views(page, images):
        assert page.js(f"{CHECKS}\nreturn weakContrast();") == [], view


@pytest.mark.parametrize("tag", sorted(languages()))
def test_the_report_is_one_page_in_every_language(page, images, tag):
    speak(page, tag)
    page.shown(images[6])
    page.until(lambda: page.js("return document.querySelectorAll('#report img').length") == 3)
    text = page.js("return document.getElementById('report').textContent")
    own = catalogue(tag)
    assert own["texts"]["report.title"] in text
    assert own["texts"]["report.limits"] in text
    assert (own["texts"]["translation.unread"] in text) == (tag != "en")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf())) == 1


def test_a_change_of_language_loses_nothing(page, images):
    page.upload(*images[:2])
    page.answered(2)
    page.visible(".row-open")[1].click()
    page.until(page.photo_width)
    page.look("beside")
    page.press(".zoom-in")
    page.js("document.querySelector('#detail [name=conclusion]').value = 'df'")
    page.find("#detail [name=note]").send_keys("a long note")
    photo = page.js("return document.querySelector('#detail .stage .photo').src")
    page.press(".case-fields > summary")
    page.find("#subject [name=case]").send_keys("A-9")
    page.press(".case-fields .body summary")
    page.press('#subject .region[data-site="chest"]')
    speak(page, "de")
    german = catalogue("de")["texts"]
    assert page.text(".views a[href='#images']") == german["view.images"]
    assert page.driver.title.startswith(german["view.images"])
    assert page.text("#translation") == german["translation.unread"]
    assert page.js("return document.querySelector('#detail [name=conclusion]').value") == "df"
    assert page.js("return document.querySelector('#detail [name=note]').value") == "a long note"
    assert page.js("return document.querySelector('#detail .stage .photo').src") == photo
    assert page.js("return document.querySelector('#detail .picture').dataset.view") == "beside"
    assert "150" in page.text("#detail .tools .level")
    assert page.js("return document.querySelector('#subject [name=case]').value") == "A-9"
    assert page.js("return document.querySelector('#subject .region[data-site=chest]').getAttribute('aria-checked')") == "true"
    assert page.js("return document.querySelector('.case-fields .body').open")
    assert len(page.visible("#rows li")) == 2
    assert german["list.images"]["other"].format(count=2) in page.text("#queue-count")
    speak(page, "en")
    assert page.text(".views a[href='#images']") == "Images"
    assert not page.visible("#translation")


def test_a_choice_is_remembered(page):
    speak(page, "fr")
    page.driver.refresh()
    page.until(lambda: page.js("return document.documentElement.lang") == "fr")
    page.until(lambda: page.text(".views a[href='#images']") == catalogue("fr")["texts"]["view.images"])


@pytest.mark.parametrize(("accepted", "tag"), [("fr-CA,fr", "fr"), ("sv,es", "es"), ("ckb-IQ", "ckb"), ("sv", "en")])
def test_the_browser_says_the_language_first(page, accepted, tag):
    agent = page.js("return navigator.userAgent")
    page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": accepted})
    try:
        page.driver.refresh()
        page.until(lambda: page.js("return document.documentElement.lang") == tag, f"{tag} for {accepted}")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": "en-US,en"})


def test_a_clinic_sets_its_language(driver, start_server, new_page):
    server = start_server("--language", "de")
    page = new_page(server.url + "/")
    page.until(lambda: page.js("return document.documentElement.lang") == "de")
    page.find("#server-state[data-state=ready]")
    server.stop()


def test_what_a_catalogue_lacks_is_english_and_marked(page, images):
    own = catalogue("ar")
    for key in ("probability.calibrated", "view.images", "picture.tool.larger", "list.sort"):
        del own["texts"][key]
    adopt(page, own)
    page.shown(images[0])
    marked = page.js("return [...document.querySelectorAll('[lang=en]')].map((each) => each.ariaLabel ?? each.textContent)")
    assert {"Calibrated probabilities", "Images", "Enlarge", "Sort by malignant share"} <= set(marked)
    assert (
        page.js("return [...document.querySelectorAll('button')].filter((each) => !each.ariaLabel && !each.textContent).length")
        == 0
    )


def test_texts_of_the_server_are_translated_or_marked(page, images, tmp_path):
    speak(page, "de")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(images[0].read_bytes()[:400])
    page.expected.append("422")
    page.upload(broken)
    page.answered(1)
    assert page.text("#detail .problem-title").startswith(catalogue("de")["texts"]["kind.image_unreadable"])
    assert page.js("return document.querySelector('#detail .problem p [lang=en]').textContent")


@pytest.mark.parametrize("tag", sorted(languages()))
def test_plurals_are_those_of_the_browser(page, tag):
    own = catalogue(tag)
    forms = page.js("return new Intl.PluralRules(arguments[0]).resolvedOptions().pluralCategories", own["language"]["locale"])
    assert set(forms) == set(own["texts"]["list.images"])
    assert page.js("return Intl.NumberFormat.supportedLocalesOf([arguments[0]]).length", own["language"]["locale"]) == 1


def test_right_to_left_keeps_pictures_numbers_and_time(page, images):
    speak(page, "ar")
    page.press(".case-fields > summary")
    page.press(".case-fields .body summary")
    front, back = page.js(
        "return [...document.querySelectorAll('#subject .region')].filter((each) => each.dataset.site === 'hand')"
        ".map((each) => each.getBoundingClientRect().left)"
    )
    assert front < back  # the drawing is not mirrored
    page.press(".case-fields > summary")
    page.shown(images[0])
    assert page.js("return getComputedStyle(document.querySelector('#detail .stage')).direction") == "ltr"
    share = page.js("return document.querySelector('#detail .probabilities td.number').textContent")
    assert re.fullmatch("\u2066[<>]?[\\d.]+\u202f%\u2069", share)
    tray, detail = (page.find(css).rect["x"] for css in (".tray", "#detail"))
    assert tray > detail
    assert page.find("#detail .file-name bdi").text == images[0].name
