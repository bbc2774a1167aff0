"""Statistics of channels: by hand, and equal to numpy's on any store."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lesionlens.core.errors import DataError
from lesionlens.data.statistics import channel_statistics
from lesionlens.data.store import Store


def store_of(images: np.ndarray) -> Store:
    return cast(Store, SimpleNamespace(images=images))


def test_by_hand() -> None:
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[0, 0, :, 0] = [0, 255]
    images[1, 0, :, 0] = [0, 255]
    images[..., 1] = 51
    images[1, 0, :, 2] = 102
    mean, std = channel_statistics(store_of(images), [0, 1])
    assert mean == pytest.approx((0.5, 0.2, 0.2))
    assert std == pytest.approx((0.5, 0.0, 0.2))


def test_only_the_given_rows_count() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1] = 255
    assert channel_statistics(store_of(images), [1]) == ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    assert channel_statistics(store_of(images), [0, 2])[0] == (0.0, 0.0, 0.0)


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), *[st.integers(2, 6)] * 2, st.just(3))), st.integers(1, 10), st.randoms())
def test_equals_numpy_whatever_chunk_and_order(images: np.ndarray, chunk: int, random: object) -> None:
    rows = list(range(len(images)))
    random.shuffle(rows)  # type: ignore[attr-defined]
    mean, std = channel_statistics(store_of(images), rows, chunk)
    scaled = images / 255.0
    # Float64 sums of numpy err by about 1e-16 a pixel; the square root of a variance near 0 magnifies that to 1e-8.
    assert mean == pytest.approx(scaled.mean((0, 1, 2)), abs=1e-12)
    assert std == pytest.approx(scaled.std((0, 1, 2)), abs=1e-7)
    assert (mean, std) == channel_statistics(store_of(images), sorted(rows))


@pytest.mark.parametrize(("rows", "chunk"), [([], 4), ([0], 0)])
def test_nothing_to_measure(rows: list[int], chunk: int) -> None:
    with pytest.raises(DataError, match="at least 1"):
        channel_statistics(store_of(np.zeros((1, 2, 2, 3), np.uint8)), rows, chunk)


def test_reads_a_memory_map_chunk_by_chunk(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    taken: list[int] = []

    class Watched:
        shape = images.shape

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            taken.append(len(rows))
            return np.asarray(np.load(tmp_path / "images.npy", mmap_mode="r")[rows])

    mean, _ = channel_statistics(store_of(cast(np.ndarray, Watched())), range(50), chunk=16)
    assert taken == [16, 16, 16, 2]
    assert mean == pytest.approx((images / 255.0).mean((0, 1, 2)))
