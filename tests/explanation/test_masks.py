from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, Record
from lesionlens.data.window import window_corner
from lesionlens.explanation.masks import MaskCount, check_any_mask, check_any_used, read_masks

HALF = (0.5, 0.5, 0.5)
SQUASH = InputSpec(64, 64, "squash", HALF, HALF)


def index_of(root: Path, mask: Image.Image | bytes | None, size: tuple[int, int] = (120, 90)) -> Index:
    Image.new("RGB", size, (200, 150, 140)).save(root / "a.png")
    if isinstance(mask, bytes):
        (root / "m.png").write_bytes(mask)
    elif mask is not None:
        mask.save(root / "m.png")
    return Index((Record("a", "a.png", "nv", "a", mask="m.png"), Record("b", "b.png", "nv", "b")), HAM10000, root, "test")


def read(index: Index, spec: InputSpec = SQUASH) -> tuple[np.ndarray | None, MaskCount]:
    count = MaskCount()
    return read_masks(index, index.records[:1], spec, count)[0], count


def box(width: int, height: int, inside: tuple[int, int, int, int], value: int = 255) -> Image.Image:
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = inside
    mask[top:bottom, left:right] = value
    return Image.fromarray(mask)


@pytest.mark.parametrize("value", [1, 200, 255])
def test_a_mask_is_squashed_like_its_image(tmp_path, value):
    # A mask of another size than its image, both squashed: the left half stays the left half.
    mask, count = read(index_of(tmp_path, box(200, 50, (0, 0, 100, 50), value)))
    assert mask.dtype == bool
    assert mask.shape == (64, 64)
    assert mask[:, :31].all()
    assert not mask[:, 33:].any()
    assert count.used == 1


def test_the_centre_is_cut_out_of_a_larger_frame(tmp_path):
    spec = InputSpec(32, 64, "squash", HALF, HALF)
    mask, _ = read(index_of(tmp_path, box(128, 128, (0, 0, 64, 128))), spec)
    assert mask.shape == (32, 32)
    assert mask[:, :15].all()
    assert not mask[:, 17:].any()


@pytest.mark.parametrize("scale", [1, 2])
def test_short_side_cuts_mask_and_image_alike(tmp_path, scale):
    # The centre square of a 120x60 image is its middle half; a mask of half the size shows the same.
    spec = InputSpec(64, 64, "short_side", HALF, HALF)
    mask, _ = read(index_of(tmp_path, box(120 * scale, 60 * scale, (0, 0, 60 * scale, 60 * scale)), (120, 60)), spec)
    assert mask[:, :31].all()
    assert not mask[:, 33:].any()


def test_short_side_with_a_mask_of_another_shape(tmp_path):
    # The image was squashed to a square when it was published, its mask was not.
    spec = InputSpec(64, 64, "short_side", HALF, HALF)
    mask, _ = read(index_of(tmp_path, box(200, 150, (50, 0, 150, 150)), (96, 96)), spec)
    assert mask[:, 17:47].all()
    assert not mask[:, :15].any()
    assert not mask[:, 49:].any()


def test_the_window_of_an_image_is_that_of_its_mask(tmp_path):
    spec = InputSpec(30, 60, "window", HALF, HALF)
    index = index_of(tmp_path, box(120, 60, (0, 0, 60, 60)), (120, 60))
    record = index.records[0]
    left, _ = window_corner((120, 60), spec, record.image_id)
    mask, _ = read(index, spec)
    inside = max(0, min(30, round(60 - left)))  # columns of the window that lie in the left half
    assert 0 < inside < 30
    assert mask[:, :inside].all()
    assert not mask[:, inside:].any()


@pytest.mark.parametrize(
    ("mask", "reason"),
    [(None, "missing"), (b"", "unreadable"), (b"no image", "unreadable"), (box(90, 60, (0, 0, 0, 0)), "empty")],
)
def test_what_cannot_be_used_is_skipped_and_counted(tmp_path, mask, reason):
    found, count = read(index_of(tmp_path, mask))
    assert found is None
    assert getattr(count, reason) == 1
    assert count.used == 0
    assert list(count.examples) == [reason]
    with pytest.raises(DataError, match=reason):
        check_any_used(count)


def test_images_without_a_mask_are_counted(tmp_path):
    count = MaskCount()
    index = index_of(tmp_path, box(90, 60, (10, 10, 50, 50)))
    found = read_masks(index, index.records, SQUASH, count)
    assert [mask is not None for mask in found] == [True, False]
    assert count.to_json() == {
        "used": 1,
        "not_listed": 1,
        "missing": 0,
        "unreadable": 0,
        "empty": 0,
        "examples": {"not_listed": "b"},
    }


def test_no_mask_at_all_is_an_error_before_anything_runs(tmp_path):
    index = index_of(tmp_path, None)
    with pytest.raises(DataError, match=r"none of 2 images .*1 are in the index.*--no-masks"):
        check_any_mask(index, index.records)
    check_any_mask(index_of(tmp_path, box(90, 60, (10, 10, 50, 50))), index.records)


def test_masks_of_ham10000_cover_what_is_darker(ham10000_root):
    from lesionlens.data.image import open_image, prepare
    from lesionlens.data.sources.ham10000 import read_ham10000

    index = read_ham10000(ham10000_root)
    records, count = index.records[::400], MaskCount()
    masks = read_masks(index, records, SQUASH, count)
    assert count.used == len(records)
    darker = [prepare(open_image(index.image_path(record)), SQUASH).mean(2) for record in records]
    inside = np.array(
        [image[mask].mean() < image[~mask].mean() for image, mask in zip(darker, masks, strict=True) if not mask.all()]
    )
    assert inside.mean() > 0.9
