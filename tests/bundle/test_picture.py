import dataclasses

import numpy as np
import pytest
from PIL import Image

from lesionlens.bundle.overlay import overlay, seen_part, spread
from lesionlens.bundle.picture import heat_map
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import BundleError, DataError, ImageError
from lesionlens.core.percent import percent
from lesionlens.data.index import read_index


@pytest.fixture(scope="module")
def seen(small_bundle, small_run):
    index = read_index(small_run / "index.csv")
    path = index.image_path(index.records[0])
    (prediction,) = Predictor(small_bundle, threads=1).predict([path])
    return prediction, path


def test_it_is_the_overlay_of_the_class_over_the_whole_image(seen):
    prediction, path = seen
    image = np.asarray(Image.open(path))
    for code in ("", "mel"):
        number = prediction.labels.index(code or prediction.first.code)
        diagnosis = prediction.labels.diagnoses[number]
        title = f"{diagnosis.name} ({diagnosis.code}), probability {percent(prediction.by_code[diagnosis.code])}"
        height, width = image.shape[:2]
        part = seen_part(prediction.spec, (width, height))
        expected = overlay(image, spread(prediction.maps[number], part, width, height), title)
        np.testing.assert_array_equal(np.asarray(heat_map(prediction, path, code)), np.asarray(expected))


def test_bytes_are_as_good(seen):
    prediction, path = seen
    np.testing.assert_array_equal(heat_map(prediction, path.read_bytes()), heat_map(prediction, path))


def test_bad_input(seen, tmp_path):
    prediction, path = seen
    with pytest.raises(DataError, match="unknown diagnosis 'xyz'"):
        heat_map(prediction, path, "xyz")
    with pytest.raises(ImageError):
        heat_map(prediction, tmp_path / "none.jpg")
    with pytest.raises(BundleError, match="no heat maps"):
        heat_map(dataclasses.replace(prediction, maps=None), path)
