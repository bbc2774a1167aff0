"""Images: from a file to the pixels, by one implementation for training, evaluation, bundle and service."""

from __future__ import annotations

import importlib
import importlib.util
import io
import math
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from lesionlens.core.artifact import hash_value
from lesionlens.core.errors import ArtifactError, DataError, ImageError, ImageTooLargeError, RecipeError
from lesionlens.data.colour import to_srgb, untagged_notes
from lesionlens.data.decoded_image import DecodedImage
from lesionlens.data.decoding_rules import DECODE_ERRORS, MAX_PIXELS, check_scans, check_size
from lesionlens.data.dicom.reader import decode_dicom
from lesionlens.data.formats import DICOM, HEAD_BYTES, HEIC, JPEG_2000, KNOWN_FORMATS, check_decodable, format_of
from lesionlens.data.window import seen_box

if TYPE_CHECKING:
    from lesionlens.core.recipe import InputRecipe  # a bundle runs without recipes: its start stays fast

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000", "AVIF")
JPEG_2000_START = b"\xff\x4f\xff\x51"
DECODERS = ("pydicom.filereader", "pydicom.encaps", "pydicom.pixels.processing", "openjpeg.utils", "pi_heif", "PIL.ImageCms")
FILTER = "pillow-bilinear-antialiased"
RESIZE_RULES = ("squash", "short_side", "window")
ORIENTATION = 0x0112
NORMALISATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class InputSpec:
    """How pixels are prepared for one network; every file of a model carries its hash.

    Attributes:
        size: side of the square that the network sees, pixels.
        frame: side of the frame, pixels, at least `size`.
        resize: `squash` the whole image into the frame; `short_side`: scale the short side to the frame and cut its centre;
            or `window`: scale the short side to the frame, and cut a window of `size` out of the whole image.
        mean: per channel (red, green, blue), of values in [0, 1].
        std: per channel, of values in [0, 1], above 0.

    Raises:
        DataError: if a value is out of its range.
    """

    size: int
    frame: int
    resize: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not 0 < self.size <= self.frame:
            raise DataError(f"input size {self.size} and frame {self.frame}; it must be 0 < size <= frame")
        if self.resize not in RESIZE_RULES:
            raise DataError(f"input resize {self.resize!r}; it must be one of {', '.join(RESIZE_RULES)}")
        if len(self.mean) != 3 or not all(0 <= value <= 1 for value in self.mean):
            raise DataError(f"input mean {self.mean}; it must be three numbers from 0 to 1")
        if len(self.std) != 3 or not all(0 < value <= 1 for value in self.std):
            raise DataError(f"input std {self.std}; it must be three numbers above 0 and at most 1 (are all images one colour?)")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form that `from_json` reads back."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std), "filter": FILTER}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> InputSpec:
        """Read what `to_json` wrote.

        Raises:
            ArtifactError: if a field is missing, or made for another resampling filter.
        """
        try:
            if value["filter"] != FILTER:
                raise ArtifactError(f"input filter {value['filter']!r}; this version prepares images with {FILTER} only")
            mean, std = (tuple(float(number) for number in value[name]) for name in ("mean", "std"))
            return cls(int(value["size"]), int(value["frame"]), value["resize"], mean, std)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"input spec is not readable ({error!r}); it needs size, frame, resize, mean, std, filter"
            ) from error

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that decides the network's input."""
        return hash_value(self.to_json())

    @cached_property
    def frame_hash(self) -> str:
        """SHA-256 of what decides the pixels of `prepare`: all that a store depends on."""
        window = {"size": self.size} if self.resize == "window" else {}
        return hash_value({"frame": self.frame, "resize": self.resize, "filter": FILTER, **window})

    @property
    def prepared(self) -> int:
        """Side of the square that `prepare` makes and a store keeps, pixels: the window if there is one, else the frame."""
        return self.size if self.resize == "window" else self.frame


