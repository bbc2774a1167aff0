"""Images: what is accepted and how it is converted, what is refused and with which words."""

import contextlib
import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lesionlens.core.errors import ArtifactError, DataError, ImageError, ImageTooLargeError, RecipeError
from lesionlens.core.recipe import InputRecipe
from lesionlens.data.image import InputSpec, centre_crop, frame_spec, input_spec, open_image, prepare

SPEC = InputSpec(48, 64, "squash", (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def photograph(width: int = 90, height: int = 60) -> Image.Image:
    """Smooth, without symmetry, so that a wrong turn or channel shows."""
    across = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    down = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([across, down, (across + down) / 4], axis=-1).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(open_image(content)).astype(int)


class TestAccepted:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
    def test_lossless_formats_keep_every_pixel(self, kind: str) -> None:
        assert np.array_equal(pixels(encode(photograph(), kind)), np.asarray(photograph()))

    @pytest.mark.parametrize(("kind", "within"), [("JPEG", 4), ("WEBP", 12)])
    def test_lossy_formats_come_close(self, kind: str, within: int) -> None:
        difference = np.abs(pixels(encode(photograph(), kind, quality=95)) - np.asarray(photograph()))
        assert difference.mean() < within

    def test_a_path_and_its_bytes_give_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "lesion.JPG"
        path.write_bytes(encode(photograph(), "JPEG"))
        assert np.array_equal(np.asarray(open_image(path)), np.asarray(open_image(path.read_bytes())))

    def test_cmyk_jpeg(self) -> None:
        content = encode(photograph().convert("CMYK"), "JPEG", quality=95)
        assert open_image(content).mode == "RGB"
        assert np.abs(pixels(content) - np.asarray(photograph())).mean() < 4

    def test_grey_becomes_three_equal_channels(self) -> None:
        grey = photograph().convert("L")
        assert np.array_equal(pixels(encode(grey, "PNG")), np.repeat(np.asarray(grey)[:, :, None], 3, axis=2))

    def test_one_bit_becomes_black_and_white(self) -> None:
        assert set(np.unique(pixels(encode(photograph().convert("1"), "PNG")))) == {0, 255}

    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    def test_16_bit_grey_keeps_its_high_byte(self, kind: str) -> None:
        deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
        result = pixels(encode(Image.fromarray(deep), kind))
        assert np.array_equal(result[:, :, 0], deep >> 8)
        assert (result.min(), result.max()) == (0, 255)

    def test_16_bit_colour_keeps_its_high_byte(self) -> None:
        deep = np.random.default_rng(0).integers(0, 65536, (40, 50, 3)).astype(np.uint16)
        assert np.array_equal(pixels(png_16_bit(deep)), deep >> 8)

    def test_palette(self) -> None:
        palette = photograph().quantize(32)
        assert np.array_equal(pixels(encode(palette, "PNG")), np.asarray(palette.convert("RGB")))

    def test_transparent_is_laid_on_white(self) -> None:
        image = photograph().convert("RGBA")
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        share = np.asarray(image)[:, :, 3:] / 255
        expected = np.asarray(photograph()) * share + 255 * (1 - share)
        assert np.abs(pixels(encode(image, "PNG")) - expected).max() <= 1

    def test_opaque_alpha_changes_nothing(self) -> None:
        assert np.array_equal(pixels(encode(photograph().convert("RGBA"), "PNG")), np.asarray(photograph()))

    def test_a_transparent_colour_is_white_too(self) -> None:
        image = Image.new("RGB", (40, 40), (10, 20, 30))
        image.paste((200, 100, 50), (0, 0, 20, 40))
        result = pixels(encode(image, "PNG", transparency=(10, 20, 30)))
        assert result[0, 0].tolist() == [200, 100, 50]
        assert result[0, 39].tolist() == [255, 255, 255]

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_rotation_is_carried_out_once(self, orientation: int, kind: str) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = encode(photograph(), kind, exif=exif)
        upright = Image.open(io.BytesIO(encode(photograph(), kind)))
        upright.getexif()[0x0112] = orientation
        assert np.array_equal(pixels(content), np.asarray(ImageOps.exif_transpose(upright)))
        assert open_image(content).size == ((90, 60) if orientation < 5 else (60, 90))

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    def test_a_broken_exif_block_counts_as_upright(self) -> None:
        content = encode(photograph(), "JPEG", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff\x00")
        assert open_image(content).size == (90, 60)

    def test_first_picture_of_a_multi_picture_jpeg(self) -> None:
        content = encode(photograph(), "MPO", save_all=True, append_images=[Image.new("RGB", (90, 60))], quality=95)
        assert np.abs(pixels(content) - np.asarray(photograph())).mean() < 4


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "0 bytes"),
            (b"no image at all, only words\n" * 9, "not an image in a known format"),
            (encode(photograph(), "JPEG")[:-400], "damaged or cut short"),
            (encode(photograph(), "PNG")[:-400], "damaged or cut short"),
            (encode(photograph(1, 1), "PNG"), "1x1 pixels; the shorter side needs at least 32"),
            (encode(photograph(500, 31), "PNG"), "500x31 pixels"),
            (encode(photograph(), "PPM"), "not an image in a known format"),
        ],
        ids=["empty", "text", "truncated jpeg", "truncated png", "1x1", "too narrow", "format"],
    )
    def test_each_with_its_name_and_rule(self, tmp_path: Path, content: bytes, words: str) -> None:
        path = tmp_path / "ISIC_1.jpg"
        path.write_bytes(content)
        with pytest.raises(ImageError, match=words) as caught:
            open_image(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"gone.jpg cannot be read \(No such file"):
            open_image(tmp_path / "gone.jpg")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="is a folder, not an image"):
            open_image(tmp_path)

    def test_bytes_bear_the_name_given(self) -> None:
        with pytest.raises(ImageError, match=r"^upload 7 is empty"):
            open_image(b"", "upload 7")

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
    def test_animated(self, kind: str) -> None:
        other = Image.new("RGB", (90, 60), (9, 9, 9))
        with pytest.raises(ImageError, match="holds several pictures"):
            open_image(encode(photograph(), kind, save_all=True, append_images=[other]))

    def test_32_bit(self) -> None:
        with pytest.raises(ImageError, match="32-bit"):
            open_image(encode(Image.fromarray(np.ones((40, 40), np.float32)), "TIFF"))

    @pytest.mark.parametrize("side", [7072, 10_000, 20_000])
    def test_decompression_bomb_is_refused_from_its_header(self, side: int) -> None:
        with pytest.raises(ImageTooLargeError, match="50,000,000"):
            open_image(png_header(side, side))

    def test_a_jpeg_of_very_many_scans_is_refused_unread(self) -> None:
        content = encode(photograph(4000, 3000), "JPEG", progressive=True)
        assert open_image(content).size == (4000, 3000)
        first, second = (content.index(b"\xff\xc4", content.index(b"\xff\xda", at)) for at in (0, content.index(b"\xff\xda") + 2))
        with pytest.raises(ImageError, match="200 scans of 4000x3000 pixels; that takes too long"):
            open_image(content[:first] + content[first:second] * 199 + b"\xff\xd9")

    def test_damage_of_a_png_is_not_hidden_by_its_exif_block(self) -> None:
        header = png_header(64, 64)
        with pytest.raises(ImageError, match="damaged or cut short"):
            open_image(header[:33] + _chunk(b"IDAT", bytes(500)) + _chunk(b"IEND", b""))

    def test_pixel_limit_is_an_argument(self) -> None:
        content = encode(photograph(), "PNG")
        assert open_image(content, max_pixels=5400).size == (90, 60)
        with pytest.raises(ImageError, match="90x60 pixels; the most is 5,399"):
            open_image(content, max_pixels=5399)


