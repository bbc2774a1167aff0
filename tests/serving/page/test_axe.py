"""axe-core finds no violation in any state of the page, narrow and wide, light and dark."""

import signal

import numpy as np
import pytest
from PIL import Image
from tests.npm_files import npm_file
from tests.serving.page.walk import lesion_photograph, send, views

from lesionlens.serving.access import create_token

pytestmark = pytest.mark.slow

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
SCREENS = [(width, height, scheme) for width, height in ((1280, 800), (390, 844)) for scheme in ("light", "dark")]
RUN = """
const done = arguments[1];
const told = ({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`;
const fault = ({ id, nodes }) => `${id}: ${nodes.map(told).join(" | ")}`;
axe.run(document, { runOnly: arguments[0], rules: { "target-size": { enabled: true } }, resultTypes: ["violations"] }).then(
  ({ violations, passes }) => done({ rules: passes.map(({ id }) => id), faults: violations.map(fault) }),
  (error) => done({ rules: [], faults: [String(error)] }),
);
"""


@pytest.fixture(scope="session")
def axe():
    """axe-core's code, or a skip that says how to get it."""
    path = npm_file("axe-core")
    if not path.is_file():
        pytest.skip("no axe-core: accessibility is tested with it where `make axe` has fetched it")
    return path.read_text(encoding="utf-8")


class Audit:
    """What axe finds on all screens, by state of the page."""

    def __init__(self, code, driver):
        self.code, self.driver, self.faults = code, driver, {}

    def __call__(self, page, state, screens=SCREENS):
        if not page.js("return 'axe' in window"):
            page.js(self.code)
        for width, height, scheme in screens:
            page.emulate(width, height, touch=width < 700, prefers_color_scheme=scheme)
            result = self.driver.execute_async_script(RUN, list(TAGS))
            assert {"color-contrast", "region", "target-size"} & set(result["rules"]), "axe left rules out"
            for fault in result["faults"]:
                self.faults.setdefault(fault, []).append(f"{state}, {width} px, {scheme}")
        page.emulate()


@pytest.fixture
def audit(axe, driver):
    """`audit(page, state)` collects faults in `audit.faults`, each with where it was found."""
    driver.set_script_timeout(120)
    return Audit(axe, driver)


def test_axe_can_find_faults(page, axe, driver):
    page.js(axe)
    page.js("const button = document.createElement('button'); document.body.append(button)")
    (fault,) = [fault for fault in driver.execute_async_script(RUN, list(TAGS))["faults"] if fault.startswith("button-name")]
    assert "<button>" in fault


def test_every_view(page, images, audit):
    audit(page, "tour")
    page.keys("\ue00c")
    page.until(lambda: not page.visible("#tour"))
    for view in views(page, images):
        audit(page, view)
    assert audit.faults == {}


def test_images_on_their_way_and_refused(page, images, audit, tmp_path):
    page.expected.append("422")
    page.js(
        "XMLHttpRequest.prototype.send = function () { this.upload.onprogress({ lengthComputable: true, loaded: 1, total: 2 }) }"
    )
    page.upload(*images[:2])
    page.find("#rows li[data-state=sending]")
    audit(page, "uploading")
    page.open(page.url)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    page.upload(tmp_path / "broken.jpg")
    page.find("#detail .problem")
    audit(page, "refused")
    Image.fromarray(np.full((300, 400, 3), 128, dtype=np.uint8)).save(tmp_path / "grey.png")
    page.upload(tmp_path / "grey.png")
    page.answered(2)
    page.press("#rows li:last-child .row-open")
    page.find("#detail .outcome[data-outcome=not_usable]")
    audit(page, "not usable")
    assert audit.faults == {}


def test_dialogs(page, images, audit):
    page.shown(images[0])
    page.press("#detail .larger")
    page.find("#picture-dialog")
    audit(page, "enlarged picture")
    page.press("#picture-close")
    page.press("#detail button.delete")
    page.find("#delete-dialog")
    audit(page, "deletion")
    assert audit.faults == {}


def test_not_sure(start_server, new_page, unsure_bundle, images, audit):
    page = new_page(start_server(bundle=unsure_bundle).url + "/")
    page.find("#server-state[data-state=ready]")
    page.shown(images[0])
    page.find("#detail .outcome[data-outcome=not_sure]")
    audit(page, "not sure")
    assert audit.faults == {}


def test_token_and_a_server_that_is_gone(start_server, new_page, audit, tmp_path):
    create_token(tmp_path / "tokens.json", "ann", "review")
    server = start_server("--tokens", str(tmp_path / "tokens.json"))
    page = new_page(server.url + "/")
    page.find("#token")
    audit(page, "token form")
    page.find("#token").send_keys("wrong\n")
    page.find("#token-problem")
    audit(page, "token refused")
    page.press("#token-cancel")
    page.find("#detail .problem")
    audit(page, "no token")
    server.stop(signal.SIGKILL)
    page.press("#detail .problem button")
    page.find("#gone")
    audit(page, "server gone")
    assert audit.faults == {}


def test_lesions_over_time_statistics_and_similar_ones(start_server, new_page, images, audit, tmp_path):
    server = start_server("--keep-images")
    page = new_page(server.url + "/")
    page.server = server
    first = send(page, lesion_photograph(tmp_path / "a.jpg"), case="T", lesion="L1", site="back", taken="2025-01-01")
    send(page, lesion_photograph(tmp_path / "b.jpg", turn=25), case="T", lesion="L1", taken="2025-06-01")
    for at, path in enumerate(images[:4]):
        send(page, path, case=f"P{at}", lesion="L1")
    server.client.post("/v1/lesions/P0/L1/histology", json={"dx": "mel"}).raise_for_status()
    server.client.post(f"/v1/predictions/{first['id']}/review", json={"conclusion": "unusable"}).raise_for_status()
    page.go("lesion/T/L1")
    page.find(".comparison[data-aligned]")
    audit(page, "timeline")
    page.press("[data-compare=blink]")
    audit(page, "blinking", SCREENS[:1])
    page.press("[data-compare=swap]")
    audit(page, "one after the other", SCREENS[:1])
    page.go("case/T")
    page.find("#case-detail .lesion")
    audit(page, "case")
    page.go("worklist")
    page.find(".statistics .tile")
    page.press(".drift summary")
    audit(page, "worklist with statistics")
    page.go(f"prediction/{first['id']}")
    page.press(".look-similar")
    page.find(".similar li")
    audit(page, "similar lesions")
    assert audit.faults == {}
