"""Formats by content: what is recognised whatever its name, and with which words the rest is refused."""

import doctest
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from tests.data import dicom_files as make
from tests.data.colour_profiles import photograph, saved
from tests.serving.bad_images import good_images, other_types

from lesionlens.core.errors import ImageError
from lesionlens.data import formats
from lesionlens.data.formats import EXTENSIONS, HEAD_BYTES, format_of
from lesionlens.data.image import decode_image

PICTURE = photograph()
HEIC = Path(__file__).with_name("heic")


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(formats).failed == 0


def test_every_format_that_is_read_is_recognised() -> None:
    named = {kind: format_of(content[:HEAD_BYTES]) for kind, content in good_images().items()}
    expected = {"jpeg-2000": "JPEG 2000"}
    assert named == {kind: expected.get(kind, kind.partition("-")[0].upper()) for kind in named}
    assert format_of((HEIC / "plain.heic").read_bytes()[:HEAD_BYTES]) == "HEIC"
    for syntax in (make.EXPLICIT, make.IMPLICIT, make.BIG_ENDIAN, make.DEFLATED):
        assert format_of(make.plain(syntax=syntax)[:HEAD_BYTES]) == "DICOM"


def test_other_files_are_no_images() -> None:
    images = ("heic", "avif", "jpeg xl", "jpeg xl codestream", "base64 of a jpeg")
    found = {name: format_of(content[:HEAD_BYTES]) for name, content in other_types() if name not in images}
    assert {name: kind for name, kind in found.items() if kind} == {}
    assert format_of(b"BMW, a car maker in Munich") == ""


class TestHeic:
    def test_the_content_decides_and_not_the_name(self, tmp_path: Path) -> None:
        path = tmp_path / "IMG_0001.JPG"
        path.write_bytes((HEIC / "plain.heic").read_bytes())
        assert np.abs(np.asarray(decode_image(path).image).astype(int) - PICTURE).mean() <= 2

    def test_a_turn_is_carried_out_once(self) -> None:
        image = decode_image(HEIC / "turned.heic").image
        assert image.size == (128, 96)
        assert np.abs(np.asarray(image).astype(int) - PICTURE).mean() <= 2

    def test_the_primary_of_several_is_the_photograph(self) -> None:
        decoded = decode_image(HEIC / "second_is_primary.heic")
        assert np.abs(np.asarray(decoded.image).astype(int) - PICTURE).mean() <= 2
        assert decoded.notes == ("the primary of 2 pictures was used",)

    def test_cut_anywhere(self) -> None:
        content = (HEIC / "plain.heic").read_bytes()
        for length in range(16, len(content), len(content) // 40):
            with pytest.raises(ImageError, match="damaged or cut short") as caught:
                decode_image(content[:length])
            assert "\n" not in str(caught.value)

    def test_too_large(self) -> None:
        with pytest.raises(ImageError, match="128x96 pixels; the most is 9,999"):
            decode_image(HEIC / "plain.heic", max_pixels=9999)

    def test_without_its_decoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pi_heif" else find(name))
        words = r"is a HEIC image, which needs pi-heif; install it with: pip install 'lesionlens\[heif\]', or save it as JPEG"
        with pytest.raises(ImageError, match=words) as caught:
            decode_image(HEIC / "plain.heic")
        assert "on an iPhone: Settings > Camera > Formats > Most Compatible" in str(caught.value)


class TestAvif:
    @pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 180), (6, 90), (8, 270)])
    def test_a_turn_is_carried_out_once(self, orientation: int, turn: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = Image.fromarray(PICTURE).rotate(turn, expand=True)
        content = saved(stored, "AVIF", quality=97, subsampling="4:4:4", exif=exif)
        assert np.abs(np.asarray(decode_image(content).image).astype(int) - PICTURE).mean() <= 2

    def test_animated(self) -> None:
        other = Image.new("RGB", (128, 96))
        with pytest.raises(ImageError, match="holds several pictures"):
            decode_image(saved(PICTURE, "AVIF", save_all=True, append_images=[other]))

    @pytest.mark.parametrize(("codec", "kind"), [("avif", "AVIF"), ("jpg_2000", "JPEG2000")])
    def test_pillow_without_the_codec(self, codec: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        check = features.check
        monkeypatch.setattr(features, "check", lambda name: name != codec and check(name))
        with pytest.raises(ImageError, match="which this Pillow was built without; save it as JPEG or PNG"):
            decode_image(saved(PICTURE, kind))


class TestJpeg2000:
    def test_deep_grey_keeps_its_high_byte(self) -> None:
        import openjpeg.utils

        deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
        for bits in (16, 12):
            values = deep >> (16 - bits)
            content = openjpeg.utils.encode_array(values, bits_stored=bits, photometric_interpretation=2, codec_format=1)
            assert np.array_equal(np.asarray(decode_image(content).image)[:, :, 0], deep >> 8)

    @pytest.mark.parametrize("boxed", [0, 1])
    def test_deep_colour_is_refused(self, boxed: int) -> None:
        import openjpeg.utils

        deep = np.full((40, 48, 3), 65535, np.uint16)
        content = openjpeg.utils.encode_array(deep, photometric_interpretation=1, codec_format=boxed)
        with pytest.raises(ImageError, match="holds colour with more than 8 bits as JPEG 2000; save it as PNG or TIFF"):
            decode_image(content)


def test_jpeg_xl_is_refused_by_name() -> None:
    with pytest.raises(ImageError, match="is a JPEG XL image, which is not read; save it as JPEG or PNG"):
        decode_image(b"\xff\x0a" + bytes(100))


def test_extensions_are_lower_case_and_differ() -> None:
    assert len(set(EXTENSIONS)) == len(EXTENSIONS)
    assert all(extension == extension.lower() and extension.startswith(".") for extension in EXTENSIONS)
