import numpy as np
import pytest

from lesionlens.bundle.overlay import seen_part, spread
from lesionlens.data.image import InputSpec
from lesionlens.serving.pictures import fitted

HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("rule", "size", "frame", "shape", "expected"),
    [
        ("squash", 64, 64, (300, 200), (0, 0, 1, 1)),
        ("squash", 48, 64, (300, 200), (0.125, 0.125, 0.75, 0.75)),
        ("short_side", 64, 64, (400, 200), (0.25, 0, 0.5, 1)),
        ("short_side", 32, 64, (200, 400), (0.25, 0.375, 0.5, 0.25)),
    ],
)
def test_the_part_of_the_image_that_a_map_covers(rule, size, frame, shape, expected):
    spec = InputSpec(size, frame, rule, HALF, HALF)
    part = seen_part(spec, shape)
    assert part == pytest.approx(expected)
    covered = ~np.isnan(spread(np.ones((4, 4), np.float32), part, *shape))  # as the maps themselves are drawn
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    drawn = (columns[0] / shape[0], rows[0] / shape[1], len(columns) / shape[0], len(rows) / shape[1])
    assert part == pytest.approx(drawn, abs=1 / min(shape))


def test_fitted_keeps_the_shape():
    assert fitted((4000, 3000), 1000) == (1000, 750)
    assert fitted((40, 30), 1000) == (40, 30)
