"""Photographs that are turned, nearer and moved by a known amount; and those that must not be laid over each other."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from tests.slow_values import slow_but

from lesionlens.serving.registration import LEAST_DETAIL, Similarity, register

SIDE = 900  # pixels of the whole drawing, of which a photograph shows the middle
FRAME = (400, 300)


def drawing(seed: int) -> Image.Image:
    """A dark spot with structure in it, on textured skin."""
    random = np.random.default_rng(seed)

    def texture(sigma: float, strength: float) -> np.ndarray:
        noise = Image.fromarray(random.integers(0, 255, (SIDE, SIDE), dtype=np.uint8)).filter(ImageFilter.GaussianBlur(sigma))
        values = np.asarray(noise, float)
        return strength * (values - values.mean()) / values.std()

    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    spot = 1 / (1 + np.exp((np.hypot(x / 110, y / 85) - 1) * 12))
    grey = 190 + texture(4, 6) - spot * (90 + texture(5, 20))
    return Image.fromarray(np.stack([grey + 20, grey - 20, grey - 40], -1).clip(0, 255).astype(np.uint8))


def photographed(
    whole: Image.Image, turn_deg: float = 0.0, zoom: float = 1.0, shift=(0.0, 0.0)
) -> tuple[Image.Image, np.ndarray]:
    """What a camera sees, and the matrix, (2, 3), from pixels of the photograph to pixels of the drawing."""
    turn, (width, height) = np.deg2rad(turn_deg), FRAME
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / zoom
    offset = np.array([SIDE / 2, SIDE / 2]) + shift - linear @ np.array([width / 2, height / 2])
    matrix = np.column_stack([linear, offset])
    return whole.transform(FRAME, Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BICUBIC), matrix


def error_px(first: np.ndarray, second: np.ndarray, found: np.ndarray) -> float:
    """Largest distance, pixels of the first photograph, between where a place lies and where it is put."""
    places = np.array([[0.3, 0.3], [0.7, 0.35], [0.5, 0.7], [0.4, 0.5]])
    pixels = places * FRAME
    on_drawing = pixels @ second[:, :2].T + second[:, 2]
    truth = (on_drawing - first[:, 2]) @ np.linalg.inv(first[:, :2]).T
    put = (places @ found[:, :2].T + found[:, 2]) * FRAME
    return float(np.linalg.norm(truth - put, axis=1).max())


@pytest.mark.parametrize(
    ("turn_deg", "zoom", "shift"),
    [
        (33, 1, (0, 0)),
        (75, 1.6, (0, 20)),
        *slow_but([(0, 1, (0, 0)), (0, 1, (40, -25)), (-120, 1.2, (10, 15)), (180, 0.8, (-20, 5))]),
    ],
)
def test_a_known_change_is_found(turn_deg, zoom, shift):
    whole = drawing(1)
    (first, first_matrix), (second, second_matrix) = photographed(whole), photographed(whole, turn_deg, zoom, shift)
    found = register(first, second)
    assert found.reason == ""
    assert found.matrix is not None
    assert error_px(first_matrix, second_matrix, found.matrix) < 1.5
    assert found.zoom == pytest.approx(zoom, rel=0.01)
    assert found.agreement > 0.6


def test_light_and_size_of_the_file_do_not_matter():
    whole = drawing(2)
    first, _ = photographed(whole)
    second, _ = photographed(whole, 20)
    darker = Image.fromarray((np.asarray(second.resize((800, 600)), float) * 0.7).astype(np.uint8))
    found = register(first, darker)
    assert found.reason == ""
    assert found.zoom == pytest.approx(1.0, rel=0.01)


@pytest.mark.slow
def test_different_lesions_are_declined():
    pictures = [photographed(drawing(seed))[0] for seed in (1, 5, 6)]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        found = register(pictures[first], pictures[second])
        assert found.matrix is None
        assert found.agreement < LEAST_DETAIL
        assert "different lesions" in found.reason


@pytest.mark.parametrize("first", [True, False])
def test_a_picture_without_detail_is_declined(first):
    pair = [photographed(drawing(1))[0], Image.new("RGB", FRAME, (200, 150, 130))]
    found = register(*(pair[::-1] if first else pair))
    assert found.matrix is None
    assert found.reason == f"the {'first' if first else 'second'} picture has too little detail"


def test_a_mirrored_picture_is_no_photograph_of_the_same():
    picture, _ = photographed(drawing(3), 10)
    assert register(picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).matrix is None


def test_what_undoes_a_similarity():
    place = Similarity(0.8, -0.5, 12.0, -7.0)
    both = place.after(place.inverse())
    assert both == pytest.approx(Similarity(1.0, 0.0, 0.0, 0.0), abs=1e-12)
    assert place.inverse().zoom == pytest.approx(1 / place.zoom)
