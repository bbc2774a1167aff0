"""A picture of suspected pairs, side by side, for a person to judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageDraw, ImageFont, ImageOps

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import ImageError
from lesionlens.data.image import open_image
from lesionlens.data.index import Index, Record

MOST_PAIRS = 60
COLUMNS = 4
TILE = 140
GAP = 12
TEXT_HEIGHT = 46
INK, QUIET, PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


class PairOfImages(Protocol):
    """What is shown of a pair: two images, how they were found, how alike they are."""

    @property
    def image_id_a(self) -> str:
        """Id of the left image."""

    @property
    def image_id_b(self) -> str:
        """Id of the right image."""

    @property
    def kind(self) -> str:
        """How they were found."""

    @property
    def keypoints(self) -> int:
        """How many keypoints they share."""

    @property
    def certain(self) -> bool:
        """Whether they are united without a look."""


def contact_sheet(pairs: Sequence[PairOfImages], index: Index) -> Image.Image:
    """Draw suspected pairs with id, diagnosis and number of shared keypoints under each.

    Where there are more than 60 pairs, 60 are drawn, spread evenly from the most to the least alike.

    Args:
        pairs: most alike first.
        index: knows where the images lie.

    Returns:
        RGB; one line of text if there are no pairs.
    """
    shown = _spread(pairs)
    rows = -(-len(shown) // COLUMNS)
    cell_width, cell_height = 2 * TILE + 2 + GAP, TILE + TEXT_HEIGHT
    width = GAP + min(COLUMNS, max(2, len(shown))) * cell_width
    sheet = Image.new("RGB", (width, 2 * GAP + 20 + rows * cell_height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    draw.text((GAP, GAP), _title(len(shown), len(pairs)), INK, font)
    records = index.by_id()
    for number, pair in enumerate(shown):
        left = GAP + number % COLUMNS * cell_width
        top = 2 * GAP + 20 + number // COLUMNS * cell_height
        for place, image_id in enumerate((pair.image_id_a, pair.image_id_b)):
            record = records[image_id]
            x = left + place * (TILE + 2)
            sheet.paste(_tile(index, record), (x, top))
            draw.text((x, top + TILE + 3), f"{_short(image_id)}\n{record.dx}", INK, font, spacing=2)
        verdict = f"{pair.kind} {pair.keypoints}{' certain' if pair.certain else ''}"
        draw.text((left + TILE + 42, top + TILE + 17), verdict, QUIET, font)
    return sheet


def write_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a contact sheet as JPEG, whole or not at all."""
    with atomic_file(path) as temporary:
        sheet.save(temporary, format="JPEG", quality=88)


def _spread(pairs: Sequence[PairOfImages]) -> list[PairOfImages]:
    if len(pairs) <= MOST_PAIRS:
        return list(pairs)
    return [pairs[round(n * (len(pairs) - 1) / (MOST_PAIRS - 1))] for n in range(MOST_PAIRS)]


def _title(shown: int, found: int) -> str:
    if not found:
        return "No pairs of images that seem to show one lesion under two ids."
    of_all = "" if shown == found else f"; {shown} of them shown, from the most to the least alike"
    return f"{found} pairs of images that seem to show one lesion under two ids{of_all}"


def _tile(index: Index, record: Record) -> Image.Image:
    try:
        image = open_image(index.image_path(record))
    except ImageError:
        return Image.new("RGB", (TILE, TILE), QUIET)
    return ImageOps.fit(image, (TILE, TILE), Image.Resampling.BILINEAR)


def _short(image_id: str) -> str:
    return image_id if len(image_id) <= 22 else f"{image_id[:10]}…{image_id[-10:]}"
