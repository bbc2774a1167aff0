"""Duplicates: found whatever was done to the copy, and strangers left alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from tests.slow_values import slow_but

from lesionlens.core.labels import HAM10000
from lesionlens.data.audit.candidates import candidates, polar_spectra
from lesionlens.data.audit.duplicates import CERTAIN, SUSPECT, exact_duplicates, is_certain, near_duplicates
from lesionlens.data.audit.fingerprint import fingerprints
from lesionlens.data.index import Index, Record

COUNT = 30


def picture(seed: int) -> Image.Image:
    """A colour picture with detail of all sizes and a dark spot, 200x150."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(150)[:, None], np.fft.rfftfreq(200)[None])
    noise = np.fft.irfft2(np.fft.rfft2(random.normal(size=(150, 200))) / (frequency + 0.02), s=(150, 200))
    y, x = np.mgrid[:150, :200] - np.array([75, 100])[:, None, None] + random.normal(0, 6, (2, 1, 1))
    spot = 80 / (1 + np.exp((np.hypot(y, x * random.uniform(0.7, 1.3)) - random.uniform(20, 40)) / 2))
    grey = 180 + 9 * noise / noise.std() - spot
    colours = np.stack([grey, grey - 30 - spot / 4, grey - 40 - spot / 3], axis=-1)
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def index_of(root: Path, images: dict[str, Image.Image], lesions: dict[str, str] | None = None) -> Index:
    records = []
    for name, image in images.items():
        image.save(root / name)
        stem = Path(name).stem
        records.append(Record(stem, name, "nv", (lesions or {}).get(stem, stem)))
    return Index(tuple(records), HAM10000, root, "table")


