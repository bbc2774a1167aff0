"""Limits that hold for images of every format."""

import pytest

from lesionlens.core.errors import ImageError, ImageTooLargeError
from lesionlens.data.decoding_rules import MAX_SCANNED, check_scans, check_size


def test_sizes_at_their_limits() -> None:
    check_size(32, 100, "image", 3200)
    with pytest.raises(ImageTooLargeError, match="32x101 pixels; the most is 3,200"):
        check_size(32, 101, "image", 3200)
    with pytest.raises(ImageError, match="31x100 pixels; the shorter side needs at least 32") as caught:
        check_size(31, 100, "image", 3200)
    assert not isinstance(caught.value, ImageTooLargeError)


def test_scans_at_their_limit() -> None:
    jpeg = b"\xff\xda\0" * 20
    check_scans(jpeg, MAX_SCANNED // 20, 1, "image")
    with pytest.raises(ImageError, match="20 scans"):
        check_scans(jpeg, MAX_SCANNED // 20 + 1, 1, "image")
