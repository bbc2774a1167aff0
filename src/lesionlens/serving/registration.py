"""Two photographs of one lesion laid over each other: rotation, zoom and shift; or a reason why they cannot be.

Every rotation and zoom of a grid is tried with every shift at once, by the masked normalised cross-correlation of
Padfield (2012, IEEE Trans. Image Process. 21:2706, equations 20 to 22). The best few are refined by Gauss-Newton steps on
the zero-mean normalised difference (the criterion of Evangelidis & Psarakis 2008), and the one in which the fine detail
agrees best is taken. Dark spots on skin all resemble each other, so only detail, which is finer than the outline of a
lesion, decides whether two photographs show the same one. Mirrored pictures are not tried: no camera makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

SIDE, SEARCH_SIDE = 192, 48  # longest sides, pixels, of the pictures that are refined and searched
PADDED_SIDE = 128
ROTATIONS = np.deg2rad(np.arange(0, 360, 12))
ZOOMS = 2.0 ** np.arange(-1, 1.01, 0.25)
CANDIDATES, DISTINCT_RAD, DISTINCT_ZOOM = 6, np.deg2rad(20), 1.3
REFINEMENTS = 25
SMALLEST_STEP = 1e-4
COARSE_SIGMA, DETAIL_SIGMA, NOISE_SIGMA = 24.0, 6.0, 1.0  # pixels of the larger picture
LEAST_OVERLAP = 0.3  # of the smaller picture
LEAST_DETAIL = 0.25  # correlation of the detail
LEAST_CONTRAST = 0.004  # standard deviation of the detail, of 1


class Similarity(NamedTuple):
    """Rotation, zoom and shift: (x, y) goes to (a x - b y + dx, b x + a y + dy), in pixels from the pictures' centres."""

    a: float
    b: float
    dx: float
    dy: float

    @property
    def zoom(self) -> float:
        """Factor of lengths."""
        return float(np.hypot(self.a, self.b))

    @property
    def rotation_rad(self) -> float:
        """Angle, radians, in [-pi, pi]."""
        return float(np.arctan2(self.b, self.a))

    def after(self, first: Similarity) -> Similarity:
        """This one, applied to the result of `first`."""
        a, b = self.a * first.a - self.b * first.b, self.a * first.b + self.b * first.a
        dx = self.a * first.dx - self.b * first.dy + self.dx
        return Similarity(a, b, dx, self.b * first.dx + self.a * first.dy + self.dy)

    def inverse(self) -> Similarity:
        """What undoes it."""
        square = self.a**2 + self.b**2
        a, b = self.a / square, -self.b / square
        return Similarity(a, b, -(a * self.dx - b * self.dy), -(b * self.dx + a * self.dy))


@dataclass(frozen=True)
class Registration:
    """How the second picture lies over the first.

    Attributes:
        matrix: (2, 3), takes places of the second picture to places of the first, both as shares of width and height from
            the top left; None if it was declined.
        zoom: how much larger a length appears in the second picture than in the first, both with the longest side 1.
        rotation_deg: by which the second picture is turned against the first, counter-clockwise negative.
        agreement: correlation of the detail, in [-1, 1].
        overlap: share of the smaller picture that both show.
        reason: why it was declined; empty if it was not.
    """

    matrix: np.ndarray | None
    zoom: float
    rotation_deg: float
    agreement: float
    overlap: float
    reason: str = ""


def register(first: Image.Image, second: Image.Image) -> Registration:
    """Lay the second photograph over the first.

    Args:
        first: RGB, any size.
        second: likewise.

    Returns:
        A registration with the reason where it is not sure: too little detail or overlap, or detail that does not agree,
        as with two different lesions.
    """
    pictures = [_Picture.of(image) for image in (first, second)]
    flat = [name for name, picture in zip(("first", "second"), pictures, strict=True) if picture.contrast < LEAST_CONTRAST]
    if flat:
        return Registration(None, 1.0, 0.0, 0.0, 0.0, f"the {flat[0]} picture has too little detail")
    tried = [_refined(pictures, start) for start in _candidates(pictures)]
    agreement, overlap, best = max((*_agreement(pictures, each), each) for each in tried)
    result = Registration(
        _in_shares(best.inverse(), second, first), best.zoom, float(np.rad2deg(best.rotation_rad)), agreement, overlap
    )
    return _checked(result)