DAMAGED = [encode(photograph(), kind) for kind in ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "AVIF", "JPEG2000")]
DAMAGED += [path.read_bytes() for path in sorted(Path(__file__).with_name("heic").glob("*.heic"))]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(DAMAGED),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 10_000),
)
@pytest.mark.filterwarnings("ignore")  # Pillow may warn of what it finds; whether an image is usable is the question
def test_damaged_bytes_give_an_image_or_an_image_error(content: bytes, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(content)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    with contextlib.suppress(ImageError):
        assert open_image(bytes(damaged[: max(1, length)]), max_pixels=1_000_000).mode == "RGB"


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + _chunk(b"IDAT", b"")


def png_16_bit(values: np.ndarray) -> bytes:
    height, width, _ = values.shape
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in values)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


class TestPrepare:
    def test_squash_is_pillows_own_bilinear(self) -> None:
        expected = photograph().resize((64, 64), Image.Resampling.BILINEAR)
        assert np.array_equal(prepare(photograph(), SPEC), np.asarray(expected))

    def test_an_image_of_the_right_size_is_not_touched(self) -> None:
        image = photograph(64, 64)
        assert np.array_equal(prepare(image, SPEC), np.asarray(image))

    @pytest.mark.parametrize("size", [(90, 60), (60, 90), (91, 60), (64, 200)])
    def test_short_side_keeps_the_shape_and_cuts_the_centre(self, size: tuple[int, int]) -> None:
        image = photograph(*size)
        result = prepare(image, InputSpec(64, 64, "short_side", SPEC.mean, SPEC.std))
        scale = 64 / min(size)
        scaled = image.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.BILINEAR)
        left, top = (scaled.width - 64) // 2, (scaled.height - 64) // 2
        expected = np.asarray(scaled.crop((left, top, left + 64, top + 64))).astype(int)
        # Scaling first rounds the long side to whole pixels: half a pixel of a ramp of 255 over 90.
        assert np.abs(result.astype(int) - expected).max() <= 4

    def test_constant_images_stay_constant(self) -> None:
        for rule in ("squash", "short_side"):
            result = prepare(Image.new("RGB", (123, 77), (12, 34, 56)), InputSpec(64, 64, rule, SPEC.mean, SPEC.std))
            assert result.shape == (64, 64, 3)
            assert result.dtype == np.uint8
            assert np.array_equal(np.unique(result.reshape(-1, 3), axis=0), [[12, 34, 56]])

    def test_the_result_is_writable_and_contiguous(self) -> None:
        result = prepare(photograph(), SPEC)
        assert result.flags.writeable
        assert result.flags.c_contiguous


