"""A picture of every augmentation on one lesion (figure 3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lesionlens.augment.online import cut_box, cutmix, mixup
from lesionlens.augment.policy import Policy, recipe_policy
from lesionlens.augment.transform import augment
from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import DataError
from lesionlens.core.recipe import AugmentationRecipe, Recipe
from lesionlens.core.seeds import derive_seed
from lesionlens.data.image import centre_crop, frame_spec, open_image, prepare
from lesionlens.data.index import Index, Record
from lesionlens.data.split import Split

COLUMNS = 5
TILE_SIDE = 224
GAP = 16
TITLE_HEIGHT = 46
CANDIDATES = 12
MIXUP_SHARE = 0.6
CUTMIX_SHARE = 0.7
CUTMIX_CENTRE = (0.6, 0.6)
PAPER = (255, 255, 255)
INK = (20, 20, 20)
FAINT_INK = (95, 95, 95)


@dataclass(frozen=True)
class Tile:
    """One picture of the gallery.

    Attributes:
        title: name of the augmentation.
        caption: its probability and magnitude.
        image: uint8, shape (S, S, 3).
    """

    title: str
    caption: str
    image: np.ndarray


def captions(policy: Policy) -> dict[str, tuple[str, str]]:
    """Title and magnitude of each transform."""
    low, high = policy.noise_variance
    return {
        "horizontal_flip": ("Horizontal flip", ""),
        "vertical_flip": ("Vertical flip", ""),
        "shift_scale_rotate": ("Shift, scale, rotate", f"±{policy.shift:.0%}, ±{policy.scale:.0%}, ±{policy.rotate_deg:g}°"),
        "brightness_contrast": ("Brightness, contrast", f"±{policy.brightness:.0%}, ±{policy.contrast:.0%}"),
        "hue_saturation_value": ("Hue, saturation, value", f"±{policy.hue:g}, ±{policy.saturation:g}, ±{policy.value:g}"),
        "gaussian_noise": ("Gaussian noise", f"variance {low:g} to {high:g}"),
        "gaussian_blur": ("Gaussian blur", "kernel 3"),
        "motion_blur": ("Motion blur", "kernel 3"),
        "grid_distortion": ("Grid distortion", f"{policy.grid_steps} steps, ±{policy.grid_distort:.0%}"),
        "coarse_dropout": ("Coarse dropout", f"{policy.holes[0]} to {policy.holes[1]} holes"),
    }


def tiles(lesion: np.ndarray, partner: np.ndarray, policy: Policy, recipe: AugmentationRecipe, seed: int) -> list[Tile]:
    """The original, each transform alone, two draws of the whole policy, MixUp and CutMix.

    For a single transform, the strongest of twelve draws is shown, because an average one hardly
    differs from the original.

    Args:
        lesion: uint8, shape (S, S, 3).
        partner: the other image of MixUp and CutMix, same shape.
        policy: magnitudes and probabilities.
        recipe: probabilities of MixUp and CutMix.
        seed: determines every draw.
    """
    gallery = [Tile("Original", "", lesion)]
    for name, (title, magnitude) in captions(policy).items():
        candidates = _draws(lesion, policy.only(name), seed, CANDIDATES)
        strongest = max(candidates, key=lambda image: float(np.abs(image.astype(np.int16) - lesion).mean()))
        caption = ", ".join(filter(None, [f"p {policy.probability(name):g}", magnitude]))
        gallery.append(Tile(title, caption, strongest))
    gallery += [Tile("All of them", f"draw {n + 1}", image) for n, image in enumerate(_draws(lesion, policy, seed, 2))]
    pair = torch.stack([_planes(lesion), _planes(partner)])
    targets, partners = torch.eye(2), torch.tensor([1, 0])
    blended, _ = mixup(pair, targets, partners, MIXUP_SHARE)
    box = cut_box(lesion.shape[0], lesion.shape[1], CUTMIX_SHARE, CUTMIX_CENTRE)
    pasted, shares = cutmix(pair, targets, partners, box)
    gallery.append(Tile("MixUp", f"p {recipe.mixup_p:g}, here {MIXUP_SHARE:.0%} of this lesion", _pixels(blended[0])))
    gallery.append(Tile("CutMix", f"p {recipe.cutmix_p:g}, here {float(shares[0, 0]):.0%} of this lesion", _pixels(pasted[0])))
    return gallery


def _draws(lesion: np.ndarray, policy: Policy, seed: int, count: int) -> np.ndarray:
    seeds = [derive_seed(seed, "gallery", number) for number in range(count)]
    batch = torch.from_numpy(lesion).permute(2, 0, 1).repeat(count, 1, 1, 1)
    pixels: np.ndarray = augment(batch, seeds, policy).permute(0, 2, 3, 1).numpy()
    return pixels


def _planes(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float()


def _pixels(image: Tensor) -> np.ndarray:
    pixels: np.ndarray = image.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return pixels


def draw_gallery(gallery: list[Tile]) -> Image.Image:
    """Lay tiles out five in a row, each under its title."""
    rows = -(-len(gallery) // COLUMNS)
    size = (GAP + COLUMNS * (TILE_SIDE + GAP), GAP + rows * (TITLE_HEIGHT + TILE_SIDE + GAP))
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    title_font, caption_font = ImageFont.load_default(17), ImageFont.load_default(13)
    for number, tile in enumerate(gallery):
        left = GAP + number % COLUMNS * (TILE_SIDE + GAP)
        top = GAP + number // COLUMNS * (TITLE_HEIGHT + TILE_SIDE + GAP)
        pen.text((left, top), tile.title, fill=INK, font=title_font)
        pen.text((left, top + 23), tile.caption, fill=FAINT_INK, font=caption_font)
        picture = Image.fromarray(tile.image).resize((TILE_SIDE, TILE_SIDE), Image.Resampling.BICUBIC)
        sheet.paste(picture, (left, top + TITLE_HEIGHT))
    return sheet


def choose_lesions(index: Index, ids: tuple[str, ...], image_id: str = "") -> tuple[Record, Record]:
    """The lesion of the gallery, and a partner of another diagnosis for MixUp and CutMix.

    Args:
        index: the images.
        ids: images that may be shown, usually the training split.
        image_id: the lesion to show; if empty, the first melanoma of `ids`, or else its first image.

    Raises:
        DataError: if there is no such image, or none of another diagnosis.
    """
    records = [record for record in index.records if record.image_id in set(ids)]
    if image_id:
        lesions = [record for record in index.records if record.image_id == image_id]
        if not lesions:
            raise DataError(f"image {image_id!r} is not in the index; give an image_id of index.csv to --image")
    else:
        lesions = [record for record in records if record.dx == "mel"] or records
    others = [record for record in records if lesions and record.dx != lesions[0].dx]
    if not others:
        raise DataError("a gallery needs training images of two diagnoses, for MixUp and CutMix; the split has fewer")
    return lesions[0], others[0]


def save_gallery(index: Index, split: Split, recipe: Recipe, path: Path, image_id: str = "") -> str:
    """Draw the gallery of one lesion into a PNG file, atomically.

    Args:
        index: the images.
        split: the gallery shows its training split, unless `image_id` is given.
        recipe: input, augmentation and seed are used.
        path: file to write.
        image_id: see `choose_lesions`.

    Returns:
        The id of the lesion shown.

    Raises:
        DataError: if there is no such image, none of another diagnosis, or one cannot be read.
        StorageError: if the disk is full or not writable.
    """
    records = choose_lesions(index, split.ids["train"], image_id)
    spec = frame_spec(recipe.input)
    lesion, partner = (
        np.ascontiguousarray(centre_crop(prepare(open_image(index.image_path(record)), spec, record.image_id), spec.size))
        for record in records
    )
    policy = recipe_policy(recipe.augmentation)
    sheet = draw_gallery(tiles(lesion, partner, policy, recipe.augmentation, recipe.seed))
    with atomic_file(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
    return records[0].image_id
