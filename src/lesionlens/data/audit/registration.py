"""Lay one photograph of skin over another, and measure how far their details agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 128  # of the grey thumbnails that everything here works on, pixels
BLOCK = 16
MARGIN = 3  # how far a block may be displaced, pixels: skin bends, lenses distort
PLAY = (2 * MARGIN + 1) ** 2
MIN_BLOCKS = 12
FLAT = 0.3  # standard deviation below which a block shows nothing, grey levels
NOISE = 0.2  # added to each standard deviation, grey levels: noise must not correlate
QUANTILE = 0.25
ANGLES_DEG = (-5.0, 0.0, 5.0)
SCALES = (0.85, 0.92, 1.0, 1.08, 1.17)


@dataclass(frozen=True)
class Pose:
    """How the first image lies over the second.

    Attributes:
        mirror: whether it is flipped left to right, before anything else.
        angle_deg: rotation about its centre.
        scale: enlargement about its centre.
        shift: displacement of its centre (down, right), as shares of the side.
    """

    mirror: bool = False
    angle_deg: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def warp(images: np.ndarray, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Lay square images in `pose`, interpolated bilinearly.

    Args:
        images: float32, shape (..., S, S).
        pose: the same for all.

    Returns:
        The images in their new pose, shape (..., S, S), 0 outside; and where they are inside, bool (S, S).
    """
    side = images.shape[-1]
    centre = (side - 1) / 2
    y, x = np.mgrid[:side, :side].astype(np.float32) - centre
    y, x = y - pose.shift[0] * side, x - pose.shift[1] * side
    angle = np.deg2rad(pose.angle_deg)
    cos, sin = np.cos(angle) / pose.scale, np.sin(angle) / pose.scale
    y, x = cos * y - sin * x + centre, sin * y + cos * x + centre
    if pose.mirror:
        x = side - 1 - x
    inside = (y >= 0) & (y <= side - 1) & (x >= 0) & (x <= side - 1)
    top, left = (np.clip(np.floor(v), 0, side - 2).astype(np.intp) for v in (y, x))
    down, right = ((v - low).astype(np.float32) for v, low in ((y, top), (x, left)))
    flat, corner = images.reshape(*images.shape[:-2], -1), top * side + left
    upper, upper_right, lower, lower_right = (flat.take(corner + step, axis=-1) for step in (0, 1, side, side + 1))
    upper += (upper_right - upper) * right
    lower += (lower_right - lower) * right
    return (upper + (lower - upper) * down) * inside, inside


def local_contrast(images: np.ndarray) -> np.ndarray:
    """Grey images with light and contrast evened out over an eighth of the side.

    Args:
        images: grey levels 0 to 255, shape (N, S, S).

    Returns:
        float32, shape (N, S, S), mostly within [-3, 3].
    """
    transfer = _gaussian(images.shape[-1], images.shape[-1] / 8)
    detail = images - _filter(images, transfer)
    spread = np.sqrt(np.clip(_filter(detail * detail, transfer), 0, None))
    return np.asarray(detail / (spread + 4), dtype=np.float32)  # 4 grey levels: below it is noise


def spectrum(images: np.ndarray) -> np.ndarray:
    """Fourier transform of windowed images of unit norm, ready for `shift_between`; shape (N, S, S/2 + 1)."""
    side = images.shape[-1]
    window = np.sqrt(np.hanning(side + 2)[1:-1]).astype(np.float32)
    images = images * window[:, None] * window
    norms = np.sqrt(np.einsum("nyx,nyx->n", images, images))
    return np.asarray(np.fft.rfft2(images / np.maximum(norms, 1e-6)[:, None, None]), dtype=np.complex64)


