"""MedMNIST: DermaMNIST and like files, which hold images and labels in one .npz.

Yang et al., Sci. Data 10:41 (2023); https://medmnist.com. The images are unpacked as PNG, because every later stage reads
files; a second call finds them there.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from lesionlens.core.artifact import atomic_folder
from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.decoding_rules import MIN_SIDE
from lesionlens.data.files import ImageFiles
from lesionlens.data.index import Index
from lesionlens.data.sources.listing import make_index
from lesionlens.data.sources.row import Row
from lesionlens.data.sources.rules import STRICT, Rules

SPLITS = {"train": "train", "val": "validation", "test": "test"}
MARK = "medmnist.txt"
"""File among unpacked images that tells which file they come from."""
LEAK = (
    "DermaMNIST divides HAM10000 by image, so images of one lesion are in several of its splits (Abhishek et al., Sci. "
    "Data 12:196, 2025), and names no lesions; scores on its own split are too high"
)


def find_npz(root: Path) -> Path | None:
    """The only .npz file of a folder; None if there is none or several, or `root` is no folder."""
    paths = sorted(root.glob("*.npz")) if root.is_dir() else []
    return paths[0] if len(paths) == 1 else None


def read_medmnist(path: Path, rules: Rules = STRICT) -> Index:
    """Index a MedMNIST file; its images are unpacked first.

    Args:
        path: the .npz, or the folder that holds it.
        rules: `unpack_to` says where the images go; a folder named after the file beside it if None.

    Raises:
        DataError: if it is no MedMNIST file of colour images, or the labels' malignancy is not known.
        StorageError: if the images cannot be written.
    """
    path = find_npz(path) or path
    arrays = _arrays(path)
    root = (rules.unpack_to or path.with_suffix("")).resolve()
    rows = [row for key, split_name in SPLITS.items() for row in _rows(path, arrays, key, split_name)]
    if not _is_unpacked(root, path):
        _unpack(path, arrays, root)
    notes = [f"{len(rows)} images of {path.name} are unpacked in {root}", *([LEAK] if _is_derma(path) else [])]
    return make_index(rows, ImageFiles(root), path.stem.lower(), HAM10000 if _is_derma(path) else None, rules, notes)


def _is_derma(path: Path) -> bool:
    return path.stem.lower().startswith("dermamnist")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as .npz ({error}); download it again") from error
    for key in SPLITS:
        _check_shapes(path, key, arrays.get(f"{key}_images"), arrays.get(f"{key}_labels"))
    return arrays


def _check_shapes(path: Path, key: str, images: np.ndarray | None, labels: np.ndarray | None) -> None:
    if images is None or labels is None or images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise DataError(f"{path} has no {key}_images of shape (N, H, W, 3), uint8, with {key}_labels; give a MedMNIST file")
    if min(images.shape[1:3]) < MIN_SIDE:
        raise DataError(
            f"{path} has images of {images.shape[2]}x{images.shape[1]} pixels; the shorter side needs at least {MIN_SIDE}. "
            "Use a larger version, such as dermamnist_224.npz"
        )
    if labels.reshape(len(labels), -1).shape != (len(images), 1):
        raise DataError(f"{path}: {key}_labels has the shape {labels.shape}; there must be one label for each image")


def _rows(path: Path, arrays: dict[str, np.ndarray], key: str, split_name: str) -> list[Row]:
    labels = arrays[f"{key}_labels"].reshape(-1).tolist()
    codes = HAM10000.codes if _is_derma(path) else ()
    names = {label: codes[label] if label in range(len(codes)) else str(label) for label in set(labels)}
    return [Row(f"{path} {key} {n}", _name(key, n), names[label], split=split_name) for n, label in enumerate(labels)]


def _name(key: str, number: int) -> str:
    return f"{key}_{number:06d}"


def _is_unpacked(root: Path, path: Path) -> bool:
    mark = root / MARK
    return mark.is_file() and mark.read_text(encoding="utf-8") == _facts(path)


def _facts(path: Path) -> str:
    return f"{path.name} {path.stat().st_size} bytes\n"


def _unpack(path: Path, arrays: dict[str, np.ndarray], root: Path) -> None:
    with atomic_folder(root, mark=MARK) as folder:
        for key in SPLITS:
            for number, image in enumerate(arrays[f"{key}_images"]):
                Image.fromarray(image).save(folder / f"{_name(key, number)}.png")
        (folder / MARK).write_text(_facts(path), encoding="utf-8")
