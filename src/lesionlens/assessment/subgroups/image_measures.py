"""What the pixels of an image tell about its subgroup: size of the lesion and tone of the skin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lesionlens.assessment.subgroups.skin_tone import LEAST_SKIN, skin_of_border
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, Record
from lesionlens.data.store import Store
from lesionlens.explanation.masks import MaskCount, read_masks

CHUNK = 64  # images in memory at once


@dataclass(frozen=True, eq=False)
class ImageMeasures:
    """Measures of N images.

    Attributes:
        lesion_share: area of the lesion as a share of the frame, (N,); NaN without a usable mask.
        ita_deg: individual typology angle of the border, degrees, (N,); NaN where it cannot be estimated.
        skin_share: of the frame that is visible skin at the border, (N,).
        masks: how many masks were used and why others were not.
    """

    lesion_share: np.ndarray
    ita_deg: np.ndarray
    skin_share: np.ndarray
    masks: MaskCount

    @property
    def n_without_skin(self) -> int:
        """Photographs with too little skin around the lesion."""
        return int((self.skin_share < LEAST_SKIN).sum())

    @property
    def n_blue(self) -> int:
        """Photographs whose skin is bluer than grey, so that the angle is not defined."""
        return int(np.isnan(self.ita_deg).sum()) - self.n_without_skin


def measure_images(
    index: Index,
    records: Sequence[Record],
    store: Store,
    spec: InputSpec,
    progress: Callable[[int], None] | None = None,
) -> ImageMeasures:
    """Measure images from their masks and their stored pixels.

    Args:
        index: names the masks.
        records: the images, which the store must hold.
        store: their pixels.
        spec: how the pixels were prepared.
        progress: called with the number of images of each batch.

    Raises:
        ArtifactError: if an image is not in the store.
    """
    whole_frame, count = replace(spec, size=spec.prepared), MaskCount()
    rows = store.rows([record.image_id for record in records])
    shares, angles, skins = (np.full(len(records), np.nan) for _ in range(3))
    for start in range(0, len(records), CHUNK):
        batch = slice(start, start + CHUNK)
        lesions = read_masks(index, records[batch], whole_frame, count)
        for place, (row, lesion) in enumerate(zip(rows[batch], lesions, strict=True), start):
            shares[place] = np.nan if lesion is None else lesion.mean()
            angles[place], skins[place] = skin_of_border(np.asarray(store.images[row]), lesion)
        if progress is not None:
            progress(len(lesions))
    return ImageMeasures(shares, angles, skins, count)