def _checked(result: Registration) -> Registration:
    reason = ""
    if result.overlap < LEAST_OVERLAP:
        reason = (
            f"the pictures share only {100 * result.overlap:.0f} % of their area; at least {100 * LEAST_OVERLAP:.0f} % is needed"
        )
    elif result.agreement < LEAST_DETAIL:
        reason = (
            f"their detail does not agree (correlation {result.agreement:.2f}; at least {LEAST_DETAIL} is needed): "
            "they may show different lesions, or be too blurred or too different in light"
        )
    if not reason:
        return result
    return Registration(None, result.zoom, result.rotation_deg, result.agreement, result.overlap, reason)


@dataclass(frozen=True, eq=False)
class _Picture:
    """A photograph as it is compared.

    Attributes:
        smooth: without slow changes of light, float32 (H, W).
        detail: without the outline of the lesion, float32 (H, W).
        contrast: standard deviation of the detail.
    """

    smooth: np.ndarray
    detail: np.ndarray
    contrast: float

    @classmethod
    def of(cls, image: Image.Image) -> _Picture:
        share = SIDE / max(image.size)
        size = (max(8, round(image.width * share)), max(8, round(image.height * share)))
        grey = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR), np.float32)[..., 1] / 255  # haemoglobin
        fine = blurred(grey, NOISE_SIGMA)
        detail = fine - blurred(grey, DETAIL_SIGMA)
        return cls(fine - blurred(grey, COARSE_SIGMA), detail, float(detail.std()))


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    """A picture, float32 (H, W), after Pillow's Gaussian blur of `sigma` pixels, which approximates it by box filters."""
    scaled = Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    if sigma < 2:  # eight bits would cost the detail
        return _convolved(picture, sigma)
    small = np.asarray(scaled.filter(ImageFilter.GaussianBlur(sigma)), np.float32) / 255
    return small


def _convolved(picture: np.ndarray, sigma: float) -> np.ndarray:
    radius = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(picture, [(radius, radius) if each == axis else (0, 0) for each in (0, 1)], mode="edge")
        picture = sum(
            weight * np.take(padded, np.arange(at, at + picture.shape[axis]), axis) for at, weight in enumerate(weights)
        )
    return picture


def _candidates(pictures: list[_Picture]) -> list[Similarity]:
    """The best places of the search, which differ in rotation or zoom, best first; in pixels of the larger pictures."""
    share = SEARCH_SIDE / SIDE
    first, second = (_resized(picture.smooth, share) for picture in pictures)
    shape = (PADDED_SIDE, PADDED_SIDE)
    ones = np.ones_like(first)
    fixed = [np.fft.rfft2(each, shape) for each in (first, first**2, ones)]
    found: list[tuple[float, Similarity]] = []
    for zoom in ZOOMS:
        for rotation in ROTATIONS:
            turn = Similarity(zoom * np.cos(rotation), zoom * np.sin(rotation), 0.0, 0.0)
            score, dx, dy = _best_shift(fixed, first.shape, second, turn, shape)
            shift = Similarity(1.0, 0.0, dx, dy)
            found.append((score, turn.after(shift)))
    found.sort(key=lambda each: -each[0])
    kept: list[Similarity] = []
    for _, each in found:
        if len(kept) < CANDIDATES and all(_differ(each, other) for other in kept):
            kept.append(each)
    return [Similarity(each.a, each.b, each.dx / share, each.dy / share) for each in kept]


def _differ(one: Similarity, other: Similarity) -> bool:
    angle = abs((one.rotation_rad - other.rotation_rad + np.pi) % (2 * np.pi) - np.pi)
    return bool(angle > DISTINCT_RAD or abs(np.log(one.zoom / other.zoom)) > np.log(DISTINCT_ZOOM))


