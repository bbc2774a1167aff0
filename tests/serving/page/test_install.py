"""The page as an app: installable, opened while its server is away, nothing of a patient stored, renewed with the server."""

import http.server
import shutil
import signal
import threading
import urllib.request

import pytest

from lesionlens.serving.page_files import FOLDER, WORKER, page_files

pytestmark = pytest.mark.slow

AWAY = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_INTERNET_DISCONNECTED")
STORED = """
const done = arguments[0];
(async () => {
  const names = await caches.keys(), urls = [];
  for (const name of names)
    for (const { url } of await (await caches.open(name)).keys()) urls.push(url);
  done({ names, urls });
})();
"""


def stored(page):
    """Names of the caches, and the addresses in them."""
    return page.driver.execute_async_script(STORED)


def open_and_keep(page):
    """Open the page and wait until its files are kept and the worker serves it."""
    page.find("#server-state[data-state=ready]")
    page.until(lambda: page.js("return navigator.serviceWorker.controller?.state") == "activated", "the worker")


@pytest.fixture
def leaving(start_server, new_page):
    """A page on a server that the test may stop."""
    server = start_server()
    page = new_page(server.url + "/")
    page.expected += AWAY
    page.server = server
    open_and_keep(page)
    yield page
    assert page.complaints() == []
    assert page.strangers() == []
    server.stop(signal.SIGKILL)


def test_the_browser_would_install_it(page, driver):
    open_and_keep(page)
    manifest = driver.execute_cdp_cmd("Page.getAppManifest", {})
    assert manifest["errors"] == []
    assert '"purpose": "maskable"' in manifest["data"]
    assert driver.execute_cdp_cmd("Page.getInstallabilityErrors", {})["installabilityErrors"] == []


def test_a_missing_manifest_would_be_noticed(page, driver):
    page.js("document.querySelector('link[rel=manifest]').href = 'no.webmanifest'")
    page.expected.append("no.webmanifest")
    page.expected.append("Manifest")
    errors = page.until(lambda: driver.execute_cdp_cmd("Page.getInstallabilityErrors", {})["installabilityErrors"])
    assert errors
    page.expected.append("404")


def test_it_opens_and_says_that_the_server_is_away(leaving, start_server, images):
    page = leaving
    port = page.server.url.rsplit(":", 1)[1]
    page.server.stop(signal.SIGKILL)
    page.driver.refresh()
    assert "The server cannot be reached" in page.text("#gone")
    assert page.text("#server-state") == "No response"
    page.upload(images[0])
    page.until(lambda: "Waits for the server" in page.text("#rows"))
    page.find("#gone button")
    page.server = start_server("--port", port, record=page.server.record)
    page.connect_again()
    page.find("#detail .outcome")  # nothing was lost
    page.find("#server-state[data-state=ready]")
    assert not page.visible("#gone")


def test_the_list_is_there_again_when_the_server_is(leaving, start_server, images):
    page = leaving
    page.expected.append("410")  # the picture was in the memory of the server that went
    page.shown(images[0])
    port = page.server.url.rsplit(":", 1)[1]
    page.server.stop(signal.SIGKILL)
    page.driver.refresh()
    page.find("#gone")
    assert not page.visible("#rows li")
    page.find("#gone button")
    page.server = start_server("--port", port, record=page.server.record)
    page.connect_again()
    page.find("#detail .outcome")
    assert [row.text for row in page.visible(".row-name")] == [images[0].name]
    page.upload(images[1])
    page.answered(2)
    assert page.js("return JSON.parse(sessionStorage.getItem('lesionlens-list')).length") == 2  # and is kept from now on


def test_only_the_pages_own_files_are_stored(leaving, images):
    page = leaving
    page.shown(images[0])
    page.look("over")
    page.go("history")
    page.find(".history tbody tr")
    kept = stored(page)
    assert len(kept["names"]) == 1
    shell = {f"{page.url}{name}" for name in page_files() if name != WORKER}
    assert set(kept["urls"]) == shell
    assert page.js("return Object.keys(localStorage)") in ([], ["lesionlens-tour"])


@pytest.fixture
def changed_page(tmp_path):
    """A folder with the page's files, to be changed."""
    folder = tmp_path / "page"
    shutil.copytree(FOLDER, folder)
    return folder


