"""Weak labels that stand for dermoscopic concepts, from lesion masks and colours; nobody checked them.

    python benchmarks/weak_concepts.py INDEX.csv OUT.csv

`asymmetry`: share of the mask's pixels whose mirror image about a principal axis lies outside it, mean of both axes (after the A
of the ABCD rule, Stolz 1994). `irregularity`: squared perimeter over 4 pi times the area, 1 for a disc. `coverage`: share of the
image. `colours`: how many of the six colours of the ABCD rule are nearest, in RGB, to at least 5 % of the lesion. An image
without a mask, or with an empty one, has no values.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

from lesionlens.data.index import Index, Record, read_index
from lesionlens.data.parallel import in_threads

NAMES = ("asymmetry", "irregularity", "coverage", "colours")
WIDTH, HEIGHT = 200, 150
COLOURS = 255 * np.array(  # white, red, light brown, dark brown, blue-grey, black
    [[0.8, 0.8, 0.8], [0.8, 0.2, 0.2], [0.6, 0.4, 0.0], [0.2, 0.0, 0.0], [0.2, 0.6, 0.6], [0.0, 0.0, 0.0]]
)
SMALLEST_SHARE = 0.05


def asymmetry(mask: np.ndarray) -> float:
    """Of a mask, bool (H, W)."""
    points = np.argwhere(mask).astype(np.float64)
    centre = points.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((points - centre).T))
    outside = []
    for axis in axes.T:
        mirrored = points - 2 * np.outer((points - centre) @ axis, axis)
        rows, columns = np.rint(mirrored).astype(int).T
        inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
        outside.append(1 - mask[rows[inside], columns[inside]].sum() / len(points))
    return float(np.mean(outside))


def irregularity(mask: np.ndarray) -> float:
    """Of a mask, bool (H, W); edges between pixels overstate the perimeter of a disc by 4 / pi, which is taken back."""
    padded = np.pad(mask, 1).astype(int)
    edges = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    perimeter = edges * np.pi / 4
    return float(perimeter**2 / (4 * np.pi * mask.sum()))


def colours(pixels: np.ndarray) -> int:
    """Of the pixels of a lesion, (N, 3)."""
    distances = np.square(pixels[:, None, :].astype(np.float64) - COLOURS).sum(axis=2)  # (N, 6)
    shares = np.bincount(distances.argmin(axis=1), minlength=len(COLOURS)) / len(pixels)
    return int((shares >= SMALLEST_SHARE).sum())


def concepts(index: Index, record: Record) -> list[str]:
    """The cells of one image; empty without a lesion."""
    path = index.mask_path(record)
    if path is None:
        return [""] * len(NAMES)
    mask = np.asarray(Image.open(path).convert("L").resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)) > 127
    if mask.sum() < 2:
        return [""] * len(NAMES)
    image = np.asarray(Image.open(index.image_path(record)).convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BOX))
    values = (asymmetry(mask), irregularity(mask), float(mask.mean()), colours(image[mask]))
    return [f"{value:.4g}" for value in values]


def write_concepts(index: Index, out: Path) -> None:
    """A CSV with the concepts of every image of an index."""
    rows: list[list[str]] = [[] for _ in index.records]

    def describe(number: int) -> None:
        rows[number] = [index.ids[number], *concepts(index, index.records[number])]

    in_threads(describe, len(rows))
    with out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([["image_id", *NAMES], *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    write_concepts(read_index(options.index), options.out)


if __name__ == "__main__":
    main()
