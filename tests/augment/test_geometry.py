"""Geometry: the same places as Albumentations reads, all in one grid, interpolated once."""

import numpy as np
import pytest
import torch

from lesionlens.augment import draws, geometry
from lesionlens.augment.policy import Policy

STILL = np.array([[0.0, 0.0, 1.0, 0.0]])
UPRIGHT = np.ones((1, 2))


def _places(axes: geometry.Axes, height: int, width: int) -> np.ndarray:
    """Where each pixel is read, (x, y) in pixels, shape (N, H, W, 2)."""
    grid = geometry.sampling_grid(axes, torch.device("cpu")).double().numpy()
    return (grid + 1) / 2 * np.array([width - 1, height - 1])


def _plain(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(width, dtype=float)[None], np.arange(height, dtype=float)[None]


def _folded(places: np.ndarray, side: int) -> np.ndarray:
    """reflect_101: mirrored about the outermost pixels, as often as needed."""
    period = 2 * (side - 1)
    places = np.mod(places, period)
    return np.minimum(places, period - places)


@pytest.mark.parametrize("side", [224, 384, 60, 63, 16, 17])
def test_distorted_axis_is_that_of_albumentations(albumentations, side: int) -> None:
    factors = draws.grid_distortion(draws.uniform(draws.seed_array(range(20)), 8, 6), Policy())
    ours = geometry.distorted_axis(factors, side)
    for row, factor in zip(ours, factors, strict=True):
        steps = albumentations.geometric.normalize_grid_distortion_steps((side, side), 5, list(factor), list(factor))
        map_x, map_y = albumentations.geometric.generate_grid((side, side), steps["steps_x"], steps["steps_y"], 5)
        # The reference works in float32, and ends one pixel outside the image.
        np.testing.assert_allclose(row, _folded(map_x[0].astype(float), side), atol=1e-3)
        np.testing.assert_allclose(row, _folded(map_y[:, 0].astype(float), side), atol=1e-3)


def test_distorted_axis_by_hand() -> None:
    # Two cells of four pixels over eight: the first is stretched to 6 pixels, the second squeezed to 2.
    axis = geometry.distorted_axis(np.array([[1.5, 0.5, 1.0]]), 8)
    np.testing.assert_allclose(axis[0], [0, 2, 4, 6, 6, 6 + 2 / 3, 6 + 2 / 3, 6], atol=1e-12)
    # The last two lie at 7 1/3 and 8 and are mirrored about pixel 7.


@pytest.mark.parametrize(
    "affine", [(0.1, -0.05, 1.0, 0.0), (0.0, 0.0, 0.8, 0.0), (0.0, 0.0, 1.0, 30.0), (-0.1, 0.07, 1.2, -45.0)]
)
def test_affine_places_are_those_of_albumentations(albumentations, affine: tuple[float, float, float, float]) -> None:
    height, width = 50, 70
    shift_x, shift_y, scale, angle = affine
    matrix = albumentations.geometric.create_affine_transformation_matrix(
        {"x": shift_x * width, "y": shift_y * height},
        {"x": 0.0, "y": 0.0},
        {"x": scale, "y": scale},
        angle,
        albumentations.geometric.center((height, width)),
    )
    pixels = np.stack([*np.meshgrid(np.arange(width), np.arange(height)), np.ones((height, width))], axis=-1)
    expected = (pixels @ np.linalg.inv(matrix).T)[..., :2]
    columns, rows = _plain(height, width)
    ours = _places(geometry.compose(UPRIGHT, np.array([affine]), columns, rows), height, width)[0]
    np.testing.assert_allclose(ours, expected, atol=2e-5)  # float32 coordinates of a 70 pixel image


def test_warped_image_is_that_of_opencv(albumentations, pictures: np.ndarray) -> None:
    cv2 = albumentations.cv2
    affine = np.array([[0.08, -0.05, 0.85, 33.0]])
    height, width = pictures.shape[1:3]
    columns, rows = _plain(height, width)
    axes = geometry.compose(UPRIGHT, affine, columns, rows)
    places = _places(axes, height, width)[0].astype(np.float32)
    for image in pictures:
        ours = geometry.warp(torch.from_numpy(image).permute(2, 0, 1)[None].float(), axes)[0].permute(1, 2, 0).numpy()
        expected = cv2.remap(
            image.astype(np.float32), places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        # OpenCV rounds places to 1/32 pixel; blotches change by up to 40 levels a pixel.
        assert np.abs(ours - expected).max() < 40 / 32
        assert np.abs(ours - expected).mean() < 0.1


def test_all_in_one_grid_is_one_after_the_other() -> None:
    """The places of the composed grid are those found by walking back step by step."""
    height, width = 40, 48
    flips, affine = np.array([[-1.0, 1.0]]), np.array([[0.05, 0.1, 1.1, 20.0]])
    columns, rows = np.sort(np.random.default_rng(0).uniform(0, 39, (2, 1, 48)), axis=2)
    rows = rows[:, :40]
    composed = _places(geometry.compose(flips, affine, columns, rows), height, width)[0]
    alone = _places(geometry.compose(UPRIGHT, affine, *_plain(height, width)), height, width)[0]
    # alone[v, u] is an affine map of (u, v): apply it to the distorted place, then flip x.
    origin, across, down = alone[0, 0], alone[0, 1] - alone[0, 0], alone[1, 0] - alone[0, 0]
    distorted = np.stack(np.meshgrid(columns[0], rows[0]), axis=-1)
    expected = origin + distorted[..., :1] * across + distorted[..., 1:] * down
    expected[..., 0] = width - 1 - expected[..., 0]
    np.testing.assert_allclose(composed, expected, atol=2e-4)


def test_quarter_turn_and_flip_are_exact(pictures: np.ndarray) -> None:
    square = pictures[:1, :60, :60]
    images = torch.from_numpy(square).permute(0, 3, 1, 2).float()
    plain = _plain(60, 60)
    turned = geometry.warp(images, geometry.compose(UPRIGHT, np.array([[0.0, 0.0, 1.0, 90.0]]), *plain))
    torch.testing.assert_close(turned, torch.rot90(images, 1, (2, 3)), atol=0.01, rtol=0)  # counter-clockwise
    flipped = geometry.warp(images, geometry.compose(np.array([[-1.0, -1.0]]), STILL, *plain))
    torch.testing.assert_close(flipped, images.flip((2, 3)), atol=0.01, rtol=0)


def test_border_mirrors_about_the_outermost_pixel() -> None:
    ramp = torch.arange(20.0).repeat(1, 3, 20, 1)
    axes = geometry.compose(UPRIGHT, np.array([[0.15, 0.0, 1.0, 0.0]]), *_plain(20, 20))  # moved right by 3 pixels
    row = geometry.warp(ramp, axes)[0, 0, 5]
    torch.testing.assert_close(row[:6], torch.tensor([3.0, 2.0, 1.0, 0.0, 1.0, 2.0]), atol=1e-4, rtol=0)
