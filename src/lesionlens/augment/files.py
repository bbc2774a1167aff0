"""The copies of a plan as PNG files, identical to those that training computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import torch
from PIL import Image

from lesionlens.augment.offline import Plan
from lesionlens.augment.policy import Policy
from lesionlens.augment.transform import augment
from lesionlens.core.artifact import atomic_folder, hash_value, write_stamp
from lesionlens.core.seeds import derive_seed
from lesionlens.data.image import InputSpec, open_image, prepare
from lesionlens.data.index import Index, select

PNG_COMPRESSION = 1


def crop_corner(seed: int, frame: int, size: int) -> tuple[int, int]:
    """Top and left of the random crop of an image's seed, each from 0 to frame - size."""
    places = frame - size + 1
    place = derive_seed(seed, "crop") % (places * places)
    return place // places, place % places


def copy_pixels(frame: np.ndarray, seeds: list[int], size: int, policy: Policy) -> np.ndarray:
    """The pixels of some copies of one image.

    Args:
        frame: the prepared image, uint8, shape (F, F, 3).
        seeds: seed of each copy.
        size: side of the crop that the network sees, pixels, at most F.
        policy: transforms of a copy.

    Returns:
        uint8, shape (len(seeds), size, size, 3).
    """
    corners = [crop_corner(seed, len(frame), size) for seed in seeds]
    crops = np.stack([frame[top : top + size, left : left + size] for top, left in corners])
    pixels: np.ndarray = augment(torch.from_numpy(crops).permute(0, 3, 1, 2), seeds, policy).permute(0, 2, 3, 1).numpy()
    return pixels


def copy_name(image_id: str, copy: int) -> str:
    """File name of a copy; characters not allowed in a file name become %XX."""
    return f"{quote(image_id, safe=' ()+,@')}_{copy:04d}.png"


def materialise(
    plan: Plan, index: Index, spec: InputSpec, policy: Policy, folder: Path, progress: Callable[[int], None] | None = None
) -> int:
    """Write every copy of the plan as `folder/<dx>/<image id>_<copy>.png`.

    The originals are not written. The folder is replaced atomically, and gets a stamp beside it.

    Args:
        plan: the copies; their seeds determine the pixels.
        index: where the images are.
        spec: how they are prepared; the files have `spec.size` pixels a side.
        policy: transforms of a copy.
        folder: to write.
        progress: called with the number of copies done since the last call.

    Returns:
        The number of files.

    Raises:
        DataError: if an image of the plan is not in the index or cannot be read.
        StorageError: if the disk is full; no partial folder remains.
    """
    seeds_of: dict[str, list[tuple[int, int]]] = {}
    for image_id, copy, seed in zip(plan.image_ids, plan.copies, plan.seeds, strict=True):
        if copy:
            seeds_of.setdefault(image_id, []).append((copy, seed))
    records = select(index, list(seeds_of))
    with atomic_folder(folder) as temporary:
        for record in records:
            copies = seeds_of[record.image_id]
            path = index.image_path(record)
            pixels = copy_pixels(
                prepare(open_image(path), spec, record.image_id), [seed for _, seed in copies], spec.size, policy
            )
            (temporary / record.dx).mkdir(exist_ok=True)
            for (copy, _), image in zip(copies, pixels, strict=True):
                target = temporary / record.dx / copy_name(record.image_id, copy)
                Image.fromarray(image).save(target, compress_level=PNG_COMPRESSION)
            if progress is not None:
                progress(len(copies))
    count = sum(map(len, seeds_of.values()))
    made_from = {"plan": plan.hash, "index": index.hash, "input": hash_value([spec.frame_hash, spec.size]), "policy": policy.hash}
    write_stamp(folder, made_from, {"copies": count})
    return count
