"""The site on a plain host: stored on the device, installable, quiet after loading, below any path."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.site.parity_images import drawn

from lesionlens.site.build import PAGE, WORKER_SOURCE
from lesionlens.site.offline import file_facts, write_worker

OUTCOME = "const shown = document.querySelector('#detail .outcome'); return shown ? shown.dataset.outcome : ''"
MAP = "const map = document.querySelector('#detail .stage .map'); return map && !map.hidden && map.naturalWidth > 0"
CACHES = "return (async () => (await caches.keys()).length)()"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "lesion.jpg"
    drawn(1).save(path, quality=92)
    return path


def renew_worker(site: Path) -> str:
    """Write the service worker again for changed files; returns the version."""
    files = file_facts(site, leave_out=("sw.js", "site.json"))
    return write_worker(site, (PAGE / WORKER_SOURCE).read_text(encoding="utf-8"), files, ())


def test_it_works_without_a_host_once_it_is_stored(small_site: Path, image: Path, browser: Callable[..., Any], host: Any):
    static = host(small_site)
    page = browser()
    page.open(static.url, stored=True)
    static.stop()
    page.driver.refresh()
    page.ready()
    page.upload(image)
    assert page.js(OUTCOME)
    assert page.js("return self.crossOriginIsolated")  # the stored copy may use threads, which the plain host does not allow
    assert page.complaints() == []


def test_nothing_is_requested_after_loading(small_site: Path, image: Path, browser: Callable[..., Any], host: Any):
    static = host(small_site)
    page = browser()
    page.open(static.url, stored=True)
    page.command("Network.enable")
    page.command("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
    before = list(static.requests)
    page.upload(image)
    page.js("document.querySelector('[data-view=over][aria-pressed]').click()")
    page.wait(MAP, "the heat map")
    page.js("document.querySelector('.outlines').click()")
    page.wait("return document.querySelector('#detail .contours')", "the contours")
    page.js("document.querySelector('.review select').value = 'mel'; document.querySelector('.review form').requestSubmit()")
    page.wait("return document.querySelector('.review .conclusion')?.textContent === 'Melanoma'", "the review")
    page.js("location.hash = '#model'")
    assert "Measured performance" in page.wait("return document.getElementById('model-detail').innerText", "the model")
    assert static.requests == before
    assert page.complaints() == []


def test_nothing_can_be_sent(small_site: Path, browser: Callable[..., Any], host: Any):
    static, other = host(small_site), host(small_site)
    page = browser()
    page.open(static.url, stored=True)
    page.driver.refresh()
    page.ready()
    before = list(static.requests), list(other.requests)
    sent = "return fetch(arguments[0], { method: arguments[1] }).then(() => 'sent', () => 'refused')"
    assert page.js(sent, f"{other.url}model.json", "GET") == "refused"  # another host: by the policy of the page
    assert page.js(sent, f"{static.url}collect", "POST") == "refused"  # its own host: by the service worker
    assert page.js(sent, f"{static.url}collect?image=1", "GET") == "refused"
    assert (static.requests, other.requests) == before


def test_it_is_installable(small_site: Path, browser: Callable[..., Any], host: Any):
    page = browser()
    page.open(host(small_site).url, stored=True)
    manifest = page.command("Page.getAppManifest")
    assert manifest["errors"] == []
    assert '"short_name": "LesionLens"' in manifest["data"]
    assert page.command("Page.getInstallabilityErrors")["installabilityErrors"] == []


def test_below_a_path(small_site: Path, image: Path, browser: Callable[..., Any], host: Any, tmp_path: Path):
    shutil.copytree(small_site, tmp_path / "clinic" / "lens")
    static = host(tmp_path)
    page = browser()
    page.open(f"{static.url}clinic/lens/", stored=True)
    static.stop()
    page.driver.refresh()
    page.ready()
    page.upload(image)
    assert page.js(OUTCOME)
    assert all(re.match(r"GET /(clinic/lens/|favicon)", request) for request in static.requests)


def test_a_new_version_is_offered_and_replaces_the_old_one(
    small_site: Path, browser: Callable[..., Any], host: Any, tmp_path: Path
):
    site = tmp_path / "site"
    shutil.copytree(small_site, site)
    page = browser()
    page.open(host(site).url, stored=True)
    page.driver.refresh()
    page.ready()
    assert "Every image gets one of three outcomes" in page.text()
    texts = site / "language.en.json"
    texts.write_text(texts.read_text().replace("Every image gets one of three outcomes", "A later version"))
    renew_worker(site)
    page.driver.refresh()
    page.wait("return !document.getElementById('renew').hidden", "the new version")
    assert "A later version" not in page.text()  # never two versions in one page
    page.js("document.getElementById('renew').click()")
    page.wait("return document.body.innerText.includes('A later version')", "the new version's page")
    page.ready()
    assert page.js(CACHES) == 1


def test_a_file_that_changed_on_the_way_is_not_stored(
    small_site: Path, image: Path, browser: Callable[..., Any], host: Any, tmp_path: Path
):
    site = tmp_path / "site"
    shutil.copytree(small_site, site)
    with (site / "print.css").open("a") as stream:
        stream.write("/* put in by a host */")
    page = browser()
    page.open(host(site).url)
    page.wait("return /not as it was built/.test(document.getElementById('offline-state').textContent)", "the refusal")
    page.upload(image)
    assert page.js(OUTCOME)  # the page works all the same, online
