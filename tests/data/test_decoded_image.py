"""What decoding gives besides pixels, and how notes of many images are counted."""

import doctest
from pathlib import Path

import pytest
from PIL import Image

from lesionlens.data import decoded_image
from lesionlens.data.decoded_image import NoteTally
from lesionlens.data.image import decode_image


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(decoded_image).attempted >= 2
    assert doctest.testmod(decoded_image).failed == 0


def test_a_photograph_has_one_frame_and_nothing_to_say(tmp_path: Path) -> None:
    Image.new("RGB", (40, 32), (1, 2, 3)).save(tmp_path / "a.png")
    decoded = decode_image(tmp_path / "a.png")
    assert (decoded.image.size, decoded.frames, decoded.notes) == ((40, 32), 1, ())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = tmp_path / "a"
    Image.new("RGB", (40, 32)).save(path, kind)
    opened: list[Path] = []
    open_path = Path.open

    def watched(self: Path, *arguments: str) -> object:
        opened.append(self)
        return open_path(self, *arguments)

    monkeypatch.setattr(Path, "open", watched)
    decode_image(path)
    assert opened == [path]


def test_a_tally_names_the_first_five() -> None:
    tally = NoteTally()
    for number in range(7):
        tally.add(f"{number}.png", ["one", "two"] if number == 3 else ["one"])
    assert tally.lines() == ["7 images: one (0.png, 1.png, 2.png, 3.png, 4.png, ...)", "1 image: two (3.png)"]
