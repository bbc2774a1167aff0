"""Ways through the page that several tests take, and the checks that run inside it."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

CHECKS = (Path(__file__).parent / "checks.js").read_text()
ALL_VIEWS = (
    *("empty", "case fields", "answer", "map beside", "contours", "reviewed", "history", "recorded answer"),
    *("worklist", "cases", "lesion", "model"),
)


def check(page, name, *arguments):
    return page.js(f"{CHECKS}\nreturn {name}(...arguments);", *arguments)


def first_views(page, images):
    """Walk from the empty page to the first prediction, by nothing that has a language."""
    yield "empty"
    page.press(".case-fields > summary")
    page.press(".case-fields .body summary")
    for name, value in (("case", "A"), ("lesion", "L1")):
        page.find(f"#subject [name={name}]").send_keys(value)
    yield "case fields"
    page.press(".case-fields > summary")
    page.shown(images[0])
    page.press("#detail .check summary")
    yield "answer"
    page.look("beside")
    yield "map beside"
    page.press(".outlines")
    page.find(".contours")
    yield "contours"


def views(page, images):
    """Walk through every view, each with something in it."""
    yield from first_views(page, images)
    page.find("[name=note]").send_keys("a note")
    page.js("document.querySelector('[name=conclusion]').value = 'nv'")
    page.find(".review .primary").click()
    page.find(".review .conclusion")
    yield "reviewed"
    page.go("history")
    page.find(".history tbody tr")
    yield "history"
    page.find(".history a").click()
    page.find("#view-prediction .outcome")
    yield "recorded answer"
    page.go("worklist")
    page.until(lambda: "Label next" in page.text("#worklist-list"))  # there may be none, where this image is the only one
    yield "worklist"
    page.go("cases")
    page.find(".cases tbody tr")
    yield "cases"
    page.go("lesion/A/L1")
    page.find(".visits tbody tr")
    yield "lesion"
    page.go("model")
    page.find(".card-text summary").click()
    yield "model"


def lesion_photograph(path: Path, turn: float = 0.0, seed: int = 3) -> Path:
    """A drawn lesion with structure inside, on textured skin, photographed at an angle."""
    random = np.random.default_rng(seed)

    def texture(sigma: float, strength: float) -> np.ndarray:
        noise = Image.fromarray(random.integers(0, 255, (450, 600), dtype=np.uint8)).filter(ImageFilter.GaussianBlur(sigma))
        values = np.asarray(noise, float)
        return strength * (values - values.mean()) / values.std()

    y, x = np.mgrid[:450, :600]
    spot = 1 / (1 + np.exp((np.hypot((x - 300) / 110, (y - 225) / 80) - 1) * 12))
    grey = 190 + texture(4, 6) - spot * (90 + texture(6, 22))
    pixels = np.stack([grey + 20, grey - 20, grey - 40], -1).clip(0, 255).astype(np.uint8)
    large = Image.fromarray(pixels).rotate(turn, Image.Resampling.BICUBIC, fillcolor=(210, 170, 150))
    large.crop((60, 45, 540, 405)).save(path, quality=95)
    return path


def send(page, path, **fields):
    response = page.server.client.post("/v1/predictions", files={"file": (path.name, path.read_bytes())}, data=fields)
    assert response.status_code == 201, response.text
    return response.json()