def _best_shift(
    fixed: list[np.ndarray], size: tuple[int, ...], second: np.ndarray, turn: Similarity, shape: tuple[int, ...]
) -> tuple[float, float, float]:
    """Highest masked correlation over all shifts of the first picture before `turn`, and that shift, pixels."""
    side = PADDED_SIDE - SEARCH_SIDE  # so that no shift wraps around
    picture, inside = _warped(second, turn, (side, side))
    inside = (inside > 0.99).astype(np.float32)
    moving = [np.conj(np.fft.rfft2(each, shape)) for each in (picture * inside, picture**2 * inside, inside)]
    a, aa, m = fixed
    b, bb, n = moving
    count, sum_a, sum_b, sum_aa, sum_bb, sum_ab = np.fft.irfft2(np.stack([m * n, a * n, m * b, aa * n, m * bb, a * b]), shape)
    count = np.maximum(np.rint(count), 1)
    covariance = sum_ab - sum_a * sum_b / count
    variances = np.maximum(sum_aa - sum_a**2 / count, 1e-6) * np.maximum(sum_bb - sum_b**2 / count, 1e-6)
    least = LEAST_OVERLAP * min(inside.sum(), size[0] * size[1])
    score = np.where(count >= max(least, 32), covariance / np.sqrt(variances), -1.0)
    row, column = np.unravel_index(int(score.argmax()), shape)
    down, across = (at - length if at > length // 2 else at for at, length in zip((row, column), shape, strict=True))
    dx, dy = ((length - side) / 2 - at for length, at in ((size[1], across), (size[0], down)))
    return float(score[row, column]), dx, dy


def _refined(pictures: list[_Picture], start: Similarity) -> Similarity:
    """Gauss-Newton steps from a place of the search."""
    first, second = (picture.smooth for picture in pictures)
    height, width = first.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    current = start
    for _ in range(REFINEMENTS):
        picture, inside = _warped(second, current, first.shape)
        mask = inside > 0.5
        if mask.sum() < LEAST_OVERLAP * mask.size / 4:
            return start
        down, across = np.gradient(picture)
        spread = float(picture[mask].std()) + 1e-6
        residual = _normalised(first, mask) - _normalised(picture, mask)
        columns = (across * x + down * y, down * x - across * y, across, down)
        jacobian = np.stack([column[mask] for column in columns], 1) / spread
        jacobian -= jacobian.mean(0)
        step = np.linalg.lstsq(jacobian.T @ jacobian, jacobian.T @ residual[mask], rcond=None)[0]
        current = current.after(Similarity(1 + float(step[0]), float(step[1]), float(step[2]), float(step[3])))
        if not 0.4 < current.zoom < 2.5:
            return start
        if np.abs(step * (width, width, 1, 1)).max() < SMALLEST_STEP * width:
            break
    return current


def _agreement(pictures: list[_Picture], place: Similarity) -> tuple[float, float]:
    """Correlation of the detail where both pictures are, and the share of the smaller picture that this is."""
    first, second = (picture.detail for picture in pictures)
    picture, inside = _warped(second, place, first.shape)
    mask = inside > 0.99
    overlap = float(mask.sum() / min(first.size, second.size / place.zoom**2))
    if mask.sum() < 100:
        return -1.0, min(overlap, 1.0)
    one, other = (_normalised(each, mask)[mask] for each in (first, picture))
    return float((one * other).mean()), min(overlap, 1.0)


def _normalised(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    values = picture[mask]
    return np.asarray((picture - values.mean()) / (values.std() + 1e-6))


def _resized(picture: np.ndarray, share: float) -> np.ndarray:
    height, width = picture.shape
    size = (max(4, round(width * share)), max(4, round(height * share)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def _warped(picture: np.ndarray, place: Similarity, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A picture as it lies on another of this shape, and where it has pixels, both float32 (H, W)."""
    height, width = shape[:2]
    centre_x, centre_y = (width - 1) / 2 + 0.5, (height - 1) / 2 + 0.5  # Pillow counts from the pixels' corners
    own_x, own_y = picture.shape[1] / 2, picture.shape[0] / 2
    data = (
        *(place.a, -place.b, own_x + place.dx - place.a * centre_x + place.b * centre_y),
        *(place.b, place.a, own_y + place.dy - place.b * centre_x - place.a * centre_y),
    )

    def moved(layer: np.ndarray) -> np.ndarray:
        image = Image.fromarray(layer.astype(np.float32))
        return np.asarray(image.transform((width, height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR))

    return moved(picture), moved(np.ones(picture.shape))


def _in_shares(place: Similarity, source: Image.Image, target: Image.Image) -> np.ndarray:
    """The matrix, (2, 3), from places of `source` to places of `target` as shares, of a similarity in pixels of `SIDE`."""
    (w, h), (u, v) = ((SIDE * length / max(image.size) for length in image.size) for image in (source, target))
    linear = np.array([[place.a * w / u, -place.b * h / u], [place.b * w / v, place.a * h / v]])
    shift = np.array([place.dx / u, place.dy / v]) + 0.5 - linear @ np.array([0.5, 0.5])
    return np.column_stack([linear, shift])
