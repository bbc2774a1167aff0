"""Tokens, a full server, a server that goes away, an answer that is not sure."""

import os
import re
import signal
from pathlib import Path

import pytest

from lesionlens.serving.access import create_token, revoke_token

pytestmark = pytest.mark.slow

STORED = "return sessionStorage.getItem('lesionlens-token')"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "tokens.json"
    return {
        "file": path,
        **{
            name: create_token(path, name, role)
            for name, role in (("ann", "review"), ("bob", "predict"), ("eve", "predict"), ("max", "predict"))
        },
    }


@pytest.fixture(scope="module")
def guarded(driver, start_server, tokens):
    return start_server("--tokens", str(tokens["file"]), "--rate", "60")


@pytest.fixture(scope="module")
def narrow(driver, start_server):
    """A server that takes one small image at a time and lets none wait."""
    return start_server("--max-active", "1", "--queue", "0", "--max-upload-mb", "0.1")


@pytest.fixture
def at(driver, new_page):
    """The page of a given server; what the browser logs of refusals is expected."""
    opened = []

    def open_page(server, *expected):
        page = new_page(server.url + "/")
        page.expected += ["status of 401", "status of 403", "status of 503", "status of 429", *expected]
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        assert page.complaints() == []
        assert page.strangers() == []


def give(page, token):
    page.find("#token").send_keys(token + "\n")


def test_a_token_is_asked_for_and_kept_in_this_tab(at, guarded, tokens, images):
    page = at(guarded)
    assert page.text("#token-title") == "Access token"
    assert page.js("return document.activeElement.id") == "token"
    give(page, "ll_wrong")
    assert "unknown" in page.until(lambda: page.text("#token-problem"))
    assert page.js(STORED) is None
    give(page, tokens["ann"])
    page.find("#server-state[data-state=ready]")
    assert page.js(STORED) == tokens["ann"]
    assert page.js("return localStorage.length") == 0
    page.shown(images[0])
    page.driver.refresh()
    page.find("#server-state[data-state=ready]")
    assert not page.visible("#token-dialog")
    page.find("#sign-out").click()
    assert page.js(STORED) is None


def test_without_a_token_the_page_says_so_and_asks_again(at, guarded, tokens):
    page = at(guarded)
    page.find("#token")
    page.keys("\ue00c")
    assert "(401)" in page.text("#detail .problem")
    page.find("#detail .problem button").click()
    give(page, tokens["bob"])
    page.find("#server-state[data-state=ready]")


def test_a_revoked_token_is_told_from_a_wrong_one(at, guarded, tokens, images):
    page = at(guarded)
    give(page, tokens["eve"])
    page.find("#server-state[data-state=ready]")
    revoke_token(tokens["file"], "eve")
    page.upload(images[0])
    assert "revoked" in page.text("#token-problem")
    give(page, tokens["ann"])
    page.find("#detail .outcome")  # the image that was refused has gone on by itself


def test_who_may_not_review_is_told(at, guarded, tokens, images):
    page = at(guarded)
    give(page, tokens["bob"])
    page.find("#server-state[data-state=ready]")
    page.shown(images[0])
    assert "role review" in page.text(".review")
    assert not page.visible(".review form")


def test_a_refused_review_says_why(at, guarded, tokens, images):
    page = at(guarded)
    give(page, tokens["ann"])
    page.find("#server-state[data-state=ready]")
    page.shown(images[0])
    page.js("sessionStorage.setItem('lesionlens-token', arguments[0])", tokens["bob"])
    page.js("document.querySelector('[name=conclusion]').value = 'nv'")
    page.find(".review .primary").click()
    problem = page.text(".review .problem")
    assert "(403)" in problem
    assert "role" in problem
    assert "Request" in problem


def test_a_full_server_is_waited_for(at, narrow, images):
    page = at(narrow)
    page.find("#server-state[data-state=ready]")
    page.js(
        "window.heard = [];"
        "new MutationObserver(() => window.heard.push(document.getElementById('rows').textContent))"
        ".observe(document.getElementById('rows'), { subtree: true, childList: true, characterData: true })"
    )
    page.upload(*images[:5])
    page.answered(5)
    assert page.js("return [...document.querySelectorAll('#rows li')].every((row) => row.dataset.state !== 'failed')")
    assert page.js("return window.heard.some((text) => /Server busy; again in \\d+ s/.test(text))")


def test_the_rate_limit_is_waited_for(at, guarded, tokens, images):
    page = at(guarded)
    give(page, tokens["max"])
    page.find("#server-state[data-state=ready]")
    page.js(
        "window.told = '';"
        "setInterval(() => { if (/Rate limit; again/.test(document.body.textContent)) window.told = 'yes'; }, 20)"
    )
    page.upload(*images[:70])
    page.until(lambda: page.js("return window.told") == "yes", "a rate limit")
    page.until(lambda: page.js("return document.querySelectorAll('#rows li[data-state=failed]').length") == 0)


def test_a_server_that_goes_and_comes_back(at, start_server, images):
    server = start_server()
    page = at(server, "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    page.find("#server-state[data-state=ready]")
    server.stop(signal.SIGKILL)
    page.upload(images[0])
    assert "cannot be reached" in page.text("#gone")
    assert page.until(lambda: "Waits for the server" in page.text("#rows"))
    page.find("#gone button")
    start_server("--port", server.url.rsplit(":", 1)[1], record=server.record)
    page.connect_again()
    page.find("#detail .outcome")
    assert not page.visible("#gone")


def test_an_answer_that_is_not_sure(at, start_server, unsure_bundle, images):
    page = at(start_server(bundle=unsure_bundle))
    page.find("#server-state[data-state=ready]")
    page.shown(images[0])
    assert page.text("#detail .outcome-word") == "Not sure: have a person look"
    assert not page.visible("#detail .outcome-probability")
    assert re.search(r"Not sure\n?.*malignant share \d+\.\d", page.text("#rows li"), re.DOTALL)  # in the list, too
    assert page.text("#queue-count") == "1 image, 1 not sure"
    assert len(page.visible(".probabilities tbody tr")) == 7
    page.go("model")
    assert "0.01\u202f% or more" in page.text("#model-detail")


def test_a_file_beyond_the_limit_is_not_sent(at, narrow, tmp_path):
    page = at(narrow)
    page.find("#server-state[data-state=ready]")
    (tmp_path / "large.jpg").write_bytes(os.urandom(200_000))
    page.upload(tmp_path / "large.jpg")
    assert "too large" in page.text("#detail .problem")
    assert Path(tmp_path / "large.jpg").name in page.text("#detail h2")
