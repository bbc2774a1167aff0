"""The embedded data set: drawn dermoscopic images of seven diagnoses, in HAM10000's layout.

No patient and no photograph stands behind these images. They let the whole pipeline run without data;
scores on them say nothing about real lesions.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lesionlens.core.artifact import atomic_folder, read_json, write_json
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.labels import HAM10000
from lesionlens.core.seeds import generator
from lesionlens.data.files import SYNTHETIC_MARK
from lesionlens.data.parallel import in_threads
from lesionlens.synthetic.photo import Lesion, take_photo

COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
IMAGES = "HAM10000_images_part_1"
MASKS = "HAM10000_segmentations_lesion_tschandl"
METADATA = "HAM10000_metadata.csv"
VERSION = 2
"""Version of the drawing; another version draws other pixels."""

HAM10000_COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
REPEATED = {"akiec": 0.33, "bcc": 0.44, "bkl": 0.40, "df": 0.45, "mel": 0.63, "nv": 0.19, "vasc": 0.35}
"""Share of HAM10000's lesions with more than one photograph."""
RARE_SHARE = 0.04
"""Least share of the images that a diagnosis gets; below it a test split would hold one or two lesions."""
LEAST_LESIONS = 3
SMALLEST = LEAST_LESIONS * 2 * len(HAM10000.codes)
JPEG_QUALITY = (82, 96)

AGES = {"akiec": (66, 11), "bcc": (67, 13), "bkl": (64, 14), "df": (53, 13), "mel": (61, 15), "nv": (46, 15), "vasc": (51, 21)}
"""Mean and standard deviation in HAM10000, years."""
MALE = {"akiec": 0.68, "bcc": 0.62, "bkl": 0.57, "df": 0.55, "mel": 0.62, "nv": 0.51, "vasc": 0.49}
SITES = ("back", "lower extremity", "trunk", "upper extremity", "abdomen", "face", "chest", "foot")
SITE_SHARES = (0.24, 0.23, 0.16, 0.13, 0.11, 0.06, 0.04, 0.03)


@dataclass(frozen=True)
class Photo:
    """One planned image: which photograph of which lesion, and its row of the metadata."""

    lesion: Lesion
    number: int
    row: dict[str, str]


def write_synthetic(
    root: Path,
    n_images: int = 1200,
    seed: int = 0,
    width: int = 200,
    height: int = 150,
    progress: Callable[[int], None] | None = None,
    workers: int = 0,
) -> Path:
    """Draw the embedded data set and write it as HAM10000 is laid out.

    A folder that already holds the same set is left as it is.

    Args:
        root: folder to make; an empty one may exist.
        n_images: images in all, at least 42.
        seed: the set is a function of it, `n_images`, `width` and `height`.
        width: pixels, from 32 to 2000.
        height: pixels, from 32 to 2000.
        progress: called with the number of images just written.
        workers: threads; 0 takes one for each core. The pixels do not depend on it.

    Returns:
        `root`.

    Raises:
        RecipeError: if a number is out of its range.
        DataError: if `root` is a file or a folder with anything else in it.
        StorageError: if the disk is full or may not be written.
    """
    _check_numbers(n_images, width, height)
    facts = {"version": VERSION, "n_images": n_images, "seed": seed, "width": width, "height": height}
    if _already_there(root, facts):
        return root
    photos = plan_photos(n_images, seed)
    with atomic_folder(root) as folder:
        for name in (IMAGES, MASKS):
            (folder / name).mkdir()
        in_threads(lambda number: _write_photo(photos[number], folder, width, height), len(photos), workers, progress)
        _write_metadata(photos, folder / METADATA)
        write_json(folder / SYNTHETIC_MARK, facts)
    return root


def _check_numbers(n_images: int, width: int, height: int) -> None:
    if n_images < SMALLEST:
        raise RecipeError(f"{n_images} synthetic images are too few for seven diagnoses; ask for {SMALLEST} or more")
    for name, pixels in (("width", width), ("height", height)):
        if not 32 <= pixels <= 2000:
            raise RecipeError(f"synthetic images of {name} {pixels}; it must be from 32 to 2000 pixels")


