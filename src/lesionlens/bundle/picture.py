"""A prediction's heat map over its image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lesionlens.bundle.outcome import DIAGNOSIS, NOT_SURE, NOT_USABLE
from lesionlens.bundle.overlay import overlay, seen_part, spread
from lesionlens.bundle.prediction import Prediction
from lesionlens.core.errors import BundleError
from lesionlens.core.percent import percent
from lesionlens.data.image import open_image

TITLES = {DIAGNOSIS: "", NOT_SURE: "NOT SURE: ", NOT_USABLE: "NOT USABLE: "}


def heat_map(prediction: Prediction, source: Path | bytes, code: str = "") -> Image.Image:
    """Draw where the evidence for one diagnosis lies.

    Args:
        prediction: of this image.
        source: the image, opened again at its full size.
        code: the diagnosis; the most probable one if empty.

    Raises:
        BundleError: if the bundle gives no maps.
        DataError: if the bundle does not know `code`.
        ImageError: if the image cannot be read any more.
    """
    if prediction.maps is None:
        raise BundleError("this bundle gives no heat maps: its network has no closed form of Grad-CAM")
    labels = prediction.labels
    number = labels.index(code or prediction.first.code)
    image = np.asarray(open_image(source))
    height, width = image.shape[:2]
    values = spread(prediction.maps[number], seen_part(prediction.spec, (width, height)), width, height)
    diagnosis = labels.diagnoses[number]
    probability = percent(float(prediction.probabilities[number]))
    title = f"{TITLES[prediction.outcome]}{diagnosis.name} ({diagnosis.code}), probability {probability}"
    return overlay(image, values, title)
