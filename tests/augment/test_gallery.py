"""The gallery: every augmentation of table 3, titled, on one lesion."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.augment.gallery import COLUMNS, GAP, TILE_SIDE, TITLE_HEIGHT, choose_lesions, draw_gallery, save_gallery, tiles
from lesionlens.augment.policy import TRANSFORMS, table_3
from lesionlens.core.errors import DataError
from lesionlens.core.recipe import AugmentationRecipe, InputRecipe, Recipe
from lesionlens.data.index import Index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import Split, make_split


@pytest.fixture(scope="module")
def index(synthetic_root: Path) -> Index:
    return read_source(synthetic_root)


@pytest.fixture(scope="module")
def split(index: Index) -> Split:
    return make_split(index, Recipe().split)


def test_every_row_of_table_3_has_a_panel_that_shows_something(pictures: np.ndarray) -> None:
    lesion, partner = pictures[:2, :, :60]
    shown = tiles(lesion, partner, table_3({"motion_blur": 0.25}), AugmentationRecipe(), 0)
    assert len(shown) == 1 + len(TRANSFORMS) + 2 + 2
    assert [tile.title for tile in shown[-2:]] == ["MixUp", "CutMix"]
    assert next(tile.caption for tile in shown if tile.title == "Motion blur") == "p 0.25, kernel 3"
    assert np.array_equal(shown[0].image, lesion)
    for tile in shown[1:]:
        assert tile.image.shape == lesion.shape
        assert tile.image.dtype == np.uint8
        assert not np.array_equal(tile.image, lesion), tile.title
    mixed = 0.6 * lesion.astype(float) + 0.4 * partner
    assert np.abs(shown[-2].image - mixed).max() <= 0.51


def test_sheet_holds_each_panel_in_its_place(pictures: np.ndarray) -> None:
    shown = tiles(pictures[0, :, :60], pictures[1, :, :60], table_3(), AugmentationRecipe(), 0)
    sheet = np.asarray(draw_gallery(shown))
    assert sheet.shape == (GAP + 3 * (TITLE_HEIGHT + TILE_SIDE + GAP), GAP + COLUMNS * (TILE_SIDE + GAP), 3)
    for number in (0, 7, 14):
        left, top = GAP + number % COLUMNS * (TILE_SIDE + GAP), GAP + number // COLUMNS * (TITLE_HEIGHT + TILE_SIDE + GAP)
        placed = sheet[top + TITLE_HEIGHT : top + TITLE_HEIGHT + TILE_SIDE, left : left + TILE_SIDE].astype(float)
        assert np.abs(placed.mean((0, 1)) - shown[number].image.mean((0, 1))).max() < 4
        assert sheet[top : top + TITLE_HEIGHT, left : left + TILE_SIDE].min() < 60  # a title in dark ink


def test_lesion_and_partner_differ(index: Index, split: Split) -> None:
    lesion, partner = choose_lesions(index, split.ids["train"])
    assert lesion.dx == "mel" != partner.dx
    assert {lesion.image_id, partner.image_id} <= set(split.ids["train"])
    wanted = split.ids["test"][0]
    lesion, partner = choose_lesions(index, split.ids["train"], wanted)
    assert lesion.image_id == wanted
    with pytest.raises(DataError, match="'nobody' is not in the index"):
        choose_lesions(index, split.ids["train"], "nobody")
    one = [record.image_id for record in index.records if record.dx == "nv"]
    with pytest.raises(DataError, match="two diagnoses"):
        choose_lesions(index, tuple(one))


@pytest.mark.slow
def test_saved_gallery_is_a_picture_and_repeatable(index: Index, split: Split, tmp_path: Path) -> None:
    recipe = Recipe(input=InputRecipe(size=48, frame=56))
    chosen = save_gallery(index, split, recipe, tmp_path / "a" / "gallery.png")
    assert save_gallery(index, split, recipe, tmp_path / "again.png", chosen) == chosen
    assert (tmp_path / "a" / "gallery.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    with Image.open(tmp_path / "again.png") as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
