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
import functools
import http.server
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from case_screens import take_cases
from PIL import Image
from screens import SCREENS, browser, save, start, until

from lesionlens.synthetic.dataset import write_synthetic

HERE = Path(__file__).parent
SCHEMES = ("light", "dark")
A4 = (794, 1123)  # CSS pixels
SEED, N_IMAGES = 5, 42
LANGUAGES = {"de": ("light",), "ar": SCHEMES}


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="bundle of a network trained on synthetic images, for the server's page")
    parser.add_argument("--cases", type=Path, help="likewise, for the pictures of tour and cases alone")
    parser.add_argument("--site", type=Path, help="its static site, for the page without a server")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        drawn = labelled(write_synthetic(Path(folder) / "images", N_IMAGES, SEED, 600, 450))
        images = chosen(drawn)
        if options.bundle:
            take_server(options.bundle, images, Path(folder), options.out)
        if options.bundle or options.cases:
            (Path(folder) / "cases").mkdir()
            take_cases(options.bundle or options.cases, drawn, Path(folder) / "cases", options.out)
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


def labelled(images: Path) -> list[tuple[Path, str]]:
    """Files with their diagnoses, a melanoma first."""
    lines = (images / "HAM10000_metadata.csv").read_text().splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines[1:]]
    rows.sort(key=lambda row: row["dx"] != "mel")
    return [(images / "HAM10000_images_part_1" / f"{row['image_id']}.jpg", row["dx"]) for row in rows]


def chosen(drawn: list[tuple[Path, str]]) -> list[Path]:
    """A few images of different diagnoses."""
    first: dict[str, Path] = {}
    for path, dx in drawn:
        first.setdefault(dx, path)
    return [first[dx] for dx in ("mel", "nv", "bcc", "vasc", "bkl", "df")]


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


if __name__ == "__main__":
    main()
