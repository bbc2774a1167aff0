"""Pictures of the page for the documentation, taken from a real server with drawn images.

    lesionlens run demo --data synthetic --set input.size=128 --run runs/screenshots --until evaluate
    lesionlens export runs/screenshots/train/best.safetensors --sensitivity 0.8
    python docs/screenshots.py --bundle runs/screenshots/bundle
    lesionlens site runs/screenshots/bundle --out runs/screenshots/site
    python docs/screenshots.py --site runs/screenshots/site

It needs chromium, chromedriver and selenium. The images are synthetic: no patient stands behind them.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from lesionlens.synthetic.dataset import write_synthetic

HERE = Path(__file__).parent
ADDRESS = re.compile(r"listening on (http://\S+)")
SCREENS = {"desktop": (1280, 800, 1, False), "phone": (390, 844, 2, True)}
SCHEMES = ("light", "dark")
A4 = (794, 1123)  # CSS pixels
SEED, N_IMAGES = 5, 42
LANGUAGES = {"de": ("light",), "ar": SCHEMES}
WAIT_SECONDS = 120


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="bundle of a network trained on synthetic images, for the server's page")
    parser.add_argument("--site", type=Path, help="its static site, for the page without a server")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = chosen(write_synthetic(Path(folder) / "images", N_IMAGES, SEED, 600, 450))
        if options.bundle:
            take_server(options.bundle, images, Path(folder), options.out)
        if options.site:
            take_site(options.site, images, options.out)


def take_server(bundle: Path, images: list[Path], folder: Path, out: Path) -> None:
    """The page of a server, and its report."""
    server, url = start(bundle, folder)
    try:
        take_screens(url, images, out, "page")
        scan = as_dicom(images[0], folder / "lesion.dcm")
        take_screens(url, [scan, *images[1:]], out, "map", show_map)
        take_report(url, scan, out / "page-report.png")
        take_languages(url, images, out)
        take_cases(url, images, folder, out)
    finally:
        server.terminate()
        server.wait()


def take_languages(url: str, images: list[Path], out: Path) -> None:
    """A prediction in other languages, one of them from right to left, and an Arabic report."""
    for language, schemes in LANGUAGES.items():
        for screen in SCREENS:
            for scheme in schemes:
                take(url, images, screen, scheme, out / f"page-{language}-{screen}-{scheme}.png", lambda driver: None, language)
    take_report(url, images[0], out / "page-ar-report.png", "ar")


def take_cases(url: str, images: list[Path], folder: Path, out: Path) -> None:
    """The worklist, a lesion over time, and the body map."""
    for at, image in enumerate(images):
        send(url, image, case=f"A-{at}", lesion="L1")
    first = send(url, images[0], case="B-7", lesion="L1", site="back", taken="2025-03-02")
    turned = folder / "later.jpg"
    photographed_again(images[0], turned)
    send(url, turned, case="B-7", lesion="L1", taken="2026-01-20")
    says = next(row["code"] for row in first["probabilities"] if row["malignant"] != first["probabilities"][0]["malignant"])
    ask(url, f"v1/predictions/{first['id']}/review", json.dumps({"conclusion": says}).encode(), "application/json")
    pictures = (
        ("worklist-desktop-light", "desktop", "light", "worklist", ".waiting tbody tr"),
        ("lesion-desktop-dark", "desktop", "dark", "lesion/B-7/L1", ".comparison[data-aligned]"),
        ("lesion-phone-light", "phone", "light", "lesion/B-7/L1", ".comparison[data-aligned]"),
        ("case-phone-dark", "phone", "dark", "images", "#subject"),
    )
    for name, screen, scheme, view, ready in pictures:
        driver = browser(screen, scheme)
        try:
            driver.get(f"{url}/#{view}")
            until(driver, f"return Boolean(document.querySelector('{ready} *'))")
            driver.execute_script(
                "document.querySelectorAll('.case-fields, .case-fields .body').forEach((each) => (each.open = true))"
            )
            time.sleep(1)
            save(driver, out / f"{name}.png")
        finally:
            driver.quit()


def photographed_again(image: Path, path: Path) -> None:
    """The same lesion in a turned and slightly darker picture."""
    picture = Image.open(image).convert("RGB")
    fill = picture.getpixel((5, 5))
    turned = picture.rotate(20, Image.Resampling.BICUBIC, fillcolor=fill)
    turned.point([round(0.95 * value) for value in range(256)] * 3).save(path, quality=92)


def send(url: str, image: Path, **fields: str) -> dict[str, Any]:
    """Send an image with what is known of it; returns the prediction."""
    mark = "boundary-of-a-form"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{image.name}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + image.read_bytes() + f"\r\n--{mark}--\r\n".encode()
    return ask(url, "v1/predictions", body, f"multipart/form-data; boundary={mark}")


def ask(url: str, path: str, body: bytes, kind: str) -> dict[str, Any]:
    """POST a body; returns the JSON of the response."""
    request = urllib.request.Request(f"{url}/{path}", body, {"Content-Type": kind})
    with urllib.request.urlopen(request) as response:
        found: dict[str, Any] = json.load(response)
        return found


def take_site(site: Path, images: list[Path], out: Path) -> None:
    """The page of a static site on a plain host."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    take_screens(f"http://127.0.0.1:{server.server_address[1]}/", images, out, "site")
    server.shutdown()


