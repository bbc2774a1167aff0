"""A server for pictures, browsers with screens of several sizes, and small PNG files of what they show."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

ADDRESS = re.compile(r"listening on (http://\S+)")
SCREENS = {"desktop": (1280, 800, 1, False), "phone": (390, 844, 2, True)}
WAIT_SECONDS = 120
PICTURE_BYTES = 150_000
COLOURS = (256, 128, 64, 32)


def start(bundle: Path, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A server of its own, with a fresh record; its log goes to a file, since a pipe that nobody reads would stop it."""
    record, log = folder / "record.sqlite", folder / "server.log"
    command = [sys.executable, "-m", "lesionlens", "serve", str(bundle), "--port", "0", "--record", str(record), "--keep-images"]
    with log.open("w") as stream:
        server = subprocess.Popen(command, stderr=stream, text=True)
    end = time.monotonic() + WAIT_SECONDS
    while server.poll() is None and time.monotonic() < end:
        if found := ADDRESS.search(log.read_text()):
            return server, found[1]
        time.sleep(0.1)
    raise SystemExit(f"the server did not start: {' '.join(command)}")


def browser(screen: str, scheme: str, language: str = "en") -> Any:
    """A headless Chromium with a screen of this size and colour scheme, and a language that it asks for."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    width, height, density, touch = SCREENS[screen]
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    metrics = {"width": width, "height": height, "deviceScaleFactor": density, "mobile": touch}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    agent = {"userAgent": driver.execute_script("return navigator.userAgent"), "acceptLanguage": language}
    driver.execute_cdp_cmd("Emulation.setUserAgentOverride", agent)
    return driver


def until(driver: Any, code: str) -> None:
    """Wait until some JavaScript is true."""
    end = time.monotonic() + WAIT_SECONDS
    while not driver.execute_script(code):
        if time.monotonic() > end:
            raise SystemExit("the page did not answer: " + driver.find_element("tag name", "body").text[:500])
        time.sleep(0.1)


def save(driver: Any, path: Path) -> None:
    """What the screen shows, as PNG with as many colours as fit into `PICTURE_BYTES`."""
    shot = base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    for colours in COLOURS:
        picture.quantize(colours).save(path, optimize=True)
        if path.stat().st_size <= PICTURE_BYTES:
            break
    print(path, path.stat().st_size)
