"""Keyboard, names, contrast, sizes, narrow screens: what the page promises to everyone."""

import pytest
from tests.serving.page.walk import ALL_VIEWS, check, views

pytestmark = pytest.mark.slow

NEEDS_A_NAME = {
    *("button", "link", "textbox", "searchbox", "combobox", "slider", "progressbar", "ProgressIndicator", "dialog", "navigation"),
    *("img", "image", "region", "search", "table", "spinbutton", "form"),
}
TAB, ENTER, SPACE, ESCAPE, RIGHT, DOWN = "\ue004", "\ue007", " ", "\ue00c", "\ue014", "\ue015"
SCHEMES = ["light", "dark"]
FOCUS = """
const element = document.activeElement;
const style = getComputedStyle(element);
return { id: element.id, name: element.name ?? "", css: element.className, tag: element.tagName,
         text: (element.textContent ?? "").trim(), outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth) };
"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_contrast(page, images, scheme):
    page.emulate(prefers_color_scheme=scheme)
    seen = page.js("return getComputedStyle(document.body).backgroundColor")
    assert (seen == "rgb(15, 20, 25)") == (scheme == "dark")
    assert {view: check(page, "weakContrast") for view in views(page, images)} == {view: [] for view in ALL_VIEWS}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_contrast_of_the_other_outcomes_and_of_problems(page, images, tmp_path, scheme):
    page.expected.append("422")
    page.emulate(prefers_color_scheme=scheme)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    page.upload(tmp_path / "broken.jpg")
    page.find("#detail .problem")
    assert check(page, "weakContrast") == []
    page.shown(images[0])
    for outcome in ("not_sure", "not_usable"):
        page.js("document.querySelector('#detail .outcome').dataset.outcome = arguments[0]", outcome)
        page.js("for (const row of document.querySelectorAll('#rows li')) row.dataset.state = arguments[0]", outcome)
        assert check(page, "weakContrast") == []
    page.js("document.getElementById('token-dialog').showModal()")
    assert check(page, "weakContrast") == []


def test_contrast_check_finds_what_is_weak(page):
    page.js("document.querySelector('.drop-title').style.color = '#999'")
    page.js("document.getElementById('choose').style.cssText = 'background: #fff; border-color: #ccc'")
    faults = check(page, "weakContrast")
    assert any("text 2.8" in fault for fault in faults)
    assert any("edge 1.6" in fault for fault in faults)


def test_structure_and_names(page, images):
    faults = {}
    for view in views(page, images):
        found = check(page, "brokenStructure") + nameless(page)
        if found:
            faults[view] = found
    assert faults == {}
    assert page.js("return document.documentElement.lang") == "en"


def nameless(page):
    """Nodes of the accessibility tree, as the browser tells it, that a screen reader could not name."""
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {node["role"]["value"] for node in nodes if not node["ignored"]}
    assert {"banner", "navigation", "main", "status"} <= roles
    bad = [node for node in nodes if not node["ignored"] and node["role"]["value"] in NEEDS_A_NAME]
    return [f"{node['role']['value']} without a name" for node in bad if not node.get("name", {}).get("value", "").strip()]


@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844), (640, 400), (1280, 800)])
def test_no_sideways_scroll_and_large_targets(page, images, width, height):
    page.emulate(width, height, touch=width < 640)
    for view in views(page, images):
        assert page.js("return document.documentElement.scrollWidth") <= width, view
        assert check(page, "smallTargets", 24) == [], view
        if width < 640:
            assert [fault for fault in check(page, "smallTargets", 44) if "row-close" not in fault] == [], view


def test_motion_stops_where_it_is_not_wanted(page):
    moves = (
        "const bar = document.getElementById('queue-progress'); bar.removeAttribute('value');"
        "document.getElementById('queue').hidden = false; return getComputedStyle(bar).animationName"
    )
    assert page.js(moves) == "working"
    page.emulate(prefers_reduced_motion="reduce")
    assert page.js(moves) == "none"


def tab_to(page, what, most=40):
    """Press Tab until `what` has the focus, and see that the focus can be seen at every stop."""
    for _ in range(most):
        page.keys(TAB)
        focus = page.js(FOCUS)
        assert focus["outline"] >= 2, focus
        if what in (focus["id"], focus["name"], focus["css"], focus["text"]):
            return
    raise AssertionError(f"Tab never came to {what}; it ended at {focus}")


def test_by_keyboard_alone_from_the_image_to_the_review(page, images):
    page.js(
        "document.getElementById('files').addEventListener('click', (event) => { window.asked = true; event.preventDefault(); })"
    )
    page.keys(TAB)
    assert page.js(FOCUS)["id"] == "skip"
    page.keys(ENTER)
    assert page.js(FOCUS)["id"] == "main"
    tab_to(page, "choose")
    page.keys(ENTER)
    assert page.js("return window.asked")  # the system's own dialog would open here
    page.upload(*images[:2])
    page.answered(2)
    tab_to(page, "row-open")
    page.keys(DOWN)
    assert images[1].name in page.js(FOCUS)["text"]
    page.keys(ENTER)
    page.until(lambda: page.text("#detail .file-name") == images[1].name)
    page.until(page.photo_width)
    page.until(lambda: page.js("return document.activeElement.tagName") == "BUTTON")
    tab_to(page, "Map over")
    page.keys(SPACE)
    first = page.until(page.map_source)
    tab_to(page, "stage")
    page.keys("+", "+")
    assert page.text("#detail .tools .level").replace("\u202f", " ") == "225 %"
    page.keys("0")
    to_control(page, "SELECT")
    page.keys(DOWN)
    page.until(lambda: page.map_source() not in ("", first))
    to_control(page, "INPUT")
    page.keys(RIGHT, RIGHT)
    assert page.text("#detail .controls .level").replace("\u202f", " ") == "70 %"
    tab_to(page, "conclusion")
    page.keys("Derma")
    tab_to(page, "note")
    page.keys("by keyboard")
    tab_to(page, "Save review")
    page.keys(SPACE)
    assert page.until(lambda: page.text(".review .conclusion") == "Dermatofibroma")
    assert page.js("return document.getElementById('live').textContent") == "The review is stored."


def to_control(page, tag):
    for _ in range(20):
        page.keys(TAB)
        if page.js(FOCUS)["tag"] == tag:
            return
    raise AssertionError(f"Tab never came to a {tag}")


def test_the_dialog_keeps_the_focus_and_escape_leaves_it(page, images):
    page.shown(images[0])
    page.find("#detail .larger").send_keys(ENTER)
    page.find("#picture-dialog")
    for _ in range(12):
        page.keys(TAB)
        assert page.js(
            "const focus = document.activeElement;"
            "return focus === document.body || document.getElementById('picture-dialog').contains(focus)"
        )
    page.keys(ESCAPE)
    page.until(lambda: not page.visible("#picture-dialog"))
    assert page.js(FOCUS)["css"] == "quiet tool larger"


def test_outcomes_differ_in_word_and_icon(page, images):
    items = page.js(
        "return [...document.querySelectorAll('.welcome li')]"
        ".map((li) => [li.querySelector('h3').textContent, li.querySelector('use').getAttribute('href')])"
    )
    assert len({word for word, _ in items}) == len({icon for _, icon in items}) == 3


def test_what_happens_is_said(page, images):
    page.shown(images[0])
    said = page.js("return document.getElementById('live').textContent")
    assert said.startswith(f"{images[0].name}: ")
    assert page.text("#detail .outcome-sentence") in said
