"""Pixel operations: against Albumentations and OpenCV with the same parameters, and by hand."""

import numpy as np
import pytest
import torch

from lesionlens.augment import draws, ops
from lesionlens.augment.policy import Policy


def planes(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float()


def pixels(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).double().numpy()


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def one(red: float, green: float, blue: float) -> torch.Tensor:
    return torch.tensor([red, green, blue], dtype=torch.float32).view(1, 3, 1, 1).repeat(1, 1, 4, 4)


@pytest.mark.parametrize(("alpha", "beta"), [(0.8, 51.0), (1.2, -51.0), (1.0, 20.0), (1.13, -7.7), (0.91, 0.0)])
def test_brightness_contrast_is_that_of_albumentations(albumentations, pictures, alpha: float, beta: float) -> None:
    images = planes(pictures[:1])
    ops.brightness_contrast_(images, row(alpha, beta))
    expected = albumentations.albucore.multiply_add(pictures[0], alpha, beta)
    # The reference cuts decimals off where we keep them; at a whole number float32 may fall on either side.
    difference = pixels(images)[0] - expected
    assert difference.min() > -1e-3
    assert difference.max() < 1.001


def exact_hsv(albumentations, image: np.ndarray, hue: float, saturation: float, value: float) -> np.ndarray:
    """The shift in unrounded HSV by OpenCV's float conversion, with hue of 180 and the rest of 255."""
    cv2 = albumentations.cv2
    hsv = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV).astype(np.float64)
    hsv[..., 0] = np.mod(hsv[..., 0] + 2 * hue, 360)
    kept = hsv[..., 1] * 255
    hsv[..., 1] = np.clip(kept + saturation * np.minimum(kept, 1), 0, 255) / 255
    hsv[..., 2] = np.clip(hsv[..., 2] + value / 255, 0, 1)
    return cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB).astype(np.float64) * 255


SHIFTS = [
    (10, 3, 20),
    (-10, -3, -20),
    (10, 0, 0),
    (-7, 0, 0),
    (0, 3, 0),
    (0, -3, 0),
    (0, 0, 20),
    (0, 0, -20),
    (30, 50, -90),
    (0, 0, 0),
]