def shift_between(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shift at which images correlate best, and how well.

    Args:
        first: spectra of N images, or of 1 that serves for all, shape (N, S, S/2 + 1).
        second: spectra of their partners, alike.

    Returns:
        Correlations, shape (N,), in [-1, 1]; and shifts of the first image (down, right) as shares
        of the side, shape (N, 2), each within three eighths.
    """
    side = first.shape[-2]
    reach = 3 * side // 8
    surface = np.fft.fftshift(np.fft.irfft2(second * np.conj(first), s=(side, side)), axes=(1, 2))
    low, high = side // 2 - reach, side // 2 + reach + 1
    flat = surface[:, low:high, low:high].reshape(len(surface), -1)
    best = flat.argmax(axis=1)
    shifts = np.stack(np.divmod(best, high - low), axis=1) - reach
    return np.take_along_axis(flat, best[:, None], axis=1)[:, 0], shifts / side


def refine(first: np.ndarray, second: np.ndarray, mirror: bool, angle_deg: float) -> tuple[float, Pose]:
    """Search rotation, scale and shift about a first guess.

    Args:
        first: `local_contrast` of the image to be laid over the other, shape (S, S).
        second: that of the other.
        mirror: whether the first is flipped.
        angle_deg: guessed rotation, right to within about 7 degrees.

    Returns:
        The best correlation, and its pose.
    """
    poses = [Pose(mirror, angle_deg + turn, scale) for turn in ANGLES_DEG for scale in SCALES]
    laid = np.stack([warp(first, pose)[0] for pose in poses])
    correlations, shifts = shift_between(spectrum(laid), spectrum(second[None]))
    best = int(correlations.argmax())
    down, right = shifts[best].tolist()
    return float(correlations[best]), Pose(mirror, poses[best].angle_deg, poses[best].scale, (down, right))


def detail_agreement(first: np.ndarray, second: np.ndarray, pose: Pose) -> float:
    """How far fine details of two images agree all over the picture: 1 for equal, about 0.2 for strangers.

    Two dark round moles on pale skin correlate well as wholes. Photographs of one lesion agree in
    every block of skin too: so both images are band-passed, the first is laid over the second, and
    each block of 16x16 pixels is correlated by itself, with up to 3 pixels of play. The lower
    quartile of the blocks is the answer: three quarters of the picture agree at least so well.

    Args:
        first: grey levels 0 to 255, shape (128, 128).
        second: the other image, alike.
        pose: how the first lies over the second.

    Returns:
        A value in [-1, 1]; 0 where fewer than 12 blocks overlap and show anything.
    """
    transfer = _gaussian(SIDE, 1.0) - _gaussian(SIDE, 4.0)
    laid, inside = warp(_filter(first[None].astype(np.float32), transfer)[0], pose)
    whole = _cut(inside, MARGIN).all(axis=(2, 3))
    blocks = _cut(_filter(second[None].astype(np.float32), transfer)[0], 0)[whole].reshape(-1, BLOCK**2)
    displaced = np.lib.stride_tricks.sliding_window_view(_cut(laid, MARGIN), (BLOCK, BLOCK), axis=(2, 3))[whole]
    displaced = displaced.reshape(len(blocks), PLAY, BLOCK**2)  # (B, 49, 256)
    mean, mean_displaced = blocks.mean(axis=1)[:, None], displaced.mean(axis=2)
    products = (displaced @ blocks[:, :, None])[:, :, 0] / BLOCK**2 - mean * mean_displaced
    spread = blocks.std(axis=1)
    squares = np.einsum("bsp,bsp->bs", displaced, displaced) / BLOCK**2
    spread_displaced = np.sqrt(np.maximum(squares - mean_displaced**2, 0))
    agreement = (products / ((spread[:, None] + NOISE) * (spread_displaced + NOISE))).max(axis=1, initial=-1)
    shown = (spread > FLAT) | (spread_displaced[:, PLAY // 2] > FLAT)
    return float(np.quantile(agreement[shown], QUANTILE)) if shown.sum() >= MIN_BLOCKS else 0.0


def _cut(image: np.ndarray, margin: int) -> np.ndarray:
    """The 7x7 blocks of an image, each with a margin: shape (7, 7, 16 + 2 margin, 16 + 2 margin)."""
    size = BLOCK + 2 * margin
    start = BLOCK // 2 - margin
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))
    return windows[start::BLOCK, start::BLOCK][:7, :7]


def _gaussian(side: int, sigma: float) -> np.ndarray:
    """Transfer function of a Gaussian blur of `sigma` pixels, shape (side, side / 2 + 1)."""
    squared = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.rfftfreq(side)[None] ** 2
    return np.asarray(np.exp(-2 * (np.pi * sigma) ** 2 * squared), dtype=np.float32)


def _filter(images: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    filtered = np.fft.irfft2(np.fft.rfft2(images) * transfer, s=images.shape[-2:])
    return np.asarray(filtered, dtype=np.float32)
