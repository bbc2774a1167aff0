"""Colour profiles made by hand, and pictures encoded for them without any colour management library."""

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

D50 = (0.9642, 1.0, 0.8249)
D65 = (0.3127, 0.3290)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
INK_EXPONENT = 1.5  # of the CMYK profile: far from the simple formula
CMYK_GRID = 17


def photograph(height: int = 96, width: int = 128) -> np.ndarray:
    """Saturated and pale, dark and light colours, smooth and without symmetry; uint8 (height, width, 3)."""
    across = np.linspace(0, 1, width)[None, :, None]
    down = np.linspace(0, 1, height)[:, None, None]
    colours = across * [0.95, 0.25, 0.35] + down * [-0.1, 0.6, 0.45] + 0.08 * np.sin(9 * across * down)
    return np.rint(255 * np.clip(colours + 0.05, 0, 1)).astype(np.uint8)


def srgb_decoded(values: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values, all in [0, 1] (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    """The inverse."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


@dataclass(frozen=True)
class Space:
    """A space of red, green and blue.

    Attributes:
        primaries: x and y of red, green and blue.
        white: x and y.
        gamma: of its curve; 0 means the curve of sRGB.
    """

    name: str
    primaries: tuple[tuple[float, float], ...]
    white: tuple[float, float]
    gamma: float = 0.0

    def matrix(self) -> np.ndarray:
        """From linear light to XYZ under D50, shape (3, 3)."""
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in self.primaries]).T
        white = np.array([self.white[0] / self.white[1], 1, (1 - sum(self.white)) / self.white[1]])
        unadapted = columns * np.linalg.solve(columns, white)
        gains = (BRADFORD @ D50) / (BRADFORD @ white)
        return np.linalg.inv(BRADFORD) @ np.diag(gains) @ BRADFORD @ unadapted

    def encoded(self, picture: np.ndarray, bits: int = 8) -> np.ndarray:
        """A picture, uint8 sRGB, in this space, with `bits` a sample."""
        light = srgb_decoded(picture / 255) @ SRGB.matrix().T @ np.linalg.inv(self.matrix()).T
        light = np.clip(light, 0, 1)
        values = light ** (1 / self.gamma) if self.gamma else srgb_encoded(light)
        return np.rint(values * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)

    def profile(self) -> bytes:
        """Its ICC profile, version 2."""
        if self.gamma:
            curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(self.gamma * 256)) + bytes(2)
        else:
            table = np.rint(65535 * srgb_decoded(np.linspace(0, 1, 1024))).astype(">u2").tobytes()
            curve = b"curv" + bytes(4) + struct.pack(">I", 1024) + table
        colourants = {f"{letter}XYZ".encode(): _xyz(column) for letter, column in zip("rgb", self.matrix().T, strict=True)}
        return icc(b"mntr", b"RGB ", b"XYZ ", self.name, {**colourants, **{b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}})


SRGB = Space("hand-made s-RGB", ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), D65)
DISPLAY_P3 = Space("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65)
ADOBE_RGB = Space("Adobe RGB (1998)", ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, 2.19921875)
PROPHOTO = Space("ProPhoto RGB", ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585), 1.8)
SPACES = (DISPLAY_P3, ADOBE_RGB, PROPHOTO)


def icc(kind: bytes, space: bytes, connection: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2.1, of these tags."""
    description = b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + b"\0" + bytes(78)
    tags = {b"desc": description, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(D50), **tags}
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"none", 0x02100000, kind, space, connection)
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + b"".join(_fixed(value) for value in D50)
    return head + bytes(128 - len(head)) + table + data


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    return icc(b"mntr", b"GRAY", b"XYZ ", f"Gray Gamma {gamma}", {b"kTRC": curve})


def cmyk_profile() -> bytes:
    """An ICC profile of four inks, each printing (1 - ink ** INK_EXPONENT) of the light of its primary."""
    grid = np.linspace(0, 1, CMYK_GRID)
    inks = np.stack(np.meshgrid(*[grid] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    rgb = np.rint(255 * (1 - inks[:, :3]) * (1 - inks[:, 3:])).astype(np.uint8)
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = np.asarray(ImageCms.applyTransform(Image.fromarray(rgb[None]), transform)).reshape(-1, 3)
    lab = lab ^ np.array([0, 128, 128], np.uint8)  # a and b are signed in Pillow, and offset by 128 in the profile
    curve = np.rint(255 * np.linspace(0, 1, 256) ** INK_EXPONENT).astype(np.uint8).tobytes()
    identity = bytes(range(256))
    matrix = b"".join(_fixed(value) for value in np.eye(3).ravel())
    lut = b"mft1" + bytes(4) + bytes([4, 3, CMYK_GRID, 0]) + matrix + curve * 4 + lab.tobytes() + identity * 3
    return icc(b"prtr", b"CMYK", b"Lab ", "Four inks", {b"A2B0": lut})


def cmyk_encoded(picture: np.ndarray) -> Image.Image:
    """A picture, uint8 sRGB, in the inks of `cmyk_profile`, without black."""
    inks = (1 - picture / 255) ** (1 / INK_EXPONENT)
    four = np.concatenate([inks, np.zeros_like(inks[:, :, :1])], axis=-1)
    return Image.fromarray(np.rint(255 * four).astype(np.uint8), "CMYK")


def saved(pixels: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    """A file of the format `kind`, by Pillow."""
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)
    return stream.getvalue()


def _xyz(values: object) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_fixed(float(value)) for value in values)  # type: ignore[attr-defined]


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