def input_spec(
    recipe: InputRecipe, mean: tuple[float, float, float] | None = None, std: tuple[float, float, float] | None = None
) -> InputSpec:
    """The InputSpec of a recipe.

    Args:
        recipe: section `input` of a recipe.
        mean: of the training split, per channel in [0, 1]; needed if `normalise` is `training`.
        std: like `mean`.

    Raises:
        RecipeError: if `normalise` is `training` and no statistics are given.
        DataError: if a statistic is out of its range.
    """
    if recipe.normalise != "training":
        mean, std = NORMALISATIONS[recipe.normalise]
    if mean is None or std is None:
        raise RecipeError('input.normalise = "training" needs mean and std of the training split; measure them first')
    return InputSpec(recipe.size, recipe.frame or recipe.size, recipe.resize, mean, std)


def frame_spec(recipe: InputRecipe) -> InputSpec:
    """The InputSpec to pack with, before any statistics are known: its `frame_hash` is the final one."""
    return input_spec(recipe, *NORMALISATIONS["half"])


def open_image(source: Path | bytes, name: str = "", max_pixels: int = MAX_PIXELS, frame: int = 0) -> Image.Image:
    """The pixels alone of what `decode_image` gives, upright 8-bit RGB."""
    return decode_image(source, name, max_pixels, frame).image


def decode_image(source: Path | bytes, name: str = "", max_pixels: int = MAX_PIXELS, frame: int = 0) -> DecodedImage:
    """Decode one photograph to upright 8-bit RGB. The file is opened once.

    The content tells the format, not the name. CMYK, palette, grey and 16-bit images are converted
    (16 bits keep their high byte); embedded colour profiles are converted to sRGB; what is
    transparent is laid on white; an EXIF rotation is carried out. Animated and many-page files are
    refused, because it is unknown which of the pictures is meant; of a camera's multi-picture JPEG or
    HEIC the primary picture is the photograph. Of a DICOM file one frame is read; see `dicom.reader`.
    HEIC needs the extra `heif`, DICOM the extra `dicom`.

    Args:
        source: a file, or its bytes.
        name: what to call it in errors; the path if empty.
        max_pixels: largest width x height, checked in the header before anything is decoded.
        frame: which picture of a DICOM file, from 0; other files have only one.

    Raises:
        ImageError: if it is missing, empty, damaged, cut short, of an unknown format, animated,
            too small or too large, or has no such frame.
    """
    name = name or (str(source) if isinstance(source, Path) else "image")
    try:
        with _opened(source, name) as stream:
            kind = format_of(stream.read(HEAD_BYTES))
            stream.seek(0)
            check_decodable(kind, name)
            if kind == DICOM:
                return decode_dicom(stream, name, max_pixels, frame)
            if frame:
                raise ImageError(f"{name} has no frame {frame}; only DICOM files have several")
            return _decode_photograph(stream, kind, name, max_pixels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.search(r"\d+", str(error))  # Pillow names the size in its message only
        count = f"{int(pixels[0]):,}" if pixels else "too many"
        raise ImageTooLargeError(f"{name} has {count} pixels; the most is {max_pixels:,}. Scale the image down first") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image in a known format ({KNOWN_FORMATS}); save it as JPEG or PNG") from error
    except DECODE_ERRORS as error:
        problem = " ".join(str(error).split())
        raise ImageError(f"{name} is damaged or cut short ({problem}); copy or download it again") from error


def _decode_photograph(stream: BinaryIO, kind: str, name: str, max_pixels: int) -> DecodedImage:
    with _open_heic(stream) if kind == HEIC else Image.open(stream, formats=FORMATS) as image:
        _check_header(image, name, max_pixels)
        profile = image.info.get("icc_profile", b"")
        if kind in ("JPEG", JPEG_2000):
            content = _whole(stream)
            if kind == "JPEG":
                check_scans(content, *image.size, name)
            else:
                profile = _jpeg_2000_profile(content, image, name)
        notes = _primary_note(image) if kind == HEIC else ()
        image.load()  # before reading EXIF, which would load the pixels too and hide errors
        orientation = _orientation(image)
        tags = () if profile else untagged_notes(image)
        colours = to_srgb(image, name, profile)
        return DecodedImage(_upright(colours.image, orientation), notes=(*notes, *tags, *colours.notes))


def _open_heic(stream: BinaryIO) -> Image.Image:
    from pi_heif import HeifImageFile

    image: Image.Image = HeifImageFile(stream)
    return image


def _primary_note(image: Image.Image) -> tuple[str, ...]:
    count = getattr(image, "n_frames", 1)
    return (f"the primary of {count} pictures was used",) if count > 1 else ()


def _whole(stream: BinaryIO) -> bytes:
    at = stream.tell()
    stream.seek(0)
    content = stream.read()
    stream.seek(at)
    return content


def _jpeg_2000_profile(content: bytes, image: Image.Image, name: str) -> bytes:
    """The ICC profile in the boxes of a .jp2 file, which Pillow passes over; empty if there is none.

    Raises:
        ImageError: if it holds colour with more than 8 bits, which Pillow 13 wraps around.
    """
    start = content.find(JPEG_2000_START)
    n_components = int.from_bytes(content[start + 40 : start + 42], "big")
    depths = content[start + 42 :][: 3 * n_components : 3]
    if start < 0 or not depths:
        raise ImageError(f"{name} is a JPEG 2000 image that is damaged or cut short; copy or download it again")
    if len(image.getbands()) > 1 and max(depths) & 0x7F > 7:
        raise ImageError(f"{name} holds colour with more than 8 bits as JPEG 2000; save it as PNG or TIFF")
    box = content.find(b"colr\2", 0, start)
    return content[box + 7 :][: int.from_bytes(content[box - 4 : box], "big") - 11] if box >= 4 else b""


def load_decoders() -> None:
    """Import every installed decoder now rather than with the first image of its format."""
    Image.init()
    for module in DECODERS:
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            importlib.import_module(module)


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[BinaryIO]:
    with io.BytesIO(source) if isinstance(source, bytes) else _open_file(source, name) as stream:
        if not stream.read(1):
            raise ImageError(f"{name} is empty (0 bytes); copy or download it again")
        stream.seek(0)
        yield stream


def _open_file(path: Path, name: str) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{name} is a folder, not an image; give the images in it, and check that it can be read")
        if not stat.S_ISREG(mode):
            raise ImageError(f"{name} is not a file; give the path of an image")
        return path.open("rb")
    except OSError as error:
        raise ImageError(f"{name} cannot be read ({error.strerror}); check the path and its permissions") from error


def _check_header(image: Image.Image, name: str, max_pixels: int) -> None:
    check_size(*image.size, name, max_pixels)
    if getattr(image, "is_animated", False) and image.format not in ("MPO", "HEIF"):
        raise ImageError(
            f"{name} holds several pictures (animated or many pages); save the one to predict as an image of its own"
        )


def _orientation(image: Image.Image) -> int:
    # A broken EXIF block does not make the pixels unusable; such an image counts as upright.
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except DECODE_ERRORS:
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation)
    return image if method is None else image.transpose(method)


