"""Cases on the page: fields and body map at intake, the worklist, a lesion over time, one prediction deleted."""

import re

import pytest
from tests.serving.page.walk import lesion_photograph, send

from lesionlens.core.metadata import SITES
from lesionlens.serving import page_files

pytestmark = pytest.mark.slow


@pytest.fixture
def clinic(driver, start_server, new_page):
    """A page on a server with a record of its own."""
    server = start_server("--keep-images")
    page = new_page(server.url + "/")
    page.server = server
    page.expected.append("favicon.ico")  # the browser's own request where it has not seen this server's page yet
    page.find("#server-state[data-state=ready]")
    yield page
    assert page.complaints() == []
    assert page.strangers() == []
    server.stop()


def fill(page, **fields):
    page.js("document.querySelector('.case-fields').open = true")
    for name, value in fields.items():
        page.js(
            "const field = document.querySelector(`#subject [name=${arguments[0]}]`);"
            "field.value = arguments[1]; field.dispatchEvent(new Event('change'))",
            name,
            value,
        )


def test_the_page_has_the_same_sites():
    text = (page_files.FOLDER / "body_map.js").read_text()
    listed = re.search(r"export const SITES = \[(.*?)\]", text, re.DOTALL)[1]
    assert tuple(re.findall(r'"([^"]+)"', listed)) == SITES
    on_the_body = set(re.findall(r'^  (?:"([^"]+)"|(\w+)): \[', text, re.MULTILINE))
    assert {name for pair in on_the_body for name in pair if name} <= set(SITES)


def test_an_image_is_sent_with_its_case_and_a_site_from_the_body_map(clinic, images):
    page = clinic
    fill(page, case="A-17", lesion="L1", taken="2026-01-31")
    page.press(".case-fields .body summary")
    page.press('#subject .region[data-site="chest"]')
    assert page.js("return document.querySelector('#subject [name=site]').value") == "chest"
    page.shown(images[0])
    assert "case A-17, lesion L1, Chest, photographed on 31 Jan 2026" in page.text("#detail .assigned")
    logged = page.server.client.get("/v1/cases/A-17").json()["lesions"][0]["images"][0]
    assert (logged["site"], logged["taken"]) == ("chest", "2026-01-31")


def test_the_body_map_by_keyboard(clinic):
    from selenium.webdriver import Keys

    page = clinic
    page.js("document.querySelector('.case-fields').open = true; document.querySelector('#subject .body').open = true")
    assert page.js("return document.querySelectorAll('#subject .region[tabindex=\"0\"]').length") == 1
    page.js("document.querySelector('#subject .region').focus()")
    page.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.SPACE)
    site = page.js("return document.querySelector('#subject [name=site]').value")
    assert site == "face"
    assert page.js("return document.activeElement.getAttribute('aria-checked')") == "true"
    assert page.js("return document.activeElement.getAttribute('aria-label')") == "Face, front"
    page.keys(Keys.ENTER)  # again: taken back
    assert page.js("return document.querySelector('#subject [name=site]').value") == ""
    fill(page, site="hand")
    assert page.js("return document.querySelectorAll('#subject .region[aria-checked=true]').length") == 2  # front and back


def test_a_pseudonym_that_is_a_name_is_refused(clinic, images):
    page = clinic
    page.expected.append("422")
    fill(page, case="Anna Smith")
    page.upload(images[0])
    assert "no pseudonym" in page.text("#detail .problem")


def test_the_worklist_shows_what_must_not_be_missed(clinic, images):
    page = clinic
    bodies = [send(page, path) for path in images[:4]]
    named = [body for body in bodies if body["outcome"] == "diagnosis"]
    assert named, "the synthetic network names none of these images"
    body = named[0]
    malignant = {row["code"]: row["malignant"] for row in body["probabilities"]}
    other = next(code for code in malignant if malignant[code] != malignant[body["diagnosis"]])
    page.server.client.post(f"/v1/predictions/{body['id']}/review", json={"conclusion": other}).raise_for_status()
    page.go("worklist")
    page.find(".waiting tbody tr")
    shares = page.js("return [...document.querySelectorAll('.waiting td.number')].map((cell) => parseFloat(cell.textContent))")
    usable = [share for share in shares if share is not None]
    assert usable == sorted(usable, reverse=True)
    kind = "false_alarm" if malignant[body["diagnosis"]] else "missed_malignant"
    (row,) = page.visible(".disagreeing tbody tr")
    assert row.get_attribute("data-kind") == kind
    assert "Reviews that agree" in page.text(".statistics")
    assert "0 of 1" in page.text(".statistics .tile")
    page.press(".disagreeing tbody a")
    page.find("#prediction-detail .outcome")


