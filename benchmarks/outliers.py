"""Artificial outliers, drawn or spoilt on purpose, to select the gate's method with.

None of them is a photograph that the gate is reported on.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from lesionlens.core.seeds import generator

Random = np.random.Generator
PHOTOGRAPHS = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)
LETTERS = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJ 0123456789 .,:"


def noise(random: Random, side: int) -> np.ndarray:
    """Independent pixels around a random colour."""
    centre, spread = random.uniform(60, 200, 3), random.uniform(20, 80)
    return _pixels(random.normal(centre, spread, (side, side, 3)))


def clouds(random: Random, side: int) -> np.ndarray:
    """Smooth noise: power falls with a random exponent of the frequency, in the colours of skin or in any."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    amplitude = 1 / np.maximum(frequency, 1 / side) ** random.uniform(0.8, 2.2)
    waves = np.stack([np.fft.ifft2(amplitude * np.fft.fft2(random.normal(size=(side, side)))).real for _ in range(3)], axis=-1)
    waves[..., 1:] = random.uniform(0.5, 1) * waves[..., :1] + 0.3 * waves[..., 1:]
    centre = np.array([190, 145, 140]) if random.uniform() < 0.5 else random.uniform(60, 200, 3)
    return _pixels(centre + random.uniform(15, 60) * waves / waves.std())


def gradient(random: Random, side: int) -> np.ndarray:
    """Two random colours that flow into each other."""
    angle = random.uniform(0, 2 * np.pi)
    across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    share = (0.5 + 0.35 * (np.cos(angle) * across + np.sin(angle) * down))[..., None]
    return _pixels(random.uniform(0, 255, 3) * share + random.uniform(0, 255, 3) * (1 - share))


def text(random: Random, side: int) -> np.ndarray:
    """A page of letters, dark on light or light on dark."""
    light, dark = random.integers(200, 256, 3), random.integers(0, 60, 3)
    ground, ink = (light, dark) if random.uniform() < 0.8 else (dark, light)
    page = Image.new("RGB", (side, side), tuple(int(value) for value in ground))
    draw = ImageDraw.Draw(page)
    for top in range(4, side, int(random.integers(11, 18))):
        line = "".join(random.choice(list(LETTERS), 60))
        draw.text((float(random.uniform(0, 12)), top), line, fill=tuple(int(value) for value in ink))
    return np.asarray(page)


def drawing(random: Random, side: int) -> np.ndarray:
    """Ellipses, rectangles and lines in flat colours."""
    page = Image.new("RGB", (side, side), _colour(random))
    draw = ImageDraw.Draw(page)
    for _ in range(int(random.integers(3, 12))):
        box = np.sort(random.uniform(0, side, (2, 2)), axis=0).ravel().tolist()
        kind = random.integers(3)
        if kind == 0:
            draw.ellipse(box, fill=_colour(random), outline=_colour(random))
        elif kind == 1:
            draw.rectangle(box, fill=_colour(random))
        else:
            draw.line(random.uniform(0, side, 6).tolist(), fill=_colour(random), width=int(random.integers(1, 12)))
    return np.asarray(page)


def photograph(random: Random, side: int) -> np.ndarray:
    """A random square out of a photograph that comes with scikit-learn or matplotlib."""
    package, path = PHOTOGRAPHS[int(random.integers(len(PHOTOGRAPHS)))]
    if find_spec(package) is None:
        raise SystemExit(f"{package} is not installed; install it with: pip install 'lesionlens[train]'")
    with Image.open(str(files(package) / path)) as opened:
        image = opened.convert("RGB")
    width = float(random.uniform(0.3, 0.95)) * min(image.size)
    left, top = (float(random.uniform(0, whole - width)) for whole in image.size)
    square = image.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + width, top + width))
    return np.asarray(square.rotate(90 * int(random.integers(4))))


def shuffled(random: Random, image: np.ndarray) -> np.ndarray:
    """A dermoscopic image cut into 4 x 4 squares that change places."""
    step = len(image) // 4
    squares = [image[step * r : step * (r + 1), step * c : step * (c + 1)] for r in range(4) for c in range(4)]
    order = random.permutation(16)
    return np.concatenate([np.concatenate([squares[order[4 * r + c]] for c in range(4)], axis=1) for r in range(4)])


def recoloured(random: Random, image: np.ndarray) -> np.ndarray:
    """A dermoscopic image whose channels change places, or which is turned into its negative."""
    orders = ((2, 1, 0), (1, 0, 2), (1, 2, 0), (2, 0, 1))
    return 255 - image if random.uniform() < 0.2 else image[..., orders[int(random.integers(4))]]


def blurred(random: Random, image: np.ndarray) -> np.ndarray:
    """Out of focus: a Gaussian of 2.5 % to 4 % of the side."""
    radius = float(random.uniform(0.025, 0.04)) * len(image)
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def darkened(random: Random, image: np.ndarray) -> np.ndarray:
    """A tenth to a quarter of the light."""
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(float(random.uniform(0.1, 0.25))))


def overexposed(random: Random, image: np.ndarray) -> np.ndarray:
    """Two to three times the light, cut off at white."""
    return _pixels(image * random.uniform(2, 3))


FOREIGN: dict[str, Callable[[Random, int], np.ndarray]] = {
    "noise": noise,
    "clouds": clouds,
    "gradient": gradient,
    "text": text,
    "drawing": drawing,
    "photograph": photograph,
}
ALTERED: dict[str, Callable[[Random, np.ndarray], np.ndarray]] = {"shuffled": shuffled, "recoloured": recoloured}
SPOILT: dict[str, Callable[[Random, np.ndarray], np.ndarray]] = {
    "blurred": blurred,
    "darkened": darkened,
    "overexposed": overexposed,
}


def draw_outliers(images: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """`count` images of every kind.

    Args:
        images: prepared dermoscopic images to alter and spoil, uint8 (N, S, S, 3), S divisible by 4.
        count: of each kind.

    Returns:
        By kind, uint8 (count, S, S, 3).
    """
    side = images.shape[1]
    outliers = {name: [draw(generator(name, n), side) for n in range(count)] for name, draw in FOREIGN.items()}
    for name, change in {**ALTERED, **SPOILT}.items():
        outliers[name] = [change(generator(name, n), images[n % len(images)]) for n in range(count)]
    return {name: np.stack(images).astype(np.uint8) for name, images in outliers.items()}


def _colour(random: Random) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def _pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
