"""Colours: one picture, whatever it was saved as, comes out the same; what changes or is assumed is said."""

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.data import dicom_files as make
from tests.data.colour_profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SPACES,
    SRGB,
    Space,
    cmyk_encoded,
    cmyk_profile,
    grey_profile,
    photograph,
    saved,
    srgb_decoded,
)
from tests.data.dicom_reading import codestream, lossless_files

from lesionlens.data import colour
from lesionlens.data.image import decode_image

PICTURE = photograph()
MEAN_LEVELS = 2  # of 255, the most that formats and profiles may cost one picture in the mean
HEIC = Path(__file__).with_name("heic")  # PICTURE by pillow-heif 1.8 (x265), quality 95, 4:4:4
LIBRARY_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def decoded(content: bytes | Path) -> tuple[np.ndarray, tuple[str, ...]]:
    image = decode_image(content)
    assert image.image.mode == "RGB"
    return np.asarray(image.image).astype(int), image.notes


def difference(content: bytes | Path) -> float:
    return float(np.abs(decoded(content)[0] - PICTURE).mean())


def converted_from(name: str) -> tuple[str]:
    return (f"colours were converted to sRGB from the embedded profile {name}",)


def png_16_bit(values: np.ndarray, profile: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    icc = chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile)) if profile else b""
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return head + icc + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jp2_with_profile(pixels: np.ndarray, profile: bytes) -> bytes:
    """A .jp2 file whose colour box holds an ICC profile (ISO 15444-1 I.5.3.3)."""
    content = saved(pixels, "JPEG2000")
    box, header = content.index(b"colr") - 4, content.index(b"jp2h") - 4
    length = int.from_bytes(content[box : box + 4], "big")
    new = struct.pack(">I4sBBB", 11 + len(profile), b"colr", 2, 0, 0) + profile
    size = int.from_bytes(content[header : header + 4], "big") - length + len(new)
    return content[:header] + struct.pack(">I", size) + content[header + 4 : box] + new + content[box + length :]


LITTLE_LOSS = {
    "PNG": {},
    "TIFF": {},
    "JPEG": {"quality": 97, "subsampling": 0},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 97, "subsampling": "4:4:4"},
}


def files() -> Iterator[tuple[str, Callable[[], bytes | Path]]]:
    for kind, options in LITTLE_LOSS.items():
        yield f"{kind}, sRGB", partial(saved, PICTURE, kind, **options)
        for space in SPACES:
            tagged = {"icc_profile": space.profile(), **options}
            yield f"{kind}, {space.name}", partial(saved, space.encoded(PICTURE), kind, **tagged)
    for space in SPACES:
        yield f"16 bit, {space.name}", partial(png_16_bit, space.encoded(PICTURE, 16), space.profile())
        yield f"JPEG 2000, {space.name}", partial(jp2_with_profile, space.encoded(PICTURE), space.profile())
    yield "16 bit, sRGB", partial(png_16_bit, PICTURE.astype(np.uint16) * 257)
    yield "JPEG 2000, sRGB", partial(saved, PICTURE, "JPEG2000")
    yield "CMYK TIFF with profile", partial(saved, cmyk_encoded(PICTURE), "TIFF", icc_profile=cmyk_profile())
    yield "CMYK JPEG with profile", partial(saved, cmyk_encoded(PICTURE), "JPEG", quality=97, icc_profile=cmyk_profile())
    yield "HEIC, sRGB", partial(Path, HEIC / "plain.heic")
    yield "HEIC, Display P3", partial(Path, HEIC / "display_p3.heic")
    for syntax, content in lossless_files(PICTURE, "RGB").items():
        yield f"DICOM {syntax}, sRGB", partial(bytes, content)
        yield f"DICOM {syntax}, Display P3", partial(dicom_in_p3, syntax)
    jpeg = make.jpeg_bytes(PICTURE, quality=97)
    for syntax in (make.BASELINE, make.EXTENDED):
        yield f"DICOM {syntax}, sRGB", partial(make.compressed, [jpeg], PICTURE, syntax, "YBR_FULL_422")
    yield "DICOM near-lossless JPEG-LS, sRGB", near_lossless
    yield "DICOM lossy JPEG 2000, sRGB", lossy_jpeg_2000


