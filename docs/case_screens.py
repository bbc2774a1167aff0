"""Pictures of cases: tour, body map, worklist, statistics, a lesion over time."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image
from screens import SCREENS, browser, save, start, until

SCHEMES = {"desktop": ("light", "dark"), "phone": ("light", "dark")}
VISITS = (("2025-03-02", 0), ("2025-03-02", -8), ("2025-08-11", 12), ("2026-01-20", 20))  # day, turn in degrees
FILL = """
for (const each of document.querySelectorAll('.case-fields, .case-fields .body')) each.open = true;
for (const [name, value] of Object.entries({ case: 'B-7', lesion: 'L1', taken: '2026-01-20' }))
  document.querySelector(`#subject [name=${name}]`).value = value;
const back = document.querySelector('#subject [data-site=back]');
if (back.getAttribute('aria-checked') !== 'true') back.dispatchEvent(new Event('click'));
"""


def take_cases(bundle: Path, images: list[tuple[Path, str]], folder: Path, out: Path) -> None:
    """Every picture, from a server with a record of its own; `images` are files with their diagnoses."""
    server, url = start(bundle, folder)
    try:
        take_tour(url, out)
        fill_record(url, images, folder)
        for screen in SCREENS:
            for scheme in SCHEMES[screen]:
                take_views(url, screen, scheme, out)
    finally:
        server.terminate()
        server.wait()


def take_tour(url: str, out: Path) -> None:
    """What a first visit shows."""
    for screen in SCREENS:
        for scheme in SCHEMES[screen]:
            driver = browser(screen, scheme)
            try:
                driver.get(url)
                until(
                    driver, "return Boolean(document.querySelector('#tour li') && document.querySelector('[data-state=ready]'))"
                )
                save(driver, out / f"tour-{screen}-{scheme}.png")
            finally:
                driver.quit()


def take_views(url: str, screen: str, scheme: str, out: Path) -> None:
    """The views of one screen, by somebody who has closed the tour."""
    driver = browser(screen, scheme)
    try:
        driver.get(url)
        until(driver, "return Boolean(document.querySelector('#tour-close'))")
        driver.execute_script("document.querySelector('#tour-close').click()")
        for name, view, ready, scroll in (
            ("body-map", "images", "#subject .body-map", ".case-fields"),
            ("worklist", "worklist", ".waiting tbody tr", ""),
            ("statistics", "worklist", ".statistics .tile", ".statistics"),
            ("lesion", "lesion/B-7/L1", ".comparison[data-aligned]", "#comparison-title"),
            ("timeline", "lesion/B-7/L1", ".visits tbody tr", "#visits-title"),
        ):
            driver.execute_script("location.hash = arguments[0]", f"#{view}")
            until(driver, f"return Boolean(document.querySelector('{ready}'))")
            driver.execute_script(FILL)
            driver.execute_script("document.querySelector(arguments[0] || 'header').scrollIntoView()", scroll)
            time.sleep(1)
            save(driver, out / f"{name}-{screen}-{scheme}.png")
    finally:
        driver.quit()


def fill_record(url: str, images: list[tuple[Path, str]], folder: Path) -> None:
    """A lesion of several visits, lesions with histology and reviews, one of them against the model, and some without."""
    (first, _), *others = images
    for at, (day, turn_deg) in enumerate(VISITS):
        picture = folder / f"visit-{at}.jpg"
        photographed_again(first, picture, turn_deg)
        send(url, picture, case="B-7", lesion="L1", site="back", taken=day)
    for at, (image, dx) in enumerate(others):
        prediction = send(url, image, case=f"A-{at}", lesion="L1")
        if at % 4 == 3:
            continue
        ask(url, f"v1/predictions/{prediction['id']}/review", {"conclusion": dx})
        if at % 2:
            ask(url, f"v1/lesions/A-{at}/L1/histology", {"dx": dx})


def photographed_again(image: Path, path: Path, turn_deg: float) -> None:
    """The same lesion in a turned and slightly darker picture."""
    picture = Image.open(image).convert("RGB")
    fill = picture.getpixel((5, 5))
    turned = picture.rotate(turn_deg, Image.Resampling.BICUBIC, fillcolor=fill)
    turned.point([round(0.95 * value) for value in range(256)] * 3).save(path, quality=92)


def send(url: str, image: Path, **fields: str) -> dict[str, Any]:
    """Send an image with what is known of it; returns the prediction."""
    mark = "boundary-of-a-form"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{image.name}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + image.read_bytes() + f"\r\n--{mark}--\r\n".encode()
    return post(url, "v1/predictions", body, f"multipart/form-data; boundary={mark}")


def ask(url: str, path: str, value: dict[str, str]) -> dict[str, Any]:
    """POST a JSON value; returns the JSON of the response."""
    return post(url, path, json.dumps(value).encode(), "application/json")


def post(url: str, path: str, body: bytes, kind: str) -> dict[str, Any]:
    """POST a body; returns the JSON of the response."""
    request = urllib.request.Request(f"{url}/{path}", body, {"Content-Type": kind})
    with urllib.request.urlopen(request) as response:
        found: dict[str, Any] = json.load(response)
        return found