def prepare(image: Image.Image, spec: InputSpec, image_id: str = "") -> np.ndarray:
    """Scale and cut an RGB image, with Pillow's antialiased bilinear filter.

    Args:
        image: RGB, as `open_image` gives it.
        spec: frame, size and resize rule.
        image_id: places the window of the rule `window`, once and for all; the centre if empty.

    Returns:
        uint8 pixels, shape (`spec.prepared`, `spec.prepared`, 3), contiguous.
    """
    side = (spec.prepared, spec.prepared)
    box = None if spec.resize == "squash" else seen_box(image.size, spec, image_id)
    if box is not None or image.size != side:
        image = image.resize(side, Image.Resampling.BILINEAR, box=box)
    return np.array(image, dtype=np.uint8)


def centre_crop(images: np.ndarray, size: int) -> np.ndarray:
    """Cut the centre out of square images.

    Args:
        images: shape (..., F, F, 3).
        size: side of the centre, at most F.

    Returns:
        A view of shape (..., size, size, 3).

    Raises:
        DataError: if the images are smaller than `size`.
    """
    height, width = images.shape[-3:-1]
    if min(height, width) < size:
        raise DataError(f"images of {width}x{height} pixels cannot be cropped to {size}; the frame must be at least the size")
    top, left = math.floor((height - size) / 2), math.floor((width - size) / 2)
    return images[..., top : top + size, left : left + size, :]
