import numpy as np
import pytest

from lesionlens.bundle.outputs import Outputs, Tolerance, differences, join, shapes, summary
from lesionlens.core.errors import BundleError


def draw(n_images: int = 3, maps: bool = True) -> Outputs:
    random = np.random.default_rng(0)
    return Outputs(
        random.random((n_images, 4)), random.random((n_images, 5)), random.random((n_images, 4, 2, 2)) if maps else None
    )


def test_differences_by_hand():
    wanted = Outputs(np.array([[0.5, 0.5]]), np.array([[4.0, -8.0]]), np.zeros((1, 2, 1, 1)))
    found = Outputs(np.array([[0.25, 0.75]]), np.array([[4.0, -6.0]]), np.full((1, 2, 1, 1), 5e-4))
    assert differences(found, wanted) == {"probabilities": 0.25, "features": 0.25, "maps": 0.5}  # no map reaches 0.001


def test_without_maps():
    assert differences(draw(maps=False), draw(maps=False)) == {"probabilities": 0.0, "features": 0.0}
    with pytest.raises(BundleError, match=r"maps have shape none, the reference has \(3, 4, 2, 2\)"):
        differences(draw(maps=False), draw())


def test_other_shapes():
    with pytest.raises(BundleError, match="probabilities have shape"):
        differences(draw(2), draw(3))


def test_nan_is_beyond_every_tolerance():
    broken = draw()
    broken.maps[0, 0, 0, 0] = np.nan
    found = differences(broken, draw())
    assert list(Tolerance(1, 1, 1).broken_by(found)) == ["maps"]


def test_tolerance_names_what_is_beyond_it():
    found = {"probabilities": 2e-4, "features": 1e-3, "maps": 1e-3}
    assert Tolerance().broken_by(found) == {"probabilities": 2e-4}
    assert summary(found) == "probabilities 2.0e-04, features 1.0e-03, maps 1.0e-03"
    with pytest.raises(BundleError, match="above 0"):
        Tolerance(probabilities=0)


@pytest.mark.parametrize("maps", [True, False])
def test_rows_and_join_are_inverse(maps):
    whole = draw(5, maps)
    again = join([whole.rows(0, 2), whole.rows(2, 3), whole.rows(3, 5)])
    assert differences(again, whole) == dict.fromkeys(("probabilities", "features", "maps")[: 3 if maps else 2], 0.0)
    assert shapes(whole) == {"probabilities": [4], "features": [5], "maps": [4, 2, 2] if maps else None}
