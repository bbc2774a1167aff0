import base64
import io

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.errors import ArtifactError
from lesionlens.data.index import Index
from lesionlens.reporting.pictures import CASE_SIDE, case_picture, embed, embed_file


def decoded(picture) -> Image.Image:
    head, _, body = picture.uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_a_large_picture_is_scaled_down_with_its_aspect():
    picture = embed(noise(600, 450), max_side=200, max_bytes=1_000_000)
    assert (picture.width, picture.height) == decoded(picture).size == (200, 150)


def test_a_picture_stays_within_its_bytes():
    picture = embed(noise(800, 800), max_side=800, max_bytes=30_000)
    assert len(picture.uri) * 3 / 4 < 31_000


def test_no_file_no_picture(tmp_path):
    assert embed_file(tmp_path / "gallery.png") is None


def test_a_damaged_picture_is_an_error(tmp_path):
    (tmp_path / "gallery.png").write_text("not a picture")
    with pytest.raises(ArtifactError, match="not a readable picture"):
        embed_file(tmp_path / "gallery.png")


def test_a_case_shows_the_file_of_the_index(image_index: Index):
    picture = case_picture(image_index.ids[0], image_index, None)
    assert picture is not None
    assert max(picture.width, picture.height) <= CASE_SIDE


def test_a_case_whose_file_moved_shows_the_store(image_index: Index, tmp_path):
    from lesionlens.core.recipe import InputRecipe
    from lesionlens.data.image import frame_spec
    from lesionlens.data.store import pack

    store = pack(image_index, frame_spec(InputRecipe(size=32)), tmp_path / "store")
    moved = Index(image_index.records, image_index.labels, tmp_path / "gone", "folder")
    picture = case_picture(moved.ids[0], moved, store)
    assert picture is not None
    assert picture.width == 32
    assert case_picture(moved.ids[0], moved, None) is None