def dicom_in_p3(syntax: str) -> bytes:
    values = DISPLAY_P3.encoded(PICTURE)
    if syntax in (make.JPEG_LS, make.JPEG_2000):
        return make.compressed([codestream(syntax, values)], values, syntax, ICCProfile=DISPLAY_P3.profile())
    if syntax == make.RLE:
        segments = [b"".join(b"\x7f" + run.ljust(128, b"\0") for run in _runs(values[:, :, plane])) for plane in range(3)]
        starts = np.cumsum([64, *map(len, segments)])[:3]
        head = np.array([3, *starts, *[0] * 12], "<u4").tobytes()
        return make.compressed([head + b"".join(segments)], values, syntax, ICCProfile=DISPLAY_P3.profile())
    return make.plain(values, syntax, ICCProfile=DISPLAY_P3.profile())


def _runs(plane: np.ndarray) -> list[bytes]:
    raw = plane.tobytes()
    return [raw[at : at + 128] for at in range(0, len(raw), 128)]


def near_lossless() -> bytes:
    import jpeg_ls

    stream = bytes(jpeg_ls.encode_array(PICTURE, lossy_error=2, interleave_mode=2))
    return make.compressed([stream], PICTURE, make.JPEG_LS_NEAR)


def lossy_jpeg_2000() -> bytes:
    import openjpeg.utils

    stream = openjpeg.utils.encode_array(PICTURE, photometric_interpretation=1, compression_ratios=[6])
    return make.compressed([stream], PICTURE, make.JPEG_2000_LOSSY, "YBR_ICT")


ALL_FILES = dict(files())


class TestOnePicture:
    @pytest.mark.parametrize("name", ALL_FILES)
    def test_is_the_same_in_every_format_and_colour_space(self, name: str) -> None:
        assert difference(ALL_FILES[name]()) <= MEAN_LEVELS

    @pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
    def test_the_profile_matters(self, space: Space) -> None:
        assert difference(saved(space.encoded(PICTURE), "PNG")) > 2 * MEAN_LEVELS  # without it
        assert decoded(saved(space.encoded(PICTURE), "PNG", icc_profile=space.profile()))[1] == converted_from(space.name)

    def test_the_cmyk_profile_matters(self) -> None:
        assert difference(saved(cmyk_encoded(PICTURE), "TIFF")) > 2 * MEAN_LEVELS
        assert decoded(saved(cmyk_encoded(PICTURE), "TIFF"))[1] == (colour.CMYK_BY_FORMULA,)


class TestSrgb:
    @pytest.mark.parametrize("profile", [LIBRARY_SRGB, SRGB.profile()], ids=["of littleCMS", "by hand"])
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
    def test_an_image_tagged_srgb_keeps_every_byte(self, kind: str, profile: bytes) -> None:
        plain, tagged = saved(PICTURE, kind), saved(PICTURE, kind, icc_profile=profile)
        assert decoded(tagged)[1] == ()
        assert np.array_equal(decoded(tagged)[0], decoded(plain)[0])

    def test_a_grey_image_tagged_srgb_keeps_every_byte(self) -> None:
        grey = np.asarray(Image.fromarray(PICTURE).convert("L"))
        image, notes = decoded(saved(grey, "PNG", icc_profile=LIBRARY_SRGB))
        assert np.array_equal(image, np.repeat(grey[:, :, None], 3, axis=2))
        assert notes == ()


class TestGrey:
    def test_a_profile_of_grey_is_applied(self) -> None:
        grey = np.asarray(Image.fromarray(PICTURE).convert("L"))
        linear = np.rint(255 * srgb_decoded(grey / 255) ** (1 / 1.0)).astype(np.uint8)
        image, notes = decoded(saved(linear, "PNG", icc_profile=grey_profile(1.0)))
        bright = grey > 60  # darker ones share few linear values
        assert np.abs(image[:, :, 0] - grey)[bright].mean() <= MEAN_LEVELS
        assert notes == converted_from("Gray Gamma 1.0")

    def test_a_profile_of_colour_is_applied_to_grey(self) -> None:
        grey = np.repeat(np.asarray(Image.fromarray(PICTURE).convert("L"))[:, :, None], 3, axis=2)
        values = PROPHOTO.encoded(grey)
        image, notes = decoded(saved(values[:, :, 0], "PNG", icc_profile=PROPHOTO.profile()))
        assert np.abs(image - grey).mean() <= MEAN_LEVELS
        assert notes == converted_from("ProPhoto RGB")

    def test_16_bit_grey_whose_white_is_zero(self) -> None:
        deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
        content = saved(Image.fromarray(deep), "TIFF")
        at = content.index(struct.pack("<HHI", 262, 3, 1))
        white_is_zero = content[: at + 8] + b"\0" + content[at + 9 :]
        assert np.array_equal(decoded(white_is_zero)[0][:, :, 0], 255 - (deep >> 8))
        assert np.array_equal(decoded(content)[0][:, :, 0], deep >> 8)