def test_a_lesion_over_time(clinic, tmp_path):
    page = clinic
    first = send(page, lesion_photograph(tmp_path / "a.jpg"), case="T", lesion="L1", site="back", taken="2025-01-01")
    send(page, lesion_photograph(tmp_path / "b.jpg", turn=25), case="T", lesion="L1", taken="2025-06-01")
    page.go("cases")
    page.press("tr[data-case=T] a")
    page.press("#case-detail .lesion a")
    page.until(lambda: "laid over the earlier" in page.text(".compared-result"), "the comparison")
    assert "turned by 25" in page.text(".compared-result")
    assert len(page.visible(".visits tbody tr")) == 2
    page.press("[data-compare=blink]")
    top = "return document.querySelector('.compared-panes').dataset.top"
    page.until(lambda: page.js(top) == "second", "the second picture")
    page.until(lambda: page.js(top) == "first", "the first picture")
    page.press("[data-compare=swap]")
    page.press(".swap")
    assert page.js(top) == "second"
    assert difference(page) < 12  # grey levels; without the registration it is above 25
    dx = first["probabilities"][0]["code"]
    page.js("document.querySelector('#lesion-detail [name=dx]').value = arguments[0]", dx)
    page.press(".histology-form button")
    page.find("ul.histology li")
    assert page.server.client.get("/v1/lesions/T/L1").json()["histology"][0]["dx"] == dx


def difference(page) -> float:
    """Mean difference of both canvases near the middle, grey levels."""
    return page.js("""
        const [one, two] = [...document.querySelectorAll('.compared')].map((canvas) => {
          const { width, height } = canvas;
          return canvas.getContext('2d').getImageData(width / 4, height / 4, width / 2, height / 2).data;
        });
        let sum = 0;
        for (let at = 0; at < one.length; at += 4) sum += Math.abs(one[at + 1] - two[at + 1]);
        return (4 * sum) / one.length;
    """)


def test_different_lesions_are_not_laid_over_each_other(clinic, tmp_path):
    page = clinic
    send(page, lesion_photograph(tmp_path / "a.jpg", seed=3), case="D", lesion="L1")
    send(page, lesion_photograph(tmp_path / "b.jpg", seed=8), case="D", lesion="L1")
    page.go("lesion/D/L1")
    page.until(lambda: "Not laid over each other" in page.text(".compared-result"), "the reason")
    assert "different lesions" in page.text(".compared-result")


def test_a_prediction_is_deleted_after_a_question(clinic, images):
    page = clinic
    page.shown(images[0])
    id_ = page.server.client.get("/v1/predictions").json()["items"][0]["id"]
    page.press("#detail button.delete")
    page.press("#delete-cancel")
    assert page.server.client.get(f"/v1/predictions/{id_}").status_code == 200
    page.press("#detail button.delete")
    page.press("#delete-confirm")
    page.until(lambda: page.server.client.get(f"/v1/predictions/{id_}").status_code == 410, "the deletion")
    page.until(lambda: not page.visible("#rows li"), "the row to go")


def test_an_image_is_assigned_to_a_lesion_later(clinic, images):
    page = clinic
    id_ = send(page, images[0])["id"]
    page.go(f"prediction/{id_}")
    page.press("#prediction-detail .assigned summary")
    page.js(
        "document.querySelector('.assign [name=case]').value = 'N'; document.querySelector('.assign [name=lesion]').value = 'L7'"
    )
    page.press(".assign > button")
    page.until(lambda: "case N, lesion L7" in page.text("#prediction-detail .assigned p"), "what was stored")
