"""Maps of another bundle than the one that runs are laid where that bundle looked, or not at all."""

from types import SimpleNamespace

import numpy as np
import pytest

from lesionlens.data.image import InputSpec
from lesionlens.serving.drawings import Drawings
from lesionlens.serving.history import Maps
from lesionlens.serving.problems import Problem

HALF = (0.5, 0.5, 0.5)
SQUASHED = SimpleNamespace(id="now", spec=InputSpec(64, 64, "squash", HALF, HALF))
CENTRE_SQUARE = [0.25, 0.0, 0.5, 1.0]


def maps_of(bundle: str, **info: object) -> Maps:
    prediction = {
        "id": "a",
        "bundle": {"id": bundle},
        "image": {"width": 400, "height": 200},
        "maps": {"codes": ["mel"], **info},
    }
    return Maps(np.ones((1, 4, 4), np.float32), prediction)


@pytest.fixture
def drawings() -> Drawings:
    return Drawings(decoders=None, images=None, bundle=SQUASHED)


def test_the_part_is_that_of_the_bundle_that_predicted(drawings):
    assert drawings.map_values(maps_of("former", part=CENTRE_SQUARE), "mel")["part"] == CENTRE_SQUARE


def test_a_prediction_of_this_bundle_from_before_the_part_was_logged(drawings):
    assert drawings.map_values(maps_of("now"), "mel")["part"] == [0, 0, 1, 1]


def test_a_prediction_of_another_bundle_from_before_is_not_drawn(drawings):
    with pytest.raises(Problem, match="by an earlier version that did not log which part of the image its maps cover"):
        drawings.map_values(maps_of("former"), "mel")
