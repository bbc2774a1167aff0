"""Patterns on the skin's plane: the same place shows the same pattern in every view."""

import numpy as np

from lesionlens.synthetic.patterns import View, cells, honeycomb, noise, step_down, strokes, view_around


def test_a_pattern_stays_in_its_place_when_the_camera_moves() -> None:
    """The same spot of skin gives the same noise in a cropped, turned or enlarged view."""
    wide = view_around(0j, 12.0, 0.0, 80, 60)
    crop = View(30, 30, wide.origin + wide.step * (20 + 10j), wide.step)
    turned = view_around(0j, 9.0, np.pi / 2, 60, 80)
    fields = [noise(view, np.random.default_rng(5), 1.5, 3) for view in (wide, crop, turned)]
    assert np.allclose(fields[0][10:40, 20:50], fields[1], atol=1e-4)
    # the camera turned by a quarter sees the picture turned the other way
    assert np.allclose(fields[2], np.rot90(fields[0]), atol=1e-3)


def test_noise_is_about_standard() -> None:
    view = view_around(0j, 60.0, 0.3, 300, 300)
    for octaves in (1, 3):
        field = noise(view, np.random.default_rng(0), 1.0, octaves)
        assert abs(field.mean()) < 0.15
        assert 0.8 < field.std() < 1.25


def test_honeycomb_by_hand() -> None:
    """The wave is at its peak, a hole, at the origin and one period along the y axis."""
    x, y = np.zeros(2, np.float32), np.array([0, 0.5], np.float32)
    assert honeycomb(x, y, 0.5)[0] == 0
    assert honeycomb(x, y, 0.5)[1] == 0
    assert honeycomb(np.array([0.5 / np.sqrt(3)], np.float32), np.zeros(1, np.float32), 0.5)[0] == 1


def test_cells_against_every_point() -> None:
    """The nearest of nine cells is the nearest of all points, and its number is the same from wherever it is seen."""
    x, y = (np.random.default_rng(1).uniform(-20, 20, (2, 500))).astype(np.float32)
    nearest, value = cells(x, y, np.random.default_rng(0), 2.0)
    columns, rows, values = np.random.default_rng(0).random((3, 64, 64), np.float32)
    column, row = np.meshgrid(np.arange(-32, 32), np.arange(-32, 32))
    points = (columns[row % 64, column % 64] + column).ravel(), (rows[row % 64, column % 64] + row).ravel()
    distance = np.hypot(points[0][None] - x[:, None] / 2, points[1][None] - y[:, None] / 2)
    assert np.allclose(nearest, distance.min(1), atol=1e-4)
    assert np.array_equal(value, values[row % 64, column % 64].ravel()[distance.argmin(1)])


def test_a_step_by_hand() -> None:
    assert np.allclose(step_down(np.array([0.0, 0.75, 1.0, 1.25, 2.0], np.float32), 1.0, 0.5), [1, 0.84375, 0.5, 0.15625, 0])


def test_a_stroke_covers_its_length_times_its_width() -> None:
    view = view_around(0j, 10.0, 0.4, 100, 100)  # 10 pixels a millimetre
    drawn = strokes(view, [(np.array([-2, 2 + 0j]), 0.5)])
    assert abs(drawn.sum() / 100 - 4 * 0.5) < 0.2
    assert drawn.max() == 1
