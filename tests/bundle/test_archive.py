from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.bundle import archive
from lesionlens.bundle.archive import Overlays, predict_archive
from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.picture import heat_map
from lesionlens.bundle.prediction import Failure, Prediction
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import BundleError, DataError
from lesionlens.data.index import read_index


@pytest.fixture(scope="module")
def predictor(small_bundle):
    return Predictor(small_bundle, threads=1)


@pytest.fixture(scope="module")
def paths(small_run):
    index = read_index(small_run / "index.csv")
    return [index.image_path(record) for record in index.records[:3]]


def test_every_result_has_its_heat_map_on_disk(predictor, paths, tmp_path):
    overlays = Overlays(tmp_path / "maps", "mel")
    overlays.check(predictor.bundle)
    for result in predict_archive(predictor, paths, overlays):
        assert isinstance(result, Prediction)
        with Image.open(overlays.path_of(Path(result.source))) as drawn:
            np.testing.assert_array_equal(drawn, heat_map(result, Path(result.source), "mel"))
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 3


def test_broken_images_are_reported_and_have_none(predictor, paths, tmp_path):
    reported: list[Failure] = []
    mixed = [paths[0], tmp_path / "none.jpg", paths[1]]
    results = list(predict_archive(predictor, mixed, Overlays(tmp_path / "maps"), reported.append))
    assert [isinstance(result, Failure) for result in results] == [False, True, False]
    assert reported == [results[1]]
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 2


def test_an_image_that_vanishes_before_it_is_drawn(predictor, paths, tmp_path, monkeypatch):
    path = tmp_path / "image.jpg"
    path.write_bytes(paths[0].read_bytes())
    draw = archive.heat_map

    def vanish(prediction, source, code):
        path.unlink(missing_ok=True)
        return draw(prediction, source, code)

    monkeypatch.setattr(archive, "heat_map", vanish)
    (result,) = predict_archive(predictor, [path], Overlays(tmp_path / "maps"))
    assert isinstance(result, Failure)


def test_different_images_never_share_a_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overlays = Overlays(Path("maps"))
    sources = ["a.jpg", "a.png", "x/a.jpg", "/x/y/a.jpg", "../a.jpg", "x/../b.jpg", f"{tmp_path}/c.jpg"]
    places = [overlays.path_of(Path(source)) for source in sources]
    assert len(set(places)) == len(places)
    assert places[0] == Path("maps/a.jpg.png")
    assert places[2] == Path("maps/x/a.jpg.png")
    assert all(place.resolve().is_relative_to(tmp_path / "maps") for place in places)


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_a_name_as_long_as_a_system_allows(predictor, paths, tmp_path, letter):
    count = 251 // len(letter.encode())
    sources = [tmp_path / f"{letter * count}.jpg", tmp_path / f"{letter * (count - 1)}y.jpg"]
    for source in sources:
        source.write_bytes(paths[0].read_bytes())
    results = list(predict_archive(predictor, sources, Overlays(tmp_path / "maps")))
    assert all(isinstance(result, Prediction) for result in results)
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 2


def test_what_cannot_be_drawn_is_said_before_the_first_image(small_bundle, tmp_path):
    bundle = open_bundle(small_bundle)
    with pytest.raises(DataError, match="unknown diagnosis 'xyz'"):
        Overlays(tmp_path, "xyz").check(bundle)
    bundle.outputs["maps"] = None
    with pytest.raises(BundleError, match="gives no heat maps"):
        Overlays(tmp_path).check(bundle)