def test_the_version_is_a_hash_of_the_content(changed_page):
    first = page_files(changed_page)[WORKER]
    assert page_files(changed_page)[WORKER] == first
    (changed_page / "print.css").write_text("/* changed */")
    second = page_files(changed_page)[WORKER]
    assert second.tag != first.tag
    assert second.data.splitlines()[0] != first.data.splitlines()[0]


class Proxy(http.server.ThreadingHTTPServer):
    """What stands in front of a server: below the path /clinic/lens/; `changed` replaces files, as a newer server would."""

    daemon_threads = True

    def __init__(self, target):
        self.target, self.changed = target, {}
        super().__init__(("127.0.0.1", 0), Forward)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/clinic/lens/"

    def handle_error(self, request, client_address):
        """A browser that hangs up is no error."""


class Forward(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        prefix = "/clinic/lens/"
        if not self.path.startswith(prefix):
            self.send_error(404)
            return
        name = self.path[len(prefix) :]
        with urllib.request.urlopen(f"{self.server.target}/{name}") as response:
            body = self.server.changed.get(name or "index.html", response.read())
            self.send_response(200)
            for header, value in response.headers.items():
                if header.lower() not in ("content-length", "etag", "date", "server"):
                    self.send_header(header, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Quiet."""


@pytest.fixture
def proxy(page_server):
    proxy = Proxy(page_server.url)
    yield proxy
    proxy.shutdown()
    proxy.server_close()


def test_below_a_path(proxy, new_page, driver):
    page = new_page(proxy.url)
    page.expected += [*AWAY, "favicon.ico"]
    open_and_keep(page)
    assert driver.execute_cdp_cmd("Page.getInstallabilityErrors", {})["installabilityErrors"] == []
    assert f"{proxy.url}app.js" in stored(page)["urls"]
    proxy.shutdown()
    proxy.server_close()
    driver.refresh()
    assert "cannot be reached" in page.text("#gone")
    assert page.complaints() == []


def test_a_new_page_is_seen_at_once_and_replaces_the_stored_one(proxy, new_page, driver, changed_page):
    page = new_page(proxy.url)
    page.expected += [*AWAY, "favicon.ico"]
    open_and_keep(page)
    (before,) = stored(page)["names"]
    catalogue = changed_page / "language.en.json"
    catalogue.write_text(catalogue.read_text().replace("Before the first image", "A later page"))
    proxy.changed = {name: file.data for name, file in page_files(changed_page).items()}
    driver.refresh()
    assert page.text("#tour-title") == "A later page"  # not one visit later
    page.until(lambda: stored(page)["names"] not in ([before], []) and len(stored(page)["names"]) == 1, "the new version")
    proxy.shutdown()
    proxy.server_close()
    driver.refresh()
    assert page.text("#tour-title") == "A later page"


def test_a_file_that_was_changed_on_the_way_is_not_stored(proxy, new_page, driver):
    proxy.changed = {"print.css": b"/* put in by a proxy */"}
    page = new_page(proxy.url)
    page.expected += ["favicon.ico", "integrity"]
    page.until(lambda: "a file was not as it should be" in page.text(".foot"), "the refusal")
    page.find("#server-state[data-state=ready]")  # the page works all the same
    assert page.js("return navigator.serviceWorker.controller") is None


def test_without_https_the_page_says_what_an_installation_needs(start_server, own_browser):
    server = start_server("--allow-host", "clinic.test")
    page = own_browser("--host-resolver-rules=MAP clinic.test 127.0.0.1")(server.url.replace("127.0.0.1", "clinic.test") + "/")
    page.find("#server-state[data-state=ready]")
    assert "must come over HTTPS" in page.text(".foot")
    assert page.js("return navigator.serviceWorker") is None


def test_the_browsers_own_installation_is_offered(page):
    page.js(
        "const event = new Event('beforeinstallprompt', { cancelable: true });"
        "event.prompt = () => (window.asked = true); window.dispatchEvent(event); window.held = event.defaultPrevented"
    )
    assert page.js("return window.held")
    page.press("#install")
    assert page.js("return window.asked")
    assert not page.visible("#install")


def test_the_camera_is_offered_on_phones_with_a_word_on_adapters(page):
    assert not page.visible("#photograph, .adapter")
    page.emulate(390, 844, touch=True)
    assert page.text("#photograph") == "Take a photograph"
    assert "adapter" in page.text(".adapter")
    camera = "const { accept, attributes } = document.getElementById('camera'); return [attributes.capture.value, accept]"
    assert page.js(camera) == ["environment", "image/*"]
    assert page.visible("#choose")  # files can be chosen all the same
