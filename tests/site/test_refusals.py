"""What cannot be used gets one clear line: files, browsers, a network that does not compute what it should."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.site.parity_images import drawn

pytestmark = pytest.mark.slow


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animated(kind: str) -> bytes:
    frames = [drawn(number, (80, 60)) for number in range(3)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


def bad_files() -> Iterator[tuple[str, bytes, str]]:
    """Name, content, and what the refusal must say."""
    jpeg, png = saved(drawn(1), "JPEG"), saved(drawn(1), "PNG")
    large = saved(Image.new("L", (6000, 4100)), "PNG")
    yield "scan.dcm", b"\0" * 128 + b"DICM" + b"\0" * 500, "DICOM is not read by this page"
    yield "scan.tif", saved(drawn(1), "TIFF"), "TIFF is not read by this page"
    yield "phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100, "HEIC is not read by this page"
    yield "scan.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 100, "JPEG 2000 is not read by this page"
    yield "table.jpg", b"image,diagnosis\n1,mel\n", "The file is not an image"
    yield "empty.jpg", b"", "The file is empty"
    yield "cut.jpg", jpeg[: len(jpeg) // 2], "damaged or cut short"
    yield "head.jpg", jpeg[:40], "damaged or cut short"
    yield "cut.png", png[: len(png) // 2], "damaged or cut short"
    yield "broken.png", png[:200] + bytes(len(png) - 250) + png[-50:], "damaged"
    yield "moving.gif", animated("GIF"), "several pictures"
    yield "moving.webp", animated("WEBP"), "several pictures"
    yield "moving.png", animated("PNG"), "several pictures"
    yield "cmyk.jpg", saved(drawn(1).convert("CMYK"), "JPEG"), "CMYK"
    yield "large.png", large, "The image is too large: It has 6000 \u00d7 4100 pixels; the most is 24 million"
    yield "small.png", saved(drawn(1, (40, 20)), "PNG"), "The image is too small"


def test_bad_files_get_one_line(small_site: Path, browser: Callable[..., Any], host: Any, tmp_path: Path):
    files = list(bad_files())
    for name, data, _ in files:
        (tmp_path / name).write_bytes(data)
    page = browser()
    page.open(host(small_site).url)
    page.give([tmp_path / name for name, _, _ in files])
    found = {name: page.predict(at).get("refusal", "predicted") for at, (name, _, _) in enumerate(files)}
    assert {name: found[name] for name, _, text in files if text not in found[name]} == {}
    assert all("\n" not in line and len(line) < 250 for line in found.values())
    page.upload(tmp_path / "scan.dcm")
    assert "lesionlens predict, or lesionlens serve" in page.text()
    assert "Try again" not in page.text()  # the same file stays refused


def test_a_file_beyond_the_limit_is_not_read(small_site: Path, browser: Callable[..., Any], host: Any, tmp_path: Path):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as stream:
        stream.truncate(33 << 20)
    page = browser()
    page.open(host(small_site).url)
    page.upload(path)
    assert "the most is 33.5\u202fMB" in page.text()


def test_an_unusable_image_gets_its_reason(small_site: Path, browser: Callable[..., Any], host: Any, tmp_path: Path):
    path = tmp_path / "black.png"
    Image.new("RGB", (300, 200), (2, 2, 2)).save(path)
    page = browser()
    page.open(host(small_site).url)
    page.upload(path)
    assert "Not usable, so there is no diagnosis" in page.text() or "the image is too dark" in page.text()
    assert "No heat map: the image is not usable." in page.text()


def refused(page: Any, url: str) -> str:
    """Open a page that cannot work; the problem it shows."""
    page.driver.get(url)
    page.wait("return document.getElementById('server-state')?.dataset.state === 'gone'", "the refusal")
    return page.js("return document.querySelector('#detail .problem').innerText")


def test_a_browser_without_simd(small_site: Path, browser: Callable[..., Any], host: Any):
    page = browser(script="WebAssembly.validate = () => false")
    text = refused(page, host(small_site).url)
    assert "This browser cannot run the network" in text
    assert "no WebAssembly SIMD" in text
    assert "Try again" not in text


def changed_site(site: Path, folder: Path, change: Callable[[Path], None]) -> Path:
    copy = folder / "site"
    shutil.copytree(site, copy)
    change(copy)
    return copy


def test_a_browser_that_blurs_pixels(small_site: Path, browser: Callable[..., Any], host: Any, tmp_path: Path):
    blur = """
const readPixels = OffscreenCanvasRenderingContext2D.prototype.getImageData;
OffscreenCanvasRenderingContext2D.prototype.getImageData = function (...place) {
  const found = readPixels.apply(this, place);
  found.data[4] ^= 1;
  return found;
};
"""

    def change(copy: Path) -> None:
        (copy / "predictor.js").write_text((copy / "predictor.js").read_text() + blur)

    site = changed_site(small_site, tmp_path, change)
    assert "protection against fingerprinting" in refused(browser(), host(site).url)


def test_a_network_that_computes_something_else(small_site: Path, browser: Callable[..., Any], host: Any, tmp_path: Path):
    def change(copy: Path) -> None:
        path = copy / "selftest.bin"
        data = bytearray(path.read_bytes())
        data[-5000:-2000] = bytes(3000)  # other pixels than the expected outputs are of
        path.write_bytes(bytes(data))

    text = refused(browser(), host(changed_site(small_site, tmp_path, change)).url)
    assert "the self-test fails" in text


def test_a_network_that_arrives_cut(small_site: Path, browser: Callable[..., Any], host: Any, tmp_path: Path):
    def change(copy: Path) -> None:
        graph = copy / json.loads((copy / "model.json").read_text())["graph"]["file"]
        graph.write_bytes(graph.read_bytes()[:-100])

    text = refused(browser(), host(changed_site(small_site, tmp_path, change)).url)
    assert "The network did not arrive whole" in text
    assert "Try again" in text


def test_a_missing_model(small_site: Path, browser: Callable[..., Any], host: Any, tmp_path: Path):
    site = changed_site(small_site, tmp_path, lambda copy: (copy / "model.json").unlink())
    assert "model.json cannot be loaded" in refused(browser(), host(site).url)
