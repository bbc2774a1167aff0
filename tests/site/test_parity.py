"""What a browser says of an image is what Python says: pixels, probabilities, maps, image check, outcome, sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.site.parity_images import parity_images

from lesionlens.bundle.prediction import Prediction
from lesionlens.bundle.runtime import Predictor, _prepare
from lesionlens.data.image import open_image

pytestmark = pytest.mark.slow
REAL = 8  # of each kind, where there are real images
PROBABILITY = 1e-3  # what the site promises; in practice 1e-6, the rounding of float32
GREY_LEVELS = 1  # likewise; in practice 0 in Chromium, whose JPEG decoder is Pillow's
MAP_SHARE = 1e-3  # of the largest value
MEASURE_SHARE = 1e-3


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return parity_images(tmp_path_factory.mktemp("images"))


def real_images() -> list[Path]:
    """Real images beside the project, if there are any."""
    data = Path(__file__).parents[3] / "shared" / "data"
    folders = (data / "ham10000" / "HAM10000_images_part_1", data / "ood" / "clinical")
    return [path for folder in folders for path in sorted(folder.rglob("*.jpg"))[:REAL]]


def test_there_are_fifty_images(images):
    assert len(images) >= 50
    assert {path.suffix for path in images} == {".jpg", ".png", ".webp", ".bmp", ".gif"}


def compare(found: dict[str, Any], prepared: np.ndarray, expected: Prediction) -> list[str]:
    """What differs between the browser's answer and Python's, in words."""
    wanted = expected.to_json()
    prediction = found["prediction"]
    shares = {row["code"]: row["probability"] for row in prediction["probabilities"]}
    problems = [
        f"{name} {prediction[name]!r}, not {wanted[name]!r}"
        for name in ("outcome", "explanation", "diagnosis", "notes", "image")
        if prediction[name] != wanted[name]
    ]
    pixels = np.abs(found["pixels"].reshape(prepared.shape).astype(int) - prepared).max()
    maps = np.abs(found["maps"] - expected.maps.ravel()).max() / max(1e-3, expected.maps.max())
    measures = prediction["gate"]["measures"]
    gate = max(abs(measures[name] - value) / max(1, abs(value)) for name, value in wanted["gate"]["measures"].items())
    probability = max((abs(shares[row["code"]] - row["probability"]) for row in wanted["probabilities"]), default=0)
    for name, value, most in (
        ("pixels", pixels, GREY_LEVELS),
        ("probabilities", probability, PROBABILITY),
        ("maps", maps, MAP_SHARE),
        ("measures", gate, MEASURE_SHARE),
    ):
        if not value <= most:
            problems.append(f"{name} differ by {value}")
    return problems


def test_the_browser_says_what_python_says(
    small_bundle: Path, small_site: Path, images: list[Path], browser: Callable[..., Any], host: Callable[..., Any]
):
    paths = [*images, *real_images()]
    predictor = Predictor(small_bundle, runtime="onnxruntime", threads=1)
    page = browser()
    page.open(host(small_site).url)
    page.give(paths)
    problems = {}
    for at, path in enumerate(paths):
        found = page.predict(at)
        assert "refusal" not in found, (path.name, found)
        expected = next(predictor.predict([path]))
        different = compare(found, _prepare(path, predictor.bundle.spec).pixels, expected)
        if different:
            problems[path.name] = different
    assert not problems
    assert page.complaints() == []


def test_the_schema_is_the_servers(small_site: Path, images: list[Path], browser: Callable[..., Any], host: Callable[..., Any]):
    from lesionlens.serving.schemas import Prediction as ServerPrediction

    page = browser()
    page.open(host(small_site).url)
    page.give(images[:1])
    ServerPrediction.model_validate(page.predict(0)["prediction"])


SHOWN = """
const photo = document.querySelector("#detail .stage .photo");
if (!photo?.naturalWidth || photo.hidden) return null;
const canvas = document.createElement("canvas");
[canvas.width, canvas.height] = [photo.naturalWidth, photo.naturalHeight];
canvas.getContext("2d").drawImage(photo, 0, 0);
return [canvas.width, canvas.height, ...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
"""


@pytest.mark.parametrize("name", ["turned-6.jpg", "turned-3.png", "turned-3.webp", "turned-6.webp", "xmp.jpg"])
def test_the_picture_below_the_map_is_upright(
    small_site: Path, images: list[Path], browser: Callable[..., Any], host: Callable[..., Any], name: str
):
    path = next(path for path in images if path.name == name)
    page = browser()
    page.open(host(small_site).url)
    page.upload(path)
    page.wait("return document.querySelector('#detail .stage .photo')?.naturalWidth > 0", "the picture")
    width, height, *values = page.js(SHOWN)
    expected = np.asarray(open_image(path)).astype(int)
    found = np.array(values).reshape(height, width, 4)[..., :3]
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 2
