"""The contact sheet: every pair side by side, a page of bounded size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.labels import HAM10000
from lesionlens.data.audit.audit import SuspectedPair
from lesionlens.data.audit.contact_sheet import COLUMNS, GAP, MOST_PAIRS, TEXT_HEIGHT, TILE, contact_sheet, write_sheet
from lesionlens.data.index import Index, Record

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30)}


@pytest.fixture
def index(tmp_path) -> Index:
    for name, colour in COLOURS.items():
        Image.new("RGB", (90, 60), colour).save(tmp_path / f"{name}.png")
    records = [Record(name, f"{name}.png", "nv", name) for name in (*COLOURS, "gone")]
    return Index(tuple(records), HAM10000, Path(tmp_path), "table")


def pair(a: str, b: str, keypoints: int = 30) -> SuspectedPair:
    return SuspectedPair(a, b, "nv", "mel", "near", keypoints, False, True, False)


def test_both_images_stand_side_by_side(index):
    sheet = np.asarray(contact_sheet([pair("red", "green")], index))
    top, left = 2 * GAP + 20 + TILE // 2, GAP + TILE // 2
    assert sheet[top, left].tolist() == list(COLOURS["red"])
    assert sheet[top, left + TILE + 2].tolist() == list(COLOURS["green"])
    text = sheet[top + TILE // 2 + 1 :, GAP : GAP + 2 * TILE]
    assert (text < 128).any()


def test_the_sheet_grows_by_rows_and_stops_at_sixty_pairs(index):
    heights = [contact_sheet([pair("red", "green")] * n, index).height for n in (0, 1, COLUMNS + 1, 60, 500)]
    assert heights[2] - heights[1] == TILE + TEXT_HEIGHT
    assert heights[3] == heights[4] == heights[0] + MOST_PAIRS // COLUMNS * (TILE + TEXT_HEIGHT)


def test_an_image_that_cannot_be_read_is_a_grey_tile(index):
    sheet = contact_sheet([pair("gone", "red")], index)
    assert sheet.getpixel((GAP + 5, 2 * GAP + 25)) == (110, 110, 110)


def test_no_pairs_is_a_sheet_with_a_sentence(index):
    sheet = np.asarray(contact_sheet([], index))
    assert (sheet < 128).any()


def test_written_as_jpeg(index, tmp_path):
    write_sheet(contact_sheet([pair("red", "green")], index), tmp_path / "audit.jpg")
    with Image.open(tmp_path / "audit.jpg") as image:
        assert image.format == "JPEG"
