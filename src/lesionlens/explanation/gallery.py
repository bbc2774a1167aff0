"""A gallery of correct and wrong cases side by side, as in figure 7 of doi:10.25271/sjuoz.2026.14.2.1737.

The cases are drawn at random, not selected by appearance: one diagnosis after the other in a random order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lesionlens.bundle.overlay import INK, PAPER, blend, colour_bar, enlarge, font
from lesionlens.core.labels import LabelSet
from lesionlens.core.percent import percent
from lesionlens.core.seeds import generator
from lesionlens.data.image import InputSpec, centre_crop
from lesionlens.evaluation.calibration import softmax
from lesionlens.explanation.explanations import ExplainedImages, Explanations
from lesionlens.explanation.masks import MaskCount, read_masks

PANEL, GAP, LINE, BAR_SPACE = 208, 8, 20, 84
HEADING, TITLE, TEXT = 20, 15, 13
NOTE = "Colour: what a cell adds to the logit of the class; both maps of a case share one scale. Cases are drawn at random."
OUTLINE = (255, 255, 255)
RIGHT, WRONG, GREY = (20, 110, 60), (170, 40, 30), (110, 110, 110)


@dataclass(frozen=True)
class GalleryData:
    """The content of a gallery.

    Attributes:
        explanations: logits and maps.
        images: the images with their labels.
        spec: how the images are prepared.
        labels: the diagnoses.
    """

    explanations: Explanations
    images: ExplainedImages
    spec: InputSpec
    labels: LabelSet


def choose_cases(labels: np.ndarray, among: np.ndarray, count: int, seed: int = 0) -> tuple[int, ...]:
    """Draw cases at random so that they cover as many diagnoses as possible.

    Args:
        labels: true class indices of all images, (N,).
        among: rows to draw from.
        count: most cases to draw.
        seed: seed of the draw.

    Returns:
        Rows, in the order of their diagnoses.
    """
    order = generator("gallery", seed).permutation(np.sort(among))
    counts: Counter[int] = Counter()
    repeats = []  # earlier cases of the same diagnosis
    for label in labels[order].tolist():
        repeats.append(counts[label])
        counts[label] += 1
    first = order[np.argsort(repeats, kind="stable")][:count]
    return tuple(int(row) for row in sorted(first, key=lambda row: (labels[row], row)))


def gallery(data: GalleryData, per_side: int = 4, seed: int = 0) -> Image.Image:
    """Draw the gallery.

    Each case shows the image with its lesion outlined, the map of the predicted class, and the map
    of the true class where the prediction is wrong, else of the second choice. Both maps of a case
    share one raw scale.

    Args:
        data: the content.
        per_side: most cases on each side.
        seed: seed of the draw.
    """
    right = data.explanations.predicted == data.images.labels
    sides = [choose_cases(data.images.labels, np.flatnonzero(rows), per_side, seed) for rows in (right, ~right)]
    case_width, case_height = 3 * PANEL + 2 * GAP + BAR_SPACE, 2 * LINE + PANEL + 2 * GAP
    n_rows = max(1, *(len(side) for side in sides))
    canvas = Image.new("RGB", (2 * case_width + 3 * GAP, 3 * LINE + GAP + n_rows * case_height), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((GAP, canvas.height - LINE), NOTE, fill=GREY, font=font(TEXT))
    for column, (rows, heading, ink) in enumerate(
        zip(sides, ("Correct predictions", "Wrong predictions"), (RIGHT, WRONG), strict=True)
    ):
        left = GAP + column * (case_width + GAP)
        draw.text((left, GAP), heading if rows else f"{heading}: no case", fill=ink, font=font(HEADING))
        for number, row in enumerate(rows):
            canvas.paste(_case(data, row), (left, 2 * LINE + GAP + number * case_height))
    return canvas


def _case(data: GalleryData, row: int) -> Image.Image:
    probabilities = softmax(data.explanations.logits[row : row + 1])[0]
    predicted, true = int(probabilities.argmax()), int(data.images.labels[row])
    other = true if true != predicted else int(np.argsort(-probabilities, kind="stable")[1])
    other_name = "true" if other == true else "second choice"
    pixels = _pixels(data, row)
    maps = [_panel_map(data, row, class_) for class_ in (predicted, other)]
    limit = max((float(map_.max()) for map_ in maps if map_ is not None), default=0.0)
    canvas = Image.new("RGB", (3 * PANEL + 2 * GAP + BAR_SPACE, 2 * LINE + PANEL + GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((0, 0), _title(data, row, true, predicted), fill=INK, font=font(TITLE))
    mask = read_masks(data.images.index, [data.images.records[row]], data.spec, MaskCount())[0]
    captions = (
        "image, lesion outlined" if mask is not None else "image",
        f"predicted {data.labels.codes[predicted]}, p = {percent(float(probabilities[predicted]))}",
        f"{other_name} {data.labels.codes[other]}, p = {percent(float(probabilities[other]))}",
    )
    panels = (outlined(pixels, mask), *(None if map_ is None else blend(pixels, map_, limit) for map_ in maps))
    for number, (panel, caption) in enumerate(zip(panels, captions, strict=True)):
        place = (number * (PANEL + GAP), 2 * LINE)
        draw.text((place[0], LINE), caption if panel is not None else f"{caption} (no map)", fill=GREY, font=font(TEXT))
        if panel is not None:
            canvas.paste(Image.fromarray(panel), place)
    canvas.paste(colour_bar(PANEL, limit, size=TEXT), (3 * PANEL + 3 * GAP, 2 * LINE - TEXT // 2))
    return canvas


def _panel_map(data: GalleryData, row: int, class_: int) -> np.ndarray | None:
    map_ = data.explanations.map_of(row, class_)
    return None if map_ is None else enlarge(map_, PANEL, PANEL)


def _title(data: GalleryData, row: int, true: int, predicted: int) -> str:
    names = data.labels.names
    outcome = f"predicted as {names[predicted]}" if predicted != true else "predicted correctly"
    return f"{data.images.records[row].image_id}: {names[true]}, {outcome}"


def _pixels(data: GalleryData, row: int) -> np.ndarray:
    place = data.images.store.rows([data.images.records[row].image_id])[0]
    image = Image.fromarray(np.ascontiguousarray(centre_crop(data.images.store.images[place], data.spec.size)))
    return np.asarray(image.resize((PANEL, PANEL), Image.Resampling.BICUBIC))


def outlined(pixels: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Draw the outline of a mask into an image.

    Args:
        pixels: uint8 (H, W, 3), not changed.
        mask: bool, any size, scaled to the image; with None the image stays as it is.
    """
    if mask is None:
        return pixels
    height, width = pixels.shape[:2]
    inside = np.pad(enlarge(mask.astype(np.float32), width, height) > 0.5, 1, mode="edge")
    centre = inside[1:-1, 1:-1]
    around = (inside[:-2, 1:-1], inside[2:, 1:-1], inside[1:-1, :-2], inside[1:-1, 2:])
    edge = centre & ~np.logical_and.reduce(around)
    result = pixels.copy()
    result[edge] = OUTLINE
    return result
