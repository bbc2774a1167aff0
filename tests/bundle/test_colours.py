import numpy as np
from matplotlib import colormaps

from lesionlens.bundle.colours import colour_table, colourise


def test_table_is_viridis_to_one_level():
    reference = np.rint(np.array(colormaps["viridis"].colors) * 255)
    assert colour_table().shape == (256, 3)
    assert np.abs(colour_table() - reference).max() <= 1


def test_lightness_rises_evenly():
    # Grey by ITU-R 601: what is left of the colours in a black-and-white print.
    lightness = colour_table().astype(float) @ (0.299, 0.587, 0.114)
    assert (np.diff(lightness) > -0.5).all()
    assert lightness[-1] - lightness[0] > 150


def test_colours_of_shares_by_hand():
    table = colour_table()
    found = colourise(np.array([[0.0, 1.0], [-3.0, 7.0]]))
    assert found.dtype == np.uint8
    assert (found == table[[[0, 255], [0, 255]]]).all()
    assert (colourise(np.array(128 / 255)) == table[128]).all()