class TestCentreCrop:
    def test_by_hand(self) -> None:
        images = np.arange(2 * 5 * 5 * 3, dtype=np.uint8).reshape(2, 5, 5, 3)
        assert np.array_equal(centre_crop(images, 3), images[:, 1:4, 1:4])
        assert np.array_equal(centre_crop(images, 2), images[:, 1:3, 1:3])
        assert np.array_equal(centre_crop(images[0], 5), images[0])

    def test_too_small(self) -> None:
        with pytest.raises(DataError, match="5x5 pixels cannot be cropped to 6"):
            centre_crop(np.zeros((5, 5, 3), np.uint8), 6)


class TestInputSpec:
    def test_json_round_trip(self) -> None:
        assert InputSpec.from_json(SPEC.to_json()) == SPEC

    @pytest.mark.parametrize(
        ("change", "frame_changes"),
        [
            ({"size": 40}, False),
            ({"mean": (0.5, 0.4, 0.31)}, False),
            ({"std": (0.2, 0.3, 0.41)}, False),
            ({"frame": 65}, True),
            ({"resize": "short_side"}, True),
        ],
    )
    def test_hashes_follow_what_they_stand_for(self, change: dict[str, object], frame_changes: bool) -> None:
        other = replace(SPEC, **change)
        assert other.hash != SPEC.hash
        assert (other.frame_hash != SPEC.frame_hash) is frame_changes

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"size": 65}, "size <= frame"),
            ({"resize": "crop"}, "squash, short_side, window"),
            ({"mean": (0.5, 0.5, 1.5)}, "mean"),
            ({"std": (0.0, 0.5, 0.5)}, "std"),
        ],
    )
    def test_wrong_values(self, change: dict[str, object], words: str) -> None:
        with pytest.raises(DataError, match=words):
            replace(SPEC, **change)

    def test_other_filters_and_lost_fields_are_refused(self) -> None:
        with pytest.raises(ArtifactError, match="lanczos"):
            InputSpec.from_json({**SPEC.to_json(), "filter": "lanczos"})
        with pytest.raises(ArtifactError, match="std"):
            InputSpec.from_json({key: value for key, value in SPEC.to_json().items() if key != "std"})

    def test_from_a_recipe(self) -> None:
        assert input_spec(InputRecipe(size=64)).mean == (0.485, 0.456, 0.406)
        assert input_spec(InputRecipe(size=64, frame=80, normalise="half")) == InputSpec(64, 80, "squash", (0.5,) * 3, (0.5,) * 3)
        trained = InputRecipe(size=64, normalise="training")
        assert input_spec(trained, SPEC.mean, SPEC.std).std == SPEC.std
        assert frame_spec(trained).frame_hash == input_spec(trained, SPEC.mean, SPEC.std).frame_hash
        with pytest.raises(RecipeError, match="training"):
            input_spec(trained)
