"""The page on the real server, in a real browser; without chromium and chromedriver the tests skip."""

import base64
import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lesionlens.bundle.bundle import write_facts

PATIENCE = 30  # seconds until something that should come is given up
LOOKS_WRONG = ("SEVERE", "WARNING")
COUNT_URLS = """
window.liveUrls = new Set();
const make = URL.createObjectURL.bind(URL), revoke = URL.revokeObjectURL.bind(URL);
URL.createObjectURL = (what) => { const url = make(what); window.liveUrls.add(url); return url; };
URL.revokeObjectURL = (url) => { window.liveUrls.delete(url); revoke(url); };
window.cspReports = [];
document.addEventListener("securitypolicyviolation", (event) => window.cspReports.push(event.violatedDirective));
"""


def start_browser(*arguments: str) -> Any:
    """A headless Chromium, or a skip that says what is missing."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("no browser: the page is tested where chromium and chromedriver are installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": COUNT_URLS})
    return driver


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    driver = start_browser()
    driver.downloads = tmp_path_factory.mktemp("downloads")
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(driver.downloads)})
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def page_server(driver: Any, start_server: Callable[..., Any]) -> Any:  # driver first: no server where it skips
    # A lesion's visits are those of all tests, and on a slow machine these take longer than the usual ten minutes.
    return start_server("--image-minutes", "60")


@pytest.fixture(scope="session")
def images(synthetic_root: Path) -> list[Path]:
    """Drawn dermoscopic images, 96 x 72."""
    return sorted((synthetic_root / "HAM10000_images_part_1").glob("*.jpg"))


@pytest.fixture(scope="session")
def unsure_bundle(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small bundle with a threshold that nearly every image is above."""
    folder = tmp_path_factory.mktemp("unsure") / "bundle"
    shutil.copytree(small_bundle, folder)
    facts = json.loads((folder / "bundle.json").read_text())
    facts["decision"] = {"watched": ["mel"], "sensitivity": 0.95, "threshold": 0.0001, "reason": "", "validation": {}}
    write_facts(folder, {key: value for key, value in facts.items() if key not in ("format", "id", "files")})
    return folder


class Page:
    """What a person does with the page, in a few words."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.expected: list[str] = []  # parts of messages that the browser may log
        self.open(url)

    def open(self, url: str) -> None:
        """A fresh page, without a token and a list, as on a first visit."""
        self.url = url
        self.driver.get(url + "icon.svg")  # of the same origin, and without scripts that write while it is cleared
        self.js("sessionStorage.clear(); localStorage.clear()")
        self.driver.get_log("browser")
        self.driver.get(url)

    def js(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def find(self, css: str) -> Any:
        """The first visible element, waited for."""
        return self.until(lambda: self.visible(css), css)[0]

    def visible(self, css: str) -> list[Any]:
        return [element for element in self.driver.find_elements("css selector", css) if element.is_displayed()]

    def text(self, css: str) -> str:
        return self.until(lambda: [element.text for element in self.visible(css)], css)[0]

    def until(self, what: Callable[[], Any], told: str = "") -> Any:
        from selenium.common.exceptions import StaleElementReferenceException

        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(StaleElementReferenceException):
                if found := what():
                    return found
            time.sleep(0.03)
        raise AssertionError(
            f"waited {PATIENCE} s for {told or what}: {self.driver.find_element('tag name', 'body').text[:1500]}"
        )

    def upload(self, *paths: Path) -> None:
        self.driver.find_element("id", "files").send_keys("\n".join(str(path) for path in paths))

    def answered(self, count: int = 1) -> None:
        self.until(lambda: self.js("return document.querySelectorAll('#rows li[data-state]').length") >= count, "rows")
        done = "return [...document.querySelectorAll('#rows li')].every(li => /diagnosis|not_|failed/.test(li.dataset.state))"
        self.until(lambda: self.js(done), "answers")

    def shown(self, path: Path) -> None:
        """Upload one image and wait until its answer and its picture are there."""
        self.upload(path)
        self.find("#detail .outcome")
        self.until(self.photo_width, "picture")

    def photo_width(self) -> int:
        """Pixels across of the picture that is seen; 0 while none is."""
        return self.js(
            "const photo = document.querySelector('.view:not([hidden]) .stage .photo');"
            "return photo && !photo.hidden && photo.complete ? photo.naturalWidth : 0"
        )

    def look(self, view: str) -> None:
        """Choose `image`, `beside` or `over`, and wait for the heat map where one is to be seen."""
        self.press(f"[data-view={view}][aria-pressed]")
        if view != "image":
            self.until(self.map_source, "heat map")

    def connect_again(self) -> None:
        """Press the button of the bar about a server that is gone, unless the page finds the server by itself just now."""
        from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException

        with contextlib.suppress(ElementNotInteractableException, StaleElementReferenceException):
            for button in self.visible("#gone button"):
                button.click()

    def press(self, css: str) -> None:
        """Click what may lie below the bar at the top of the window."""
        button = self.find(css)
        self.js("arguments[0].scrollIntoView({ block: 'center' })", button)
        button.click()

    def map_source(self) -> str:
        return self.js(
            "const map = document.querySelector('#detail .stage:not([hidden]) .map');"
            "return map && map.complete && map.naturalWidth ? map.src : ''"
        )

    def go(self, view: str) -> None:
        self.js("location.hash = arguments[0]", f"#{view}")
        self.find(f"#view-{view.split('/')[0]}")

    def keys(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def emulate(self, width: int = 1280, height: int = 800, touch: bool = False, density: int = 1, **features: str) -> None:
        """Another screen; features such as prefers_color_scheme="dark"."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": density, "mobile": touch}
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})

    def pdf(self) -> bytes:
        return base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])

    def complaints(self) -> list[str]:
        """What the browser logged that no test expects."""
        logged = [
            f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser") if entry["level"] in LOOKS_WRONG
        ]
        return [line for line in logged if not any(part in line for part in self.expected)]

    def strangers(self) -> list[str]:
        """Requests to anywhere but the server, and what the content-security policy had to stop."""
        names = self.js("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        return [name for name in names if not name.startswith((self.url, "blob:" + self.url, "data:"))] + self.js(
            "return window.cspReports"
        )


@pytest.fixture
def new_page(driver: Any) -> Callable[[str], Page]:
    """Opens the page of a server."""
    return lambda url: Page(driver, url)


@pytest.fixture
def own_browser() -> Iterator[Callable[..., Callable[[str], Page]]]:
    """Opens pages in a browser of its own with more options: `own_browser("--option")(url)`."""
    drivers: list[Any] = []

    def start(*arguments: str) -> Callable[[str], Page]:
        drivers.append(start_browser(*arguments))
        return lambda url: Page(drivers[-1], url)

    yield start
    for driver in drivers:
        driver.quit()


@pytest.fixture
def page(driver: Any, page_server: Any) -> Iterator[Page]:
    page = Page(driver, page_server.url + "/")
    page.find("#server-state[data-state=ready]")
    yield page
    assert page.complaints() == []
    assert page.strangers() == []


@pytest.fixture(autouse=True)
def usual_screen(driver: Any) -> Iterator[None]:
    """What a test emulates ends with it."""
    yield
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    driver.execute_cdp_cmd("Page.setFontSizes", {"fontSizes": {"standard": 16}})
