"""What the audit remembers of every image: hashes, keypoints, and a small grey and a tiny colour copy."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from PIL import Image, ImageOps

from lesionlens.core.errors import ImageError
from lesionlens.data.audit.keypoints import HEIGHT, NO_KEYPOINTS, WIDTH, Keypoints, find_keypoints, require_opencv
from lesionlens.data.image import open_image
from lesionlens.data.index import Index
from lesionlens.data.parallel import Progress, in_threads

COLOUR_SIDE = 8


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of N images, in the order of the index; about 40 kB each.

    Attributes:
        bytes_hashes: hash of each file; empty if it cannot be read.
        pixel_hashes: hash of each image's upright RGB pixels; empty if it cannot be decoded.
        grey: uint8, shape (N, HEIGHT, WIDTH); 0 if it cannot be decoded. See `small_copy`.
        colour: the same, uint8, shape (N, 8, 8, 3).
        keypoints: those of each image; none if it cannot be decoded.
        unreadable: what is wrong with an image, by its number.
    """

    bytes_hashes: list[str]
    pixel_hashes: list[str]
    grey: np.ndarray
    colour: np.ndarray
    keypoints: list[Keypoints]
    unreadable: dict[int, str]


def fingerprints(index: Index, workers: int = 0, progress: Progress | None = None) -> Fingerprints:
    """Decode every image once and keep its fingerprint; an unusable image is noted, not raised.

    Args:
        index: the images.
        workers: threads; 0 means one for each core.
        progress: called with the number of images done since the last call.

    Raises:
        DataError: if OpenCV is not installed.
    """
    require_opencv()
    count = len(index)
    made = Fingerprints(
        [""] * count,
        [""] * count,
        np.zeros((count, HEIGHT, WIDTH), np.uint8),
        np.zeros((count, COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8),
        [NO_KEYPOINTS] * count,
        {},
    )

    def describe(number: int) -> None:
        path = index.image_path(index.records[number])
        try:
            content = path.read_bytes() if path.is_file() else None
            if content:
                made.bytes_hashes[number] = blake2b(content, digest_size=16).hexdigest()
            _keep(made, number, open_image(content or path, str(path)))
        except ImageError as error:
            made.unreadable[number] = str(error)
        except OSError as error:
            made.unreadable[number] = f"{path} cannot be read ({error.strerror}); check its permissions and the disk"

    in_threads(describe, count, workers, progress)
    return made


def small_copy(image: Image.Image) -> Image.Image:
    """The scene in one size and shape, so that images of any format can be compared.

    A portrait is turned by 90 degrees, and the centre is cut out without distortion. A square file may be a square
    photograph or a frame of 4:3 squashed; the copy is stretched by half as much, which keypoints bear in either case.

    Returns:
        RGB, WIDTH x HEIGHT.
    """
    if image.width == image.height:
        return image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    if image.width < image.height:
        image = image.transpose(Image.Transpose.ROTATE_90)
    return ImageOps.fit(image, (WIDTH, HEIGHT), Image.Resampling.BILINEAR)


def _keep(made: Fingerprints, number: int, image: Image.Image) -> None:
    digest = blake2b(repr(image.size).encode(), digest_size=16)
    digest.update(image.tobytes())
    made.pixel_hashes[number] = digest.hexdigest()
    copy = small_copy(image)
    made.grey[number] = np.asarray(copy.convert("L"))
    made.colour[number] = np.asarray(copy.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX))
    made.keypoints[number] = find_keypoints(made.grey[number])
