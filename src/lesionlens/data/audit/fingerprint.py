"""What the audit remembers of every image: hashes of its bytes and pixels, and a small grey and a tiny colour copy."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from PIL import Image, ImageOps

from lesionlens.core.errors import ImageError
from lesionlens.data.audit.registration import SIDE
from lesionlens.data.image import open_image
from lesionlens.data.index import Index
from lesionlens.data.parallel import Progress, in_threads

COLOUR_SIDE = 8


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of N images, in the order of the index; about 17 kB each.

    Attributes:
        bytes_hashes: hash of each file; empty if it cannot be read.
        pixel_hashes: hash of each image's upright RGB pixels; empty if it cannot be decoded.
        grey: the central square, uint8, shape (N, 128, 128); 0 if it cannot be decoded.
        colour: the same, uint8, shape (N, 8, 8, 3).
        sizes: width and height, pixels, shape (N, 2).
        unreadable: what is wrong with an image, by its number.
    """

    bytes_hashes: list[str]
    pixel_hashes: list[str]
    grey: np.ndarray
    colour: np.ndarray
    sizes: np.ndarray
    unreadable: dict[int, str]


def fingerprints(index: Index, workers: int = 0, progress: Progress | None = None) -> Fingerprints:
    """Decode every image once and keep its fingerprint; an unusable image is noted, not raised.

    Args:
        index: the images.
        workers: threads; 0 means one for each core.
        progress: called with the number of images done since the last call.
    """
    count = len(index)
    made = Fingerprints(
        [""] * count,
        [""] * count,
        np.zeros((count, SIDE, SIDE), np.uint8),
        np.zeros((count, COLOUR_SIDE, COLOUR_SIDE, 3), np.uint8),
        np.zeros((count, 2), np.int64),
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


def _keep(made: Fingerprints, number: int, image: Image.Image) -> None:
    digest = blake2b(repr(image.size).encode(), digest_size=16)
    digest.update(image.tobytes())
    made.pixel_hashes[number] = digest.hexdigest()
    made.sizes[number] = image.size
    square = ImageOps.fit(image, (SIDE, SIDE), Image.Resampling.BILINEAR)
    made.grey[number] = np.asarray(square.convert("L"))
    made.colour[number] = np.asarray(square.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX))