@pytest.mark.parametrize("shift", SHIFTS)
def test_hue_saturation_value_is_the_shift_in_exact_hsv(albumentations, shift: tuple[float, float, float]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image[:8] = [
        [255, 255, 0],
        [0, 0, 0],
        [255, 255, 255],
        [90, 90, 90],
        [255, 0, 255],
        [0, 128, 128],
        [1, 0, 0],
        [200, 10, 200],
    ] * 8
    images = planes(image[None])
    ops.hue_saturation_value_(images, row(*shift))
    # Hue in 1/32 levels, times the growth of a dark pixel's value: at most a few hundredths of a
    # level in all but nearly black pixels, where V may grow from 1 to 21.
    difference = np.abs(pixels(images)[0] - exact_hsv(albumentations, image, *shift))
    assert difference.max() < 0.7
    assert np.quantile(difference, 0.99) < 0.06


@pytest.mark.parametrize("shift", [(10, 3, 20), (-10, -3, -20), (4, 2, -11)])
def test_hue_saturation_value_is_near_that_of_albumentations(albumentations, pictures, shift: tuple[int, int, int]) -> None:
    """The reference rounds H to 2 degrees, S and V to whole levels, which moves a channel by C / 60 and V / 255 levels."""
    images = planes(pictures)
    for image, picture in zip(images, pictures, strict=True):
        ops.hue_saturation_value_(image[None], row(*shift))
        expected = albumentations.pixel.shift_hsv(picture.copy(), *shift)
        difference = np.abs(pixels(image[None])[0] - expected)
        chroma = np.ptp(picture.astype(float), axis=2)
        assert (difference.max(axis=2) <= 2.6 + chroma / 60).all()
        assert difference.mean() < 1


def test_grey_stays_grey() -> None:
    images = torch.arange(256.0).view(1, 1, 16, 16).repeat(1, 3, 1, 1)
    ops.hue_saturation_value_(images, row(10, 3, 0))
    torch.testing.assert_close(images, torch.arange(256.0).view(1, 1, 16, 16).repeat(1, 3, 1, 1), atol=1e-4, rtol=0)


def test_hue_turns_by_hand() -> None:
    images = one(200, 100, 100)  # C = 100: 30 of 180 is one sextant, from red to yellow
    ops.hue_saturation_value_(images, row(30, 0, 0))
    torch.testing.assert_close(images, one(200, 200, 100), atol=1e-3, rtol=0)
    images = one(200, 100, 100)
    ops.hue_saturation_value_(images, row(-15, 0, 0))  # half a sextant back: towards magenta
    torch.testing.assert_close(images, one(200, 100, 150), atol=1e-3, rtol=0)


def test_noise_is_gaussian_white_and_of_the_drawn_variance() -> None:
    words = draws.seed_array(range(24))
    parameters = draws.gaussian_noise(draws.uniform(words, 5, 4), Policy()).astype(np.float32)
    images = torch.full((24, 3, 96, 96), 128.0)
    ops.gaussian_noise_(images, parameters)
    noise = (images - 128).double().numpy() / parameters[:, 0, None, None, None]
    n = noise[0].size
    assert np.abs(noise.reshape(24, -1).mean(1)).max() < 4.5 / np.sqrt(n)
    assert np.abs(noise.reshape(24, -1).var(1) - 1).max() < 4.5 * np.sqrt(2 / n)
    assert abs((noise**3).mean()) < 4 * np.sqrt(6 / noise.size) * 2  # images share tables: fewer free numbers than pixels
    assert abs((noise**4).mean() - 3) < 4 * np.sqrt(24 / noise.size) * 2
    for shifted in (noise[..., 1:] * noise[..., :-1], noise[:, :, 1:] * noise[:, :, :-1], noise[:, 1:] * noise[:, :-1]):
        per_image = shifted.reshape(24, -1).mean(1)
        assert np.abs(per_image).max() < 4.5 / np.sqrt(shifted[0].size)
    between = np.corrcoef(noise.reshape(24, -1)) - np.eye(24)
    assert np.abs(between).max() < 4.5 / np.sqrt(n)


def test_noise_keeps_to_the_range() -> None:
    images = torch.cat([torch.zeros(1, 3, 20, 20), torch.full((1, 3, 20, 20), 255.0)])
    ops.gaussian_noise_(images, np.array([[7, 1, 1, 5, 9], [7, -1, 1, 77, 3]], np.float32))
    assert images.min() == 0
    assert images.max() == 255


@pytest.mark.parametrize("sigma", [0.5, 0.9, 3.0])
def test_gaussian_blur_is_that_of_albumentations(albumentations, pictures, sigma: float) -> None:
    images = planes(pictures[:1])
    ops.gaussian_blur_(images, row(sigma))
    kernel = albumentations.blur.create_gaussian_kernel_1d(sigma, 3)
    expected = albumentations.cv2.sepFilter2D(pictures[0].astype(np.float64), -1, kernel, kernel)
    np.testing.assert_allclose(pixels(images)[0], expected, atol=1e-3)  # float32 against float64
    whole = albumentations.pixel.separable_convolve(pictures[0].copy(), kernel)
    assert np.abs(pixels(images)[0] - whole).max() < 1.01  # the reference rounds after each axis


def test_motion_blur_is_opencvs_correlation(albumentations, pictures) -> None:
    kernels = draws.motion_blur(draws.uniform(draws.seed_array(range(6)), 7, 4), Policy()).astype(np.float32)
    kernels = np.concatenate([kernels, row(0, 0.5, 0, 0, 0, 0.25, 0.25, 0, 0)])
    for kernel in kernels:
        images = planes(pictures[:1])
        ops.motion_blur_(images, kernel[None])
        expected = albumentations.cv2.filter2D(pictures[0].astype(np.float64), -1, kernel.reshape(3, 3).astype(np.float64))
        np.testing.assert_allclose(pixels(images)[0], expected, atol=1e-3)


def test_blurs_by_hand() -> None:
    images = torch.zeros(1, 3, 16, 16)
    images[:, :, 5, 0] = 100
    blurred = images.clone()
    ops.gaussian_blur_(blurred, row(1.0))
    side, middle = 0.274069, 0.451863  # exp(-1/2) / (1 + 2 exp(-1/2)) and its rest
    np.testing.assert_allclose(blurred[0, 0, 4:7, 0], 100 * middle * np.array([side, middle, side]), rtol=1e-5)
    # The neighbour of the edge sees the spot once; the mirrored side of the edge is pixel 1.
    np.testing.assert_allclose(blurred[0, 0, 5, :3], 100 * middle * np.array([middle, side, 0]), rtol=1e-5)
    moved = images.clone()
    ops.motion_blur_(moved, row(0, 0, 0, 0.5, 0.5, 0, 0, 0, 0))  # half own, half from the left
    np.testing.assert_allclose(moved[0, 0, 5, :3], [50, 50, 0])


def test_dropout_fills_the_boxes_of_albumentations(albumentations, pictures) -> None:
    boxes = np.array([[[3, 9, 10, 20], [0, 5, 60, 72], [8, 30, 15, 16], [7, 7, 4, 4]]])
    images = planes(pictures[:1])
    ops.coarse_dropout_(images, boxes)
    sides = boxes[0][:, [2, 0, 3, 1]]  # x from, y from, x to, y to
    expected = albumentations.dropout.fill_holes_with_value(pictures[0].copy(), sides, np.zeros(3, np.uint8))
    np.testing.assert_array_equal(pixels(images)[0], expected)


CASES = {
    "brightness_contrast": (ops.brightness_contrast_, draws.brightness_contrast, 2),
    "hue_saturation_value": (ops.hue_saturation_value_, draws.hue_saturation_value, 3),
    "gaussian_noise": (ops.gaussian_noise_, draws.gaussian_noise, 4),
    "gaussian_blur": (ops.gaussian_blur_, draws.gaussian_blur, 1),
    "motion_blur": (ops.motion_blur_, draws.motion_blur, 4),
}


@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_its_images_one_by_one(pictures, name: str) -> None:
    """The batched form, which a GPU runs, and the single form, which a CPU runs, are one operation."""
    operation, draw, count = CASES[name]
    parameters = draw(draws.uniform(draws.seed_array(range(6)), 3, count), Policy()).astype(np.float32)
    batch = planes(pictures)
    alone = batch.clone()
    operation(batch, parameters)
    for number in range(6):
        operation(alone[number : number + 1], parameters[number : number + 1])
    # A fused multiply-add in one form and two roundings in the other; a hue step of 1/32 level may fall either way.
    torch.testing.assert_close(batch, alone, atol=0.1 if name == "hue_saturation_value" else 1e-4, rtol=0)
