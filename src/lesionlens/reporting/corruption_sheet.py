"""One image under every corruption, so that readers see what a strength means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from lesionlens.assessment.robustness.corruptions import BY_NAME, STRENGTHS, corrupt
from lesionlens.reporting.pictures import Picture, embed
from lesionlens.reporting.run_folder import RunContents

SIDE = 108
SHEET_BYTES = 160_000


def corruption_sheet(run: RunContents, result: Mapping[str, Any]) -> Picture | None:
    """Rows are corruptions, columns strengths 1 to 5; None without stored pixels or corruptions.

    Args:
        run: its store has the pixels.
        result: content of robustness.json.
    """
    names = [row["name"] for row in result["corruptions"]["rows"] if row["name"] in BY_NAME]
    image_id = next((image_id for image_id in run.split.ids[result["split"]] if run.store and image_id in run.store.ids), None)
    if run.store is None or image_id is None or not names:
        return None
    frame = np.asarray(run.store.images[int(run.store.rows([image_id])[0])])
    rows = [
        np.concatenate([_small(corrupt(frame, name, strength, int(result["seed"]), image_id)) for strength in STRENGTHS], axis=1)
        for name in names
    ]
    sheet = Image.fromarray(np.concatenate(rows))
    return embed(sheet, max(sheet.size), SHEET_BYTES)


def _small(frame: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
