"""The tour: three sentences on the first visit, closed by one key, shown again on request, never in the way of an image."""

import base64

import pytest
from tests.serving.page.test_page import DROP

pytestmark = pytest.mark.slow

TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
SEEN = "return localStorage.getItem('lesionlens-tour')"
NO_STORAGE = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('blocked', 'SecurityError'); } });"
FOCUS = "return document.activeElement.id"


def again(page):
    page.driver.refresh()
    page.find("#server-state[data-state=ready]")


def test_three_sentences_until_they_are_closed(page):
    assert [heading.text for heading in page.visible("#tour h3")] == [
        "What it is for",
        "What it is not",
        "What \u201cnot sure\u201d means",
    ]
    again(page)
    assert page.visible("#tour")  # nobody has closed it yet
    page.press("#tour-close")
    assert not page.visible("#tour")
    again(page)
    assert not page.visible("#tour")


def test_one_key_closes_it_and_another_opens_it_again(page):
    page.keys(ESCAPE)
    assert not page.visible("#tour")
    assert page.js(SEEN) == "closed"
    page.go("history")
    page.js("document.getElementById('help').focus()")
    page.keys(ENTER)
    page.find("#tour")
    page.until(lambda: page.js(FOCUS) == "tour-title", "the focus on the title, which a screen reader reads")
    page.keys(TAB)
    assert page.js(FOCUS) == "tour-close"
    page.keys(ENTER)
    assert not page.visible("#tour")
    assert page.js(FOCUS) == "help"  # where it came from


def test_escape_in_a_dialog_leaves_the_tour(page, images):
    page.shown(images[0])
    page.press("#help")
    page.find("#tour")
    page.press("#detail .larger")
    page.find("#picture-dialog")
    page.keys(ESCAPE)
    page.until(lambda: not page.visible("#picture-dialog"))
    assert page.visible("#tour")
    page.keys(ESCAPE)
    assert not page.visible("#tour")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_it_is_not_in_the_way_of_an_image(page, images, kind):
    assert page.visible("#tour")
    page.js(DROP, f"{kind}.jpg", base64.b64encode(images[1].read_bytes()).decode(), kind)
    page.find("#detail .outcome")
    assert not page.visible("#tour")
    assert page.js(SEEN) is None  # and comes back with the next visit, because nobody has closed it


def test_without_storage_it_can_be_closed_and_comes_back(page, driver):
    script = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NO_STORAGE})
    try:
        again(page)
        page.find("#tour")
        page.press("#tour-close")
        assert not page.visible("#tour")
        page.go("model")
        page.go("images")
        assert not page.visible("#tour")
        again(page)
        assert page.visible("#tour")
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script["identifier"]})