def take_screens(url: str, images: list[Path], out: Path, name: str, then: Callable[[Any], None] = lambda driver: None) -> None:
    """Every screen in every colour scheme; `then` is what a person does before the picture is taken."""
    for screen in SCREENS:
        for scheme in SCHEMES:
            take(url, images, screen, scheme, out / f"{name}-{screen}-{scheme}.png", then)


def show_map(driver: Any) -> None:
    """The heat map beside the picture, as contours, both zoomed."""
    for css in ("[data-view=beside][aria-pressed]", ".outlines", ".zoom-in", "#sort"):
        driver.execute_script("document.querySelector(arguments[0]).click()", css)
    until(driver, "return document.querySelectorAll('#detail .contours').length === 1")
    driver.execute_script("document.querySelector('#detail .picture').scrollIntoView()")


def as_dicom(image: Path, path: Path) -> Path:
    """The image as a dermoscopic DICOM object that states its scale."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    pixels = Image.open(image)
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.7"
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = generate_uid()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.Rows, found.Columns, found.SamplesPerPixel = pixels.height, pixels.width, 3
    found.PhotometricInterpretation, found.PlanarConfiguration, found.PixelRepresentation = "RGB", 0, 0
    found.BitsAllocated, found.BitsStored, found.HighBit = 8, 8, 7
    found.PixelSpacing = ["0.025", "0.025"]  # 15 mm across
    found.PixelData = pixels.tobytes()
    found.save_as(path, enforce_file_format=True)
    return path


def chosen(images: Path) -> list[Path]:
    """A few images of different diagnoses."""
    lines = (images / "HAM10000_metadata.csv").read_text().splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines[1:]]
    first = {}
    for row in rows:
        first.setdefault(row["dx"], images / "HAM10000_images_part_1" / f"{row['image_id']}.jpg")
    return [first[dx] for dx in ("mel", "nv", "bcc", "vasc", "bkl", "df")]


def start(bundle: Path, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A server of its own, with a fresh record."""
    command = [
        sys.executable,
        "-m",
        "lesionlens",
        "serve",
        str(bundle),
        "--port",
        "0",
        "--record",
        str(folder / "record.sqlite"),
        "--keep-images",
    ]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    for line in server.stderr:
        if found := ADDRESS.search(line):
            return server, found[1]
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


def show(driver: Any, url: str, images: list[Path]) -> None:
    """Upload images and wait for all answers and the first picture."""
    driver.get(url)
    until(driver, "return document.querySelector('#server-state').dataset.state === 'ready'")
    driver.find_element("id", "files").send_keys("\n".join(map(str, images)))
    done = (
        "const rows = [...document.querySelectorAll('#rows li')], photo = document.querySelector('#detail .stage .photo');"
        f"return rows.length === {len(images)} && rows.every((row) => /diagnosis|not_/.test(row.dataset.state))"
        " && photo && !photo.hidden && photo.complete && photo.naturalWidth > 0"
        " && document.querySelectorAll('#report img').length === 3"
    )
    until(driver, done)
    time.sleep(1)  # thumbnails


def until(driver: Any, code: str) -> None:
    """Wait until some JavaScript is true."""
    end = time.monotonic() + WAIT_SECONDS
    while not driver.execute_script(code):
        if time.monotonic() > end:
            raise SystemExit("the page did not answer: " + driver.find_element("tag name", "body").text[:500])
        time.sleep(0.1)


def take(
    url: str, images: list[Path], screen: str, scheme: str, path: Path, then: Callable[[Any], None], language: str = "en"
) -> None:
    """One picture of a prediction."""
    driver = browser(screen, scheme, language)
    try:
        show(driver, url, images)
        if screen == "phone":
            driver.execute_script("document.getElementById('detail').scrollIntoView()")
        then(driver)
        time.sleep(0.5)
        save(driver, path)
    finally:
        driver.quit()


def take_report(url: str, image: Path, path: Path, language: str = "en") -> None:
    """The report as paper has it."""
    driver = browser("desktop", "light", language)
    try:
        show(driver, url, [image])
        metrics = {"width": A4[0], "height": A4[1], "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        driver.execute_script("document.body.style.padding = '12mm 14mm'; window.scrollTo(0, 0)")
        time.sleep(0.3)
        save(driver, path)
    finally:
        driver.quit()


def save(driver: Any, path: Path) -> None:
    """What the screen shows, as PNG."""
    path.write_bytes(base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]))
    print(path)


if __name__ == "__main__":
    main()
