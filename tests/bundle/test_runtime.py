import dataclasses
import shutil
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.bundle import engines, runtime, selection
from lesionlens.bundle.bundle import open_bundle, read_bundle, write_facts
from lesionlens.bundle.decision import Decision
from lesionlens.bundle.prediction import BundleVariant, Failure, ImageInfo, Prediction
from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.selection import choose
from lesionlens.core.errors import BundleError, ImageError, RecipeError
from lesionlens.data.image import centre_crop, open_image, prepare
from lesionlens.data.index import read_index
from lesionlens.export.graph import GraphNetwork, run_graph
from lesionlens.training.checkpoint import load_network

HEAVY = ("torch", "timm", "sklearn", "matplotlib", "pandas", "scipy", "onnx")


@pytest.fixture(scope="module")
def paths(small_run) -> list[Path]:
    index = read_index(small_run / "index.csv")
    return [index.image_path(record) for record in index.records[:7]]


@pytest.fixture(scope="module", params=["openvino", "onnxruntime"])
def predictor(request, small_bundle) -> Predictor:
    if not engines.installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    return Predictor(small_bundle, runtime=request.param, threads=1)


def test_predictions_are_torchs_on_the_same_files(predictor, small_run, paths):
    network, info = load_network(small_run / "train" / "best.safetensors")
    graph = GraphNetwork(network, info.spec, predictor.bundle.facts["temperature"]["value"])
    pixels = np.stack([centre_crop(prepare(open_image(path), info.spec), info.spec.size) for path in paths])
    wanted = run_graph(graph, pixels)
    found = list(predictor.predict(paths))
    assert [prediction.source for prediction in found] == [str(path) for path in paths]
    np.testing.assert_allclose(np.stack([p.probabilities for p in found]), wanted.probabilities, atol=1e-5)
    np.testing.assert_allclose(np.stack([p.maps for p in found]), wanted.maps, atol=1e-4 * wanted.maps.max())
    np.testing.assert_allclose(np.stack([p.features for p in found]), wanted.features, atol=1e-4 * wanted.features.max())


def test_what_a_prediction_says(predictor, paths):
    (prediction,) = predictor.predict(paths[:1])
    by_code = prediction.by_code
    assert sum(by_code.values()) == pytest.approx(1, abs=1e-6)
    assert prediction.first.code == max(by_code, key=by_code.__getitem__)
    assert prediction.malignant_share == pytest.approx(by_code["akiec"] + by_code["bcc"] + by_code["mel"], abs=1e-6)
    assert prediction.timings_ms.keys() == {"decode", "resize", "network"}
    assert all(value > 0 for value in prediction.timings_ms.values())
    assert prediction.bundle == BundleVariant(predictor.bundle.id, "small", "fp32")
    assert prediction.image == ImageInfo(96, 72, frames=1, frame=0)
    assert prediction.source == str(paths[0])


def test_what_the_gate_is_told(predictor, paths, monkeypatch):
    """The size of the upright original, the pixels that the network sees, and its features."""
    told = []
    check = predictor.gate.check
    monkeypatch.setattr(predictor.gate, "check", lambda *seen: told.append(seen) or check(*seen))
    (prediction,) = predictor.predict(paths[:1])
    size, pixels, features = told[0]
    assert size == open_image(paths[0]).size
    np.testing.assert_array_equal(pixels, centre_crop(prepare(open_image(paths[0]), prediction.spec), prediction.spec.size))
    np.testing.assert_array_equal(features, prediction.features)


def test_an_unusable_image_has_reasons_and_no_diagnosis(predictor, tmp_path):
    Image.new("RGB", (96, 72), (3, 2, 2)).save(tmp_path / "night.png")
    (prediction,) = predictor.predict([tmp_path / "night.png"])
    assert prediction.outcome == "not_usable"
    assert {"blurred", "too_dark"} <= set(prediction.gate_result.reasons)
    row = prediction.to_json()
    assert (row["outcome"], row["diagnosis"], row["malignant_share"], row["probabilities"]) == ("not_usable", None, None, [])
    assert not row["gate"]["usable"]
    assert row["explanation"].startswith("Not usable")