CHANGES = {
    "compressed": lambda image: image,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "smaller": lambda image: image.resize((160, 120)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside_down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned": lambda image: image.rotate(17, Image.Resampling.BICUBIC, fillcolor=(185, 150, 140)),
    "cut": lambda image: image.crop((12, 8, 196, 146)).resize((200, 150)),
}


@pytest.fixture(scope="module")
def changed(tmp_path_factory) -> Index:
    images = {f"a{seed:02}.png": picture(seed) for seed in range(COUNT)}
    for seed, (name, change) in enumerate(CHANGES.items()):
        images[f"{name}.jpg"] = change(picture(seed))
    return index_of(tmp_path_factory.mktemp("changed"), images)


def found_pairs(index: Index, lesions: np.ndarray | None = None) -> dict[tuple[str, str], int]:
    lesions = np.arange(len(index)) if lesions is None else lesions
    found = near_duplicates(fingerprints(index), lesions)
    return {(index.ids[pair.first], index.ids[pair.second]): pair.keypoints for pair in found}


def test_every_changed_copy_is_found_and_no_stranger_is_certain(changed):
    found = found_pairs(changed)
    copies = {(f"a{seed:02}", name) for seed, name in enumerate(CHANGES)}
    assert copies <= set(found)
    assert min(found.values()) >= SUSPECT
    assert all(found[pair] >= CERTAIN for pair in copies)
    assert set(found) == copies  # and none of 659 pairs of strangers


@pytest.mark.slow
def test_pairs_within_a_lesion_are_not_listed(changed):
    lesions = np.arange(len(changed))
    lesions[changed.ids.index("mirrored")] = lesions[changed.ids.index("a03")]
    assert ("a03", "mirrored") not in found_pairs(changed, lesions)
    assert ("a02", "smaller") in found_pairs(changed, lesions)


def test_the_answer_is_the_same_on_one_thread_and_on_three(changed):
    prints, lesions = fingerprints(changed), np.arange(len(changed))
    assert near_duplicates(prints, lesions, workers=1) == near_duplicates(prints, lesions, workers=3)


def test_exact_duplicates_by_bytes_and_by_pixels(tmp_path):
    images = {"a.png": picture(0), "b.png": picture(1), "c.png": picture(0), "d.bmp": picture(0)}
    prints = fingerprints(index_of(tmp_path, images))
    found, count = exact_duplicates(prints), len(prints.keypoints[0])
    assert count > CERTAIN
    assert [(pair.first, pair.second, pair.kind, pair.keypoints) for pair in found] == [
        (0, 2, "exact", count),
        (0, 3, "exact", count),
    ]


def test_certain_needs_more_where_nothing_else_speaks_for_it():
    assert [is_certain(count, same_patient=False) for count in (7, 8, 9, 10, 90)] == [False, False, False, True, True]
    assert [is_certain(count, same_patient=True) for count in (7, 8, 9, 10, 90)] == [False, True, True, True, True]


def test_unreadable_images_are_noted_and_left_out(tmp_path):
    index = index_of(tmp_path, {"a.png": picture(0), "b.png": picture(0), "c.png": picture(0), "d.jpg": picture(0)})
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c.png").unlink()
    whole = (tmp_path / "d.jpg").read_bytes()
    (tmp_path / "d.jpg").write_bytes(whole[: len(whole) // 2])
    prints = fingerprints(index)
    assert sorted(prints.unreadable) == [1, 2, 3]
    assert "empty (0 bytes)" in prints.unreadable[1]
    assert prints.pixel_hashes[0]
    assert not any(prints.pixel_hashes[1:])
    assert near_duplicates(prints, np.arange(4)) == []


@pytest.mark.parametrize("side", ["squashed from 4:3", "square"])
@pytest.mark.parametrize("angle", slow_but([25, 90, 160], 90))
def test_square_files_are_found_again_whatever_they_were_before(tmp_path, side, angle):
    """A frame squashed to a square turns rotation into shear; a square photograph does not. Nobody says which it is.

    At a right angle the squashed frames differ most: there the descriptors may take a turned picture for a mirrored one.
    """
    images = {}
    for seed in range(8):
        images[f"a{seed}.png"] = picture(seed)
        turned = picture(seed).rotate(angle, Image.Resampling.BICUBIC, fillcolor=(185, 150, 140))
        if side == "square":
            images[f"a{seed}.png"] = picture(seed).resize((150, 150))
            turned = images[f"a{seed}.png"].rotate(angle, Image.Resampling.BICUBIC, fillcolor=(185, 150, 140))
        images[f"b{seed}.png"] = turned
    squares = {name: image.resize((160, 160), Image.Resampling.BILINEAR) for name, image in images.items()}
    found = set(found_pairs(index_of(tmp_path, squares)))
    wanted = {(f"a{seed}", f"b{seed}") for seed in range(8)}
    assert found <= wanted
    assert len(found) >= (6 if (angle, side) == (90, "squashed from 4:3") else 8)


def test_a_portrait_is_found_in_a_landscape(tmp_path):
    images = {f"a{seed}.png": picture(seed) for seed in range(4)}
    images |= {f"b{seed}.png": picture(seed).transpose(Image.Transpose.ROTATE_270) for seed in range(4)}
    assert set(found_pairs(index_of(tmp_path, images))) == {(f"a{seed}", f"b{seed}") for seed in range(4)}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_images(tmp_path, count):
    index = index_of(tmp_path, {f"{n}.png": picture(n) for n in range(count)})
    assert found_pairs(index) == {}


def test_one_lesion_only_has_no_candidates():
    grey = np.random.default_rng(0).integers(0, 255, (5, 128, 128), dtype=np.uint8)
    colour = grey[:, ::16, ::16, None].repeat(3, axis=3)
    assert len(candidates(grey, colour, np.zeros(5, dtype=np.int64))) == 0


def test_a_spectrum_is_that_of_numpy_along_the_axes():
    image = np.random.default_rng(0).integers(0, 255, (2, 128, 148), dtype=np.uint8)
    found = polar_spectra(image)
    window = np.hanning(128)[:, None] * np.hanning(148)
    expected = [np.log1p(np.abs(np.fft.fft2((each - each.mean()) * window))) for each in image]
    difference = (expected[0] - expected[1]) / 2  # the mean over both is taken off
    assert found[0, 12, 0] == pytest.approx(difference[2, 0], abs=1e-3)  # 2 cycles per height, along y
    along_x = 2 * 148 / 128  # the same frequency is so many cycles per width
    low, high, share = int(along_x), int(along_x) + 1, along_x % 1
    assert found[0, 0, 0] == pytest.approx((1 - share) * difference[0, low] + share * difference[0, high], abs=1e-3)


def test_candidates_find_a_turned_and_mirrored_copy():
    grey = np.stack([np.asarray(picture(n).convert("L").resize((128, 128))) for n in range(6)])
    turned = np.rot90(grey[2][:, ::-1], -1)
    stack = np.concatenate([grey, turned[None]])
    colour = np.repeat(stack[:, 8::16, 8::16, None], 3, axis=3)
    rows = candidates(stack, colour, np.arange(7)).tolist()
    assert [2, 6, 1] in rows
    assert [2, 6, 0] not in rows
