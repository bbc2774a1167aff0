"""A static host on loopback, the site of a small bundle, and a browser that opens it."""

from __future__ import annotations

import base64
import functools
import http.server
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PATIENCE = 120  # seconds: the machine may be busy
STATE = "const state = document.getElementById('server-state'); return state ? state.dataset.state ?? '' : ''"
PREDICT = """
const [at, done] = arguments;
const api = await import(new URL("api.js", document.baseURI).href);
const file = document.getElementById("probe").files[at];
const text = (bytes) => { let all = ""; for (let n = 0; n < bytes.length; n += 8192)
    all += String.fromCharCode(...bytes.subarray(n, n + 8192)); return btoa(all); };
try {
  const pixels = await api.prepared(file);
  const prediction = await api.sendImage(file, 0, () => {}, new AbortController().signal);
  const maps = api.mapsOf(prediction.id);
  done({ pixels: text(pixels), prediction, maps: maps && text(new Uint8Array(maps.buffer, maps.byteOffset, maps.byteLength)) });
} catch (error) {
  done({ refusal: `${error.title}: ${error.detail}` });
}
"""


@dataclass
class Host:
    """A plain static host in a thread, which remembers what was asked of it.

    Attributes:
        url: of the site, with a slash at the end.
        requests: method and path of every request, in order.
    """

    url: str
    requests: list[str] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None


class QuietServer(http.server.ThreadingHTTPServer):
    """A browser that closes hangs up without a word; that is no error."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[Callable[[Path], Host]]:
    """Serves folders: `host(folder)`; its port stays with it while the test runs."""
    running: list[Host] = []

    def start(folder: Path) -> Host:
        found = Host("")

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *arguments: Any) -> None:
                found.requests.append(f"{self.command} {self.path}")

        server = QuietServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        found.url, found.stop = f"http://127.0.0.1:{server.server_address[1]}/", stop
        running.append(found)
        return found

    yield start
    for each in running:
        each.stop()


@pytest.fixture(scope="session")
def runtime_archive() -> Path:
    """The npm package, where `make browser-runtime` has fetched it."""
    from lesionlens.site.browser_runtime import cached_archive

    if not cached_archive().is_file():
        pytest.skip(f"no {cached_archive()}: the site is tested in a browser where `make browser-runtime` has fetched it")
    return cached_archive()


@pytest.fixture(scope="session")
def small_site(small_bundle: Path, runtime_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the small bundle, without WebGPU; to be read or copied."""
    from lesionlens.site.build import SiteSettings, build_site

    out = tmp_path_factory.mktemp("site") / "site"
    return build_site(SiteSettings(small_bundle, out, runtime_archive=runtime_archive, webgpu=False)).path


class SitePage:
    """A site in a browser of its own, whose caches and workers end with it."""

    def __init__(self, script: str = "", options: tuple[str, ...] = ()) -> None:
        chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
        if not chromium or not chromedriver:
            pytest.skip("no browser: the site is tested where chromium and chromedriver are installed")
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        settings = webdriver.ChromeOptions()
        settings.binary_location = chromium
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900", *options):
            settings.add_argument(argument)
        settings.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=settings, service=Service(chromedriver))
        self.driver.set_script_timeout(PATIENCE)
        if script:
            self.command("Page.addScriptToEvaluateOnNewDocument", source=script)

    def command(self, name: str, **parameters: Any) -> Any:
        """One command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def wait(self, code: str, what: str) -> Any:
        """The first true value of some JavaScript."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            value = self.js(code)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"waited {PATIENCE} s for {what}: {self.text()[:1500]}")

    def open(self, url: str, stored: bool = False) -> None:
        """Open a site and wait until the network is loaded, and the site is stored on the device."""
        self.driver.get(url)
        self.ready()
        if stored:
            self.wait("return document.getElementById('offline-state').dataset.state === 'stored'", "the service worker")

    def ready(self) -> None:
        state = self.wait(STATE, "the network")
        assert state == "ready", self.text()

    def text(self) -> str:
        return self.driver.find_element("tag name", "body").text

    def upload(self, *paths: Path) -> None:
        """Choose images and wait for the outcome of each."""
        before = self.js("return document.querySelectorAll('#rows li').length")
        self.driver.find_element("id", "files").send_keys("\n".join(map(str, paths)))
        ended = (
            "[...document.querySelectorAll('#rows li')].filter((row) => /diagnosis|not_|failed/.test(row.dataset.state)).length"
        )
        self.wait(f"return {ended} >= {before + len(paths)}", "outcomes")

    def give(self, paths: list[Path]) -> None:
        """Hand files to a control of the test's own, for `predict`."""
        self.js(
            "const probe = document.createElement('input'); probe.type = 'file'; probe.multiple = true;"
            "probe.id = 'probe'; document.body.append(probe)"
        )
        self.driver.find_element("id", "probe").send_keys("\n".join(map(str, paths)))

    def predict(self, at: int) -> dict[str, Any]:
        """Pixels, prediction and raw maps of file number `at`, or the refusal."""
        answer = self.driver.execute_async_script(f"(async (...arguments) => {{{PREDICT}}})(...arguments)", at)
        for name, kind in (("pixels", np.uint8), ("maps", np.float32)):
            if answer.get(name):
                answer[name] = np.frombuffer(base64.b64decode(answer[name]), dtype=kind)
        return answer

    def complaints(self) -> list[str]:
        """Errors and warnings that the browser logged."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.fixture
def browser() -> Iterator[Callable[..., SitePage]]:
    """Opens browsers: `browser(script=..., options=...)`; `script` runs before every page's own."""
    pages: list[SitePage] = []

    def start(**settings: Any) -> SitePage:
        pages.append(SitePage(**settings))
        return pages[-1]

    yield start
    for page in pages:
        page.driver.quit()