def _already_there(root: Path, facts: dict[str, int]) -> bool:
    if root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file; name a new folder for the synthetic images")
    if not root.exists() or not any(root.iterdir()):
        return False
    if not (root / SYNTHETIC_MARK).is_file():
        raise DataError(f"{root} is not empty and holds no synthetic images; name a new folder for them")
    if read_json(root / SYNTHETIC_MARK) != facts:
        raise DataError(f"{root} holds synthetic images of other settings than {facts}; delete it or name a new folder")
    return True


def plan_photos(n_images: int, seed: int) -> list[Photo]:
    """Every image of the set before it is drawn, in the order of the metadata.

    Args:
        n_images: images in all.
        seed: of the set.
    """
    lesions = [(dx, size) for dx, count in _class_counts(n_images).items() for size in _lesion_sizes(dx, count, seed)]
    order = generator(seed, "synthetic", "order").permutation(len(lesions))
    photos: list[Photo] = []
    for number, (dx, size) in enumerate((lesions[place] for place in order), start=1):
        lesion = Lesion(seed, f"SYNL_{number:07d}", dx)
        person = _person(lesion)
        for photo in range(size):
            row = {"lesion_id": lesion.lesion_id, "image_id": f"SYN_{len(photos) + 1:07d}", "dx": dx, **person}
            photos.append(Photo(lesion, photo, row))
    return photos


def _class_counts(n_images: int) -> dict[str, int]:
    """Images per diagnosis: HAM10000's shares, the rare ones raised to `RARE_SHARE`, nv taking the rest."""
    least = max(2 * LEAST_LESIONS - 1, round(RARE_SHARE * n_images))
    total = sum(HAM10000_COUNTS.values())
    counts = {dx: max(least, round(count / total * n_images)) for dx, count in HAM10000_COUNTS.items()}
    counts["nv"] += n_images - sum(counts.values())
    return counts


def _lesion_sizes(dx: str, count: int, seed: int) -> list[int]:
    """Photographs per lesion, which sum to `count`."""
    rng = generator(seed, "synthetic", "lesions", dx)
    repeated = REPEATED[dx]
    sizes: list[int] = []
    while (left := count - sum(sizes)) > 0:
        size = int(rng.choice([1, 2, 3, 4], p=[1 - repeated, 0.73 * repeated, 0.25 * repeated, 0.02 * repeated]))
        reserved = max(0, LEAST_LESIONS - len(sizes) - 1)
        sizes.append(max(1, min(size, left - reserved)))
    return sizes


def _person(lesion: Lesion) -> dict[str, str]:
    """The metadata that all photographs of a lesion share; a few fields are missing, as in HAM10000."""
    rng, (mean, spread) = generator(lesion.seed, "synthetic", "person", lesion.lesion_id), AGES[lesion.dx]
    age = 5 * round(float(np.clip(rng.normal(mean, spread), 5, 85)) / 5)
    sex = "male" if rng.random() < MALE[lesion.dx] else "female"
    no_age, no_sex, no_site = rng.random(3) < (0.01, 0.01, 0.02)
    malignant = HAM10000.malignant[HAM10000.index(lesion.dx)]
    return {
        "dx_type": "histo" if malignant else str(rng.choice(("histo", "follow_up", "consensus"))),
        "age": "" if no_age else f"{age:.1f}",
        "sex": "unknown" if no_sex else sex,
        "localization": "unknown" if no_site else str(rng.choice(SITES, p=SITE_SHARES)),
        "dataset": "synthetic",
    }


def _write_photo(photo: Photo, folder: Path, width: int, height: int) -> None:
    image, mask = take_photo(photo.lesion, photo.number, width, height)
    name = photo.row["image_id"]
    quality = int(generator(photo.lesion.seed, "synthetic", "quality", name).integers(*JPEG_QUALITY))
    image.save(folder / IMAGES / f"{name}.jpg", quality=quality)
    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / MASKS / f"{name}_segmentation.png")


def _write_metadata(photos: list[Photo], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(photo.row for photo in photos)
