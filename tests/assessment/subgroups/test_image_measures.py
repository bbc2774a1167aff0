"""Measures of stored pixels, where the store holds windows and not whole frames."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.assessment.subgroups.image_measures import measure_images
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, Record
from lesionlens.data.store import pack
from lesionlens.data.window import window_corner

HALF = (0.5, 0.5, 0.5)


def test_masks_of_windows_are_measured_where_the_window_lies(tmp_path: Path) -> None:
    spec = InputSpec(40, 60, "window", HALF, HALF)
    Image.new("RGB", (90, 60), (200, 150, 140)).save(tmp_path / "a.png")
    mask = np.zeros((60, 90), np.uint8)
    mask[:, :45] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    index = Index((Record("a", "a.png", "nv", "a", mask="m.png"),), HAM10000, tmp_path, "test")
    store = pack(index, spec, tmp_path / "store")
    measures = measure_images(index, index.records, store, spec)
    left, _ = window_corner((90, 60), spec, "a")
    assert 0 < left < 45
    assert measures.lesion_share == pytest.approx([min(40, 45 - left) / 40])
