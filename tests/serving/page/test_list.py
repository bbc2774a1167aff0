"""The list of the session: malignant share in every row, order, honest counts, and a reload."""

import json
import re

import pytest

pytestmark = pytest.mark.slow

STORED = "return sessionStorage.getItem('lesionlens-list')"
STATES = "return [...document.querySelectorAll('#rows li')].map((row) => row.dataset.state)"


def shares(page):
    texts = page.js("return [...document.querySelectorAll('.row-share')].map((row) => row.textContent)")
    return [float(found[1]) if (found := re.search(r"malignant share ([\d.]+)", text)) else None for text in texts]


def logged(page, count):
    return page.js(f"return fetch('v1/predictions?limit={count}').then((response) => response.json())")["items"]


@pytest.fixture
def mixed(page, images, tmp_path):
    """Four predictions and a refusal in the list."""
    page.expected.append("422")
    (tmp_path / "Anna_Meier.jpg").write_bytes(b"no image")
    page.upload(*images[:4], tmp_path / "Anna_Meier.jpg")
    page.answered(5)
    return page


def test_every_row_has_its_malignant_share_and_mark(mixed):
    by_name = {row["file_name"]: row for row in logged(mixed, 4)}
    rows = mixed.visible("#rows li")
    for row in rows:
        name = row.find_element("css selector", ".row-name").text
        prediction = by_name.get(name)
        if prediction is None:
            assert row.get_attribute("data-state") == "failed"
            assert "malignant" not in row.text
            continue
        first = next((each for each in prediction["probabilities"] if each["code"] == prediction["diagnosis"]), None)
        assert f"malignant share {100 * prediction['malignant_share']:.1f}" in row.text
        assert bool(row.find_elements("css selector", ".tag.malignant")) == bool(first and first["malignant"])


def test_refused_images_are_counted_as_refused(mixed):
    assert re.fullmatch(r"5 images, .*\b1 refused", mixed.text("#queue-count"))
    answered = sum(int(number) for number in re.findall(r"(\d+) (?:diagnos|not )", mixed.text("#queue-count")))
    assert answered == 4


def test_sorted_by_malignant_share_on_request(mixed):
    before = [row.text for row in mixed.visible(".row-name")]
    mixed.find("#sort").click()
    found = shares(mixed)
    assert found[-1] is None  # the refusal
    assert found[:-1] == sorted(found[:-1], reverse=True)
    assert mixed.find("#sort").get_attribute("aria-pressed") == "true"
    mixed.find("#sort").click()
    assert [row.text for row in mixed.visible(".row-name")] == before


def test_a_later_image_takes_its_place_in_a_sorted_list(page, images):
    page.upload(images[0])
    page.answered(1)
    page.find("#sort").click()
    page.upload(*images[1:8])
    page.answered(8)
    found = [-1 if share is None else share for share in shares(page)]
    assert found == sorted(found, reverse=True)
    assert len(found) == 8


def test_the_list_survives_a_reload_and_stores_only_ids(mixed):
    names = [row.text for row in mixed.visible(".row-name")]
    states, ids = mixed.js(STATES), {row["id"] for row in logged(mixed, 4)}
    stored = json.loads(mixed.js(STORED))
    assert {entry["id"] for entry in stored if "id" in entry} == ids
    assert all(set(entry) in ({"id"}, {"problem"}) for entry in stored)
    assert not re.search("Anna|Meier|SYN|jpg", mixed.js(STORED))
    mixed.driver.refresh()
    mixed.until(lambda: len(mixed.visible("#rows li")) == 5)
    assert mixed.js(STATES) == states
    assert [row.text for row in mixed.visible(".row-name")] == [*names[:4], "Refused image"]
    mixed.until(lambda: mixed.photo_width())  # the server still has the picture
    assert mixed.js("return localStorage.length") == 0
    mixed.js("document.querySelector('#rows li:last-child').scrollIntoView()")
    drawn = "return [...document.querySelectorAll('.thumb')].filter((thumb) => thumb.classList.contains('blank')).length"
    mixed.until(lambda: mixed.js(drawn) == 1)  # only the refused one
    mixed.find("#clear").click()
    assert json.loads(mixed.js(STORED)) == []


def test_what_is_gone_from_the_record_is_counted(page, images):
    page.expected.append("404")
    page.upload(images[0])
    page.answered(1)
    page.js(
        "sessionStorage.setItem('lesionlens-list', JSON.stringify("
        "[{ id: '01M82VDBJZ10K4N0HN98RYPJT5' }, ...JSON.parse(sessionStorage.getItem('lesionlens-list'))]))"
    )
    page.driver.refresh()
    page.until(lambda: len(page.visible("#rows li")) == 1)
    said = page.js("return document.getElementById('live').textContent")
    assert said == "1 of 2 predictions of this list is no longer in the server's record."
