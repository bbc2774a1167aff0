import dataclasses

import numpy as np
import pytest

from lesionlens.core.errors import ArtifactError, DataError, StorageError
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.predictions import Predictions, read_predictions, write_predictions

ARRAYS = ("image_ids", "lesion_ids", "labels", "logits", "age", "sex", "site")


def assert_equal(one: Predictions, other: Predictions) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.label_set, one.origin) == (other.label_set, other.origin)


@pytest.fixture
def path(tmp_path, draw):
    write_predictions(draw(20), tmp_path / "predictions.npz")
    return tmp_path / "predictions.npz"


def rewrite(path, **changed):
    with np.load(path) as archive:
        arrays = {**{name: archive[name] for name in archive.files}, **changed}
    with path.open("wb") as stream:
        np.savez(stream, **{name: array for name, array in arrays.items() if array is not None})


def test_written_and_read_is_equal(path, draw):
    assert_equal(read_predictions(path), draw(20))


def test_same_predictions_give_the_same_bytes(path, draw, tmp_path):
    write_predictions(draw(20), tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_file_holds_no_objects(path):
    with np.load(path, allow_pickle=False) as archive:
        assert {archive[name].dtype.kind for name in archive.files} == {"U", "i", "f"}


def test_pickled_objects_are_refused_unread(path, capsys):
    class Trap:
        def __reduce__(self):
            return print, ("executed",)

    rewrite(path, site=np.array([Trap()] * 20, dtype=object))
    with pytest.raises(ArtifactError, match=r"predictions\.npz holds no valid predictions"):
        read_predictions(path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"logits": np.full((20, 7), np.nan, np.float32)}, "NaN"),
        ({"logits": np.zeros((20, 6), np.float32)}, "must be"),
        ({"logits": np.zeros((20, 7), np.int64)}, "type int64"),
        ({"labels": np.full(20, 7)}, "must lie in"),
        ({"labels": np.zeros(19, np.int64)}, "must be"),
        ({"image_ids": np.array(["same"] * 20)}, "20 times"),
        ({"sex": None}, "sex are missing"),
        ({"extra": np.zeros(1)}, "extra are missing or unknown"),
        ({"meta": np.array("{}")}, "origin"),
        ({"meta": np.array("not json")}, "Expecting value"),
    ],
)
def test_damaged_arrays_are_refused(path, changed, message):
    rewrite(path, **changed)
    with pytest.raises(ArtifactError, match=message):
        read_predictions(path)


@pytest.mark.parametrize("kept", [0, 10, 500, -30])
def test_file_cut_short_is_refused(path, kept):
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    with pytest.raises(ArtifactError, match="lesionlens evaluate"):
        read_predictions(path)


def test_flipped_byte_is_refused(path):
    whole = bytearray(path.read_bytes())
    with np.load(path) as archive:
        place = archive.zip.infolist()[4].header_offset + 80
    whole[place] ^= 0xFF
    path.write_bytes(bytes(whole))
    with pytest.raises(ArtifactError, match="no valid predictions"):
        read_predictions(path)


def test_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist; make it with: lesionlens evaluate"):
        read_predictions(tmp_path / "none.npz")


def test_nothing_is_left_where_writing_fails(path, draw, monkeypatch):
    def full(stream, **arrays):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(StorageError, match="no space left"):
        write_predictions(draw(30), path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_views_of_the_logits(draw):
    predictions = draw(10)
    np.testing.assert_allclose(predictions.probabilities, softmax(predictions.logits))
    np.testing.assert_array_equal(predictions.predicted, predictions.probabilities.argmax(1))
    taken = predictions.take(np.array([3, 1]))
    assert taken.image_ids.tolist() == ["image_0003", "image_0001"]
    np.testing.assert_array_equal(taken.logits, predictions.logits[[3, 1]])


def test_no_images_are_refused(draw):
    with pytest.raises(DataError, match="no images"):
        draw(10).take(np.array([], dtype=np.int64))
    with pytest.raises(DataError, match="age has shape"):
        dataclasses.replace(draw(10), age=np.zeros(9))
