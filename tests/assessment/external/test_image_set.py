from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.assessment.external.image_set import cluster_names, read_images, size_and_format
from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec, decode_image, prepare
from lesionlens.data.index import Index, Record

SPEC = InputSpec(32, 40, "short_side", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def index_of(folder: Path, records: list[Record]) -> Index:
    return Index(tuple(records), HAM10000, folder, "folder")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (64, 48)), ("b.jpg", (50, 60))):
        Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "empty.jpg").write_bytes(b"")
    return tmp_path


def test_frames_are_those_of_the_one_implementation(photos: Path) -> None:
    records = [Record("a", "a.png", "nv", "L1"), Record("bad", "empty.jpg", "nv", "L2"), Record("b", "b.jpg", "mel", "L3")]
    with read_images(index_of(photos, records), SPEC) as images:
        assert [record.image_id for record in images.records] == ["a", "b"]
        for number, name in enumerate(("a.png", "b.jpg")):
            assert np.array_equal(images.frames[number], prepare(decode_image(photos / name).image, SPEC))
        assert images.sizes.tolist() == [[64, 48], [50, 60]]
        assert images.formats == ("PNG", "JPEG")
        assert list(images.unreadable) == ["bad"]
        assert "empty" in images.unreadable["bad"]
        assert images.colours[0, 0] == pytest.approx(images.frames[0][..., 0].mean() / 255, abs=1e-5)


def test_nothing_readable_is_an_error_in_one_line(photos: Path) -> None:
    records = [Record("bad", "empty.jpg", "nv", "L2"), Record("gone", "gone.jpg", "nv", "L3")]
    with pytest.raises(DataError, match="none of the 2 external images can be read") as error:
        read_images(index_of(photos, records), SPEC).__enter__()
    assert "\n" not in str(error.value)


def test_the_temporary_frames_are_removed(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with read_images(index_of(photos, [Record("a", "a.png", "nv", "L1")]), SPEC):
        assert list(place.iterdir())
    assert not list(place.iterdir())


def test_a_size_that_the_header_does_not_tell(photos: Path) -> None:
    assert size_and_format(photos / "b.jpg") == ((50, 60), "JPEG")


def test_lesions_and_patients(tmp_path: Path) -> None:
    records = [
        Record("1", "1.jpg", "nv", "L2", patient_id="P"),
        Record("2", "2.jpg", "nv", "L1", patient_id="P"),
        Record("3", "3.jpg", "nv", "L1", patient_id="P"),
        Record("4", "4.jpg", "nv", "L4"),
    ]
    index = index_of(tmp_path, records)
    assert cluster_names(index, index.records, by_patient=False).tolist() == ["L2", "L1", "L1", "L4"]
    assert cluster_names(index, index.records, by_patient=True).tolist() == ["L1", "L1", "L1", "L4"]
    assert cluster_names(index, index.records[3:], by_patient=True).tolist() == ["L4"]