def test_not_sure_is_no_diagnosis_but_keeps_the_probabilities(predictor, paths):
    (prediction,) = predictor.predict(paths[:1])
    watched = tuple(code for code in predictor.bundle.labels.codes if code != prediction.first.code)
    unsure = dataclasses.replace(prediction, gate_result=None, decision=Decision(watched, 0.95, 0.0))
    row = unsure.to_json()
    assert (row["outcome"], row["diagnosis"], row["gate"]) == ("not_sure", None, None)
    assert sum(each["probability"] for each in row["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert row["malignant_share"] is not None
    assert row["explanation"].startswith("Not sure: have a person look")


def test_too_few_melanomas_are_said_in_every_answer(predictor, paths):
    assert predictor.decision.threshold is None  # the small run has a handful of lesions
    (prediction,) = predictor.predict(paths[:1])
    usable = dataclasses.replace(prediction, gate_result=None)
    assert usable.outcome == "diagnosis"
    assert 'no calibrated outcome "not sure"' in usable.explanation


def test_a_bundle_from_before_there_were_gates(small_bundle, paths, tmp_path):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    (copy / "gate.npz").unlink()
    left_out = ("format", "id", "files", "gate", "decision")
    write_facts(copy, {key: value for key, value in read_bundle(copy).facts.items() if key not in left_out})
    (prediction,) = Predictor(copy, threads=1).predict(paths[:1])
    assert prediction.gate_result is None
    assert prediction.decision is None
    row = prediction.to_json()
    assert (row["outcome"], row["gate"], row["diagnosis"]) == ("diagnosis", None, prediction.first.code)
    assert "no gate" in row["explanation"]


def test_text_and_bytes_are_as_good_as_a_path(predictor, paths):
    one, text, other = predictor.predict([paths[0], str(paths[0]), paths[0].read_bytes()])
    assert (one.source, text.source, other.source) == (str(paths[0]), str(paths[0]), "")
    np.testing.assert_array_equal(one.probabilities, text.probabilities)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


@pytest.mark.parametrize("batch_size", [2, 4, 16])
def test_batches_change_nothing(small_bundle, predictor, paths, batch_size):
    batched = Predictor(small_bundle, runtime=predictor.runtime, threads=1, batch_size=batch_size, workers=2)
    one_by_one, in_batches = list(predictor.predict(paths)), list(batched.predict(paths))
    assert [p.source for p in in_batches] == [str(path) for path in paths]
    for one, other in zip(one_by_one, in_batches, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_broken_images_are_named_and_the_rest_goes_on(small_bundle, paths, tmp_path, batch_size):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes(paths[1].read_bytes()[:300])
    mixed = [paths[0], tmp_path / "empty.jpg", paths[1], tmp_path / "cut.jpg", tmp_path / "none.jpg", paths[2], b""]
    results = list(Predictor(small_bundle, batch_size=batch_size, threads=1).attempt(mixed))
    assert [result.source for result in results] == [str(item) if isinstance(item, Path) else "" for item in mixed]
    assert [type(result) for result in results] == [Prediction, Failure, Prediction, Failure, Failure, Prediction, Failure]
    assert "0 bytes" in str(results[1].error)


def test_predict_stops_at_a_broken_image(predictor, paths, tmp_path):
    results = predictor.predict([paths[0], tmp_path / "none.jpg", paths[1]])
    assert next(results).source == str(paths[0])
    with pytest.raises(ImageError, match="cannot be read"):
        next(results)


def test_sources_are_taken_only_as_fast_as_they_are_worked_off(small_bundle, paths):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield paths[0]

    results = Predictor(small_bundle, threads=1, batch_size=2, workers=2).attempt(endless())
    for _ in range(10):
        next(results)
    assert taken <= 10 + 2 * 2 + 2
    results.close()
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(small_bundle, paths):
    predictor = Predictor(small_bundle, threads=1, batch_size=4)
    sum(1 for _ in predictor.predict(paths * 3))
    tracemalloc.start()
    peaks = []
    for count in (20, 200):
        tracemalloc.reset_peak()
        assert sum(1 for _ in predictor.predict(path for _ in range(count // 5) for path in paths[:5])) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert peaks[1] < peaks[0] + 300_000


def test_no_images_are_no_error(predictor):
    assert list(predictor.predict([])) == []


def test_several_threads_may_ask_at_once(predictor, paths):
    expected = [p.probabilities for p in predictor.predict(paths)]
    found: dict[int, list[np.ndarray]] = {}

    def ask(number: int) -> None:
        found[number] = [p.probabilities for p in predictor.predict(paths)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        np.testing.assert_allclose(found[number], expected, atol=1e-6)


def test_openvino_is_taken_where_it_is_installed(small_bundle, monkeypatch):
    bundle = open_bundle(small_bundle)
    monkeypatch.setattr(selection, "installed", lambda name: True)
    assert choose(bundle)[1] == "openvino"
    monkeypatch.setattr(selection, "installed", lambda name: name == "onnxruntime")
    variant, chosen, notes = choose(bundle)
    assert (variant.name, chosen, notes) == ("fp32", "onnxruntime", ())
    with pytest.raises(BundleError, match="openvino was asked for and installed here is onnxruntime"):
        choose(bundle, "openvino")
    monkeypatch.setattr(selection, "installed", lambda name: False)
    with pytest.raises(BundleError, match="installed here is none"):
        choose(bundle)


def test_fp32_stands_in_for_a_default_that_this_processor_cannot_compute(small_bundle, monkeypatch):
    bundle = open_bundle(small_bundle)
    bf16 = dataclasses.replace(bundle.variants["fp32"], name="bf16", graphs={"openvino": "model.onnx"}, precision="bf16")
    other = dataclasses.replace(bundle, variants={**bundle.variants, "bf16": bf16}, default_variant="bf16")
    monkeypatch.setattr(selection, "installed", lambda name: True)
    monkeypatch.setattr(selection, "computes_in", lambda name, precision: precision == "fp32")
    variant, _, notes = choose(other)
    assert variant.name == "fp32"
    assert notes == ("variant 'bf16' needs openvino on a processor with bf16, which is not here; running fp32 instead",)
    assert choose(other, variant="bf16")[0].name == "bf16"  # asked for by name: loading it says what is missing
    monkeypatch.setattr(selection, "computes_in", lambda name, precision: True)
    assert choose(other)[0].name == "bf16"


def test_slow_int8_is_said(small_bundle, monkeypatch):
    bundle = open_bundle(small_bundle)
    int8 = dataclasses.replace(bundle.variants["fp32"], name="int8")
    other = dataclasses.replace(bundle, variants={**bundle.variants, "int8": int8}, default_variant="int8")
    for fast, count in ((False, 1), (True, 0), (None, 0)):
        monkeypatch.setattr(selection, "fast_int8", lambda fast=fast: fast)
        notes = choose(other)[2]
        assert len(notes) == count
        assert all("has no int8 products (VNNI)" in text for text in notes)


@pytest.mark.parametrize("arguments", [{"runtime": "tensorrt"}, {"threads": -1}, {"batch_size": 0}, {"workers": 0}])
def test_arguments_are_checked(small_bundle, arguments):
    with pytest.raises(RecipeError):
        Predictor(small_bundle, **arguments)


def test_a_damaged_bundle_is_not_run(small_bundle, tmp_path):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    (copy / "card.md").unlink()
    with pytest.raises(BundleError, match=r"card\.md is missing"):
        Predictor(copy)


def test_a_changed_graph_is_never_loaded(small_bundle, tmp_path, monkeypatch):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    content = bytearray((copy / "model.onnx").read_bytes())
    content[-1] ^= 1
    (copy / "model.onnx").write_bytes(content)
    monkeypatch.setattr(runtime, "load_variant", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(BundleError, match=r"the bytes of model\.onnx have changed"):
        Predictor(copy)


def test_a_change_beside_the_graph_is_found_before_the_first_run(small_bundle, tmp_path, monkeypatch):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    content = bytearray((copy / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(content)
    monkeypatch.setattr(runtime, "run_selftest", lambda *_: pytest.fail("it was run"))
    with pytest.raises(BundleError, match=r"the bytes of weights\.safetensors have changed"):
        Predictor(copy)


def test_photographs_with_exif_rotation_are_upright(predictor, paths, tmp_path):
    image = open_image(paths[0])
    turned = image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    image.save(tmp_path / "upright.png")
    one, other = predictor.predict([tmp_path / "turned.png", tmp_path / "upright.png"])
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_running_a_bundle_loads_nothing_heavy(small_bundle, paths, tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from lesionlens.bundle.runtime import Predictor\n"
        "from lesionlens.bundle.picture import heat_map\n"
        f"path = Path({str(paths[0])!r})\n"
        f"for prediction in Predictor(Path({str(small_bundle)!r})).predict([path]):\n"
        "    heat_map(prediction, path)\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