class TestNamed:
    @pytest.mark.parametrize(
        "profile", [b"no profile", DISPLAY_P3.profile()[:200], b"\0" * 600], ids=["text", "cut short", "zeros"]
    )
    def test_a_damaged_profile(self, profile: bytes) -> None:
        image, notes = decoded(saved(PICTURE, "PNG", icc_profile=profile))
        assert np.array_equal(image, PICTURE)
        assert notes == (colour.PROFILE_DAMAGED,)

    def test_a_profile_for_other_pixels(self) -> None:
        image, notes = decoded(saved(PICTURE, "PNG", icc_profile=cmyk_profile()))
        assert np.array_equal(image, PICTURE)
        assert notes == (colour.PROFILE_UNFIT,)

    def test_a_name_that_is_no_plain_text(self) -> None:
        profile = DISPLAY_P3.profile().replace(b"Display P3", b"Dis\x1b[2J\n<P")
        assert decoded(saved(DISPLAY_P3.encoded(PICTURE), "PNG", icc_profile=profile))[1] == converted_from("Dis2JP")

    def test_adobe_rgb_by_exif_alone(self) -> None:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0xA005] = {1: "R03", 2: b"0100"}
        assert decoded(saved(ADOBE_RGB.encoded(PICTURE), "JPEG", exif=exif))[1] == (colour.NO_PROFILE,)

    def test_png_gamma_and_primaries(self) -> None:
        def tagged(chunk: bytes) -> bytes:
            content = saved(PICTURE, "PNG")
            return content[:33] + chunk + content[33:]

        def chunk(kind: bytes, *values: int) -> bytes:
            body = struct.pack(f">{len(values)}I", *values)
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        srgb = chunk(b"gAMA", 45455) + chunk(b"cHRM", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
        assert decoded(tagged(srgb))[1] == ()
        assert decoded(tagged(chunk(b"gAMA", 100_000)))[1] == (colour.NO_PROFILE,)
        adobe = chunk(b"cHRM", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
        assert decoded(tagged(adobe))[1] == (colour.NO_PROFILE,)

    def test_cielab(self) -> None:
        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        lab = ImageCms.applyTransform(Image.fromarray(PICTURE), transform)
        assert difference(saved(lab, "TIFF")) <= MEAN_LEVELS
        assert decoded(saved(lab, "TIFF"))[1] == (colour.LAB_CONVERTED,)


class TestTransparency:
    def translucent(self) -> Image.Image:
        image = Image.fromarray(DISPLAY_P3.encoded(PICTURE)).convert("RGBA")
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        return image

    def test_colours_are_converted_before_they_are_laid_on_white(self) -> None:
        image = self.translucent()
        share = np.asarray(image)[:, :, 3:] / 255
        expected = PICTURE * share + 255 * (1 - share)
        shown, notes = decoded(saved(image, "PNG", icc_profile=DISPLAY_P3.profile()))
        assert np.abs(shown - expected).mean() <= MEAN_LEVELS
        assert notes == (*converted_from("Display P3"), colour.ON_WHITE)

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
    def test_it_is_said(self, kind: str) -> None:
        assert decoded(saved(self.translucent(), kind))[1] == (colour.ON_WHITE,)

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_an_opaque_alpha_channel_is_nothing_to_say(self, mode: str) -> None:
        assert decoded(saved(Image.fromarray(PICTURE).convert(mode), "PNG"))[1] == ()


def test_a_large_profile_is_not_kept_in_memory() -> None:
    colour._cached_conversion.cache_clear()
    decoded(saved(cmyk_encoded(PICTURE), "TIFF", icc_profile=cmyk_profile()))
    assert colour._cached_conversion.cache_info().currsize == 0
    decoded(saved(DISPLAY_P3.encoded(PICTURE), "PNG", icc_profile=DISPLAY_P3.profile()))
    assert colour._cached_conversion.cache_info().currsize == 1


def test_dicom_profiles() -> None:
    assert decoded(make.plain(DISPLAY_P3.encoded(PICTURE), ICCProfile=DISPLAY_P3.profile()))[1] == converted_from("Display P3")
    assert decoded(make.plain(PICTURE, ICCProfile=LIBRARY_SRGB))[1] == ()
    assert decoded(make.plain(PICTURE, ICCProfile=b"damaged "))[1] == (colour.PROFILE_DAMAGED,)
