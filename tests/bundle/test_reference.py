import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.reference import HASH_BYTES, REFERENCE_FILE, colour_statistics, frame_hash, perceptual_hash, read_reference
from lesionlens.core.errors import BundleError


def bits_apart(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.unpackbits(perceptual_hash(first) ^ perceptual_hash(second)).sum())


def photos(root: Path, count: int = 12) -> list[np.ndarray]:
    """One photograph of each of several lesions: a file in 7, as most lesions have fewer photographs."""
    frames = []
    for path in sorted(root.rglob("*_part_1/*.jpg"))[:: 84 // count][:count]:
        with Image.open(path) as image:
            frames.append(np.asarray(image.convert("RGB").resize((96, 96), Image.Resampling.BILINEAR)))
    return frames


def test_copies_are_near_and_others_far(synthetic_root: Path) -> None:
    frames = photos(synthetic_root)
    for number, frame in enumerate(frames):
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=60)
        assert bits_apart(frame, np.asarray(Image.open(stream))) <= 10
        smaller = Image.fromarray(frame).resize((60, 60), Image.Resampling.BICUBIC)
        assert bits_apart(frame, np.asarray(smaller)) <= 16
        assert all(bits_apart(frame, other) > 30 for other in frames[:number])


def test_perceptual_bits_by_hand() -> None:
    """Brightness that falls from left to right: the lowest frequency along rows is positive, and turned it is negative."""
    ramp = np.repeat(np.linspace(255, 0, 64).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    bits = np.unpackbits(perceptual_hash(ramp))
    assert perceptual_hash(ramp).shape == (HASH_BYTES,)
    assert bits[0] == 1  # frequencies (0, 1), then (1, 0)
    assert np.unpackbits(perceptual_hash(np.ascontiguousarray(ramp[:, ::-1])))[0] == 0


def test_a_frame_hash_changes_with_one_grey_level() -> None:
    frame = np.zeros((8, 8, 3), np.uint8)
    other = frame.copy()
    other[7, 7, 2] = 1
    assert frame_hash(frame) == frame_hash(frame.copy()) != frame_hash(other)
    assert 0 <= frame_hash(other) < 2**64


def test_colours_by_hand() -> None:
    frame = np.zeros((2, 1, 3), np.uint8)
    frame[0] = 255, 51, 0
    assert colour_statistics(frame) == pytest.approx([0.5, 0.1, 0, 0.5, 0.1, 0], abs=1e-6)


def test_a_bundle_without_one_has_none(small_bundle: Path, tmp_path: Path) -> None:
    bundle = open_bundle(small_bundle)
    bundle.files.pop(REFERENCE_FILE)
    assert read_reference(bundle) is None


@pytest.mark.parametrize(
    "change",
    [
        {"perceptual": np.zeros((3, HASH_BYTES), np.uint8)},
        {"class_counts": np.zeros(3, np.int64)},
        {"colour_sd": np.full(6, np.nan, np.float32)},
        {"distances": np.array(["a"])},
    ],
)
def test_one_that_does_not_fit_is_refused(small_bundle: Path, tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    with np.load(copy / REFERENCE_FILE) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(copy / REFERENCE_FILE, **{**arrays, **change})
    bundle = open_bundle(small_bundle)
    object.__setattr__(bundle, "path", copy)
    with pytest.raises(BundleError, match=rf"{next(iter(change))} is .*export the bundle again"):
        read_reference(bundle)


def test_a_damaged_one_is_refused(small_bundle: Path, tmp_path: Path) -> None:
    bundle = open_bundle(small_bundle)
    (tmp_path / REFERENCE_FILE).write_bytes(b"PK\3\4 nothing more")
    object.__setattr__(bundle, "path", tmp_path)
    with pytest.raises(BundleError, match="cannot be read"):
        read_reference(bundle)
