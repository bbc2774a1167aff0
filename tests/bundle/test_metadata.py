"""The metadata of a bundle in NumPy: parity with torch, what is said of them, and what is refused."""

import json
import shutil

import numpy as np
import pytest

from lesionlens.bundle.bundle import read_bundle, write_facts
from lesionlens.bundle.metadata import METADATA_FILE, MetadataFusion, MetadataWeights, read_weights, write_weights
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import BundleError, DataError
from lesionlens.core.metadata import Metadata, encode
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import centre_crop
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.predict import predict_logits
from lesionlens.training.checkpoint import load_network

PATIENTS = (Metadata(55.0, "male"), Metadata(), Metadata(sex="female"), Metadata(age=3.0))


@pytest.fixture(scope="module")
def predictor(metadata_bundle):
    return Predictor(metadata_bundle, runtime="onnxruntime")


@pytest.fixture(scope="module")
def photo(small_run):
    index = Dataset.of_run(Run.at(small_run)).index
    return index.image_path(index.records[0])


def test_the_same_probabilities_as_torch(predictor, metadata_checkpoint, small_run):
    """Within float32 rounding of logits of some units."""
    network, info = load_network(metadata_checkpoint)
    images = Dataset.of_run(Run.at(small_run)).store.images[: len(PATIENTS)]
    logits = predict_logits(network, images, info.spec, precision="fp32", metadata=encode(PATIENTS, ("age", "sex")))
    expected = softmax(logits / predictor.bundle.facts["temperature"]["value"])
    for number, patient in enumerate(PATIENTS):
        pixels = np.ascontiguousarray(centre_crop(images[number : number + 1], info.spec.size))
        alone = predictor.run(pixels).probabilities[0]
        np.testing.assert_allclose(predictor.metadata.apply(alone, patient), expected[number], atol=1e-5)


def test_nothing_known_leaves_every_bit(predictor):
    probabilities = np.array([0.1, 0.2, 0.1, 0.1, 0.2, 0.2, 0.1], np.float32)
    assert predictor.metadata.apply(probabilities, Metadata()) is probabilities
    told = predictor.metadata.apply(probabilities, Metadata(sex="male"))
    assert told.dtype == np.float32
    assert told.sum() == pytest.approx(1)
    assert np.abs(told - probabilities).max() > 0.001


def test_by_hand():
    """One hidden unit for "male"; T = 2: logits (ln 4, 0) / 2 turn even odds into 2 to 1."""
    hidden = np.zeros((1, 3), np.float32)
    hidden[0, 2] = 1.0
    output = np.array([[np.log(4)], [0.0]], np.float32)
    weights = MetadataWeights(hidden, np.zeros(1, np.float32), output, np.zeros((0, 3), np.float32), np.zeros((0, 2), np.float32))
    fusion = MetadataFusion(("sex",), weights, 2.0)
    even = np.array([0.5, 0.5], np.float32)
    np.testing.assert_allclose(fusion.apply(even, Metadata(sex="male")), [2 / 3, 1 / 3], atol=1e-6)
    np.testing.assert_allclose(fusion.apply(even, Metadata(sex="female")), even)
    np.testing.assert_allclose(fusion.apply(np.array([0.0, 1.0], np.float32), Metadata(sex="male")), [0, 1], atol=1e-6)


def test_a_prediction_names_what_was_used_and_what_is_missing(predictor, photo):
    (alone,) = predictor.predict([photo])
    (told,) = predictor.predict([photo], lambda source: Metadata(age=70.0))
    assert alone.metadata == {"used": {}, "missing": ["age", "sex"]}
    assert told.metadata == {"used": {"age": 70.0}, "missing": ["sex"]}
    assert told.to_json()["metadata"] == told.metadata
    assert not np.allclose(alone.probabilities, told.probabilities)
    np.testing.assert_array_equal(alone.maps, told.maps)


def test_what_the_bundle_does_not_take_is_refused(predictor, photo, small_bundle):
    with pytest.raises(DataError, match="site cannot be used: this bundle was trained with age, sex only; leave it out"):
        list(predictor.predict([photo], lambda source: Metadata(site="back")))
    images_only = Predictor(small_bundle, runtime="onnxruntime")
    with pytest.raises(DataError, match="age cannot be used: this bundle was trained on images only; leave it out"):
        list(images_only.predict([photo], lambda source: Metadata(age=50.0)))
    (prediction,) = images_only.predict([photo])
    assert "metadata" not in prediction.to_json()


def changed(metadata_bundle, tmp_path, change):
    """A copy with other metadata weights, its hashes made anew."""
    folder = tmp_path / "bundle"
    shutil.copytree(metadata_bundle, folder)
    change(folder)
    facts = {key: value for key, value in read_bundle(metadata_bundle).facts.items() if key not in ("format", "id", "files")}
    (folder / "bundle.json").unlink()
    write_facts(folder, facts)
    return folder


def test_damaged_and_foreign_weights(metadata_bundle, tmp_path):
    weights = read_weights(metadata_bundle / METADATA_FILE)

    def other_values(folder):
        write_weights(MetadataWeights(**{**vars(weights), "output_weight": weights.output_weight + 1}), folder)

    def other_fields(folder):
        write_weights(MetadataWeights(**{**vars(weights), "hidden_weight": weights.hidden_weight[:, :-1]}), folder)

    def rubbish(folder):
        (folder / METADATA_FILE).write_bytes(b"PK\x03\x04 nothing")

    def not_numbers(folder):
        write_weights(MetadataWeights(**{**vars(weights), "hidden_bias": weights.hidden_bias * np.nan}), folder)

    cases = (
        (other_values, "computes logits .* away from torch's"),
        (other_fields, "is for 12 places, age, sex need 13"),
        (rubbish, "cannot be read"),
        (not_numbers, "other values than finite numbers"),
    )
    for number, (change, message) in enumerate(cases):
        folder = changed(metadata_bundle, tmp_path / str(number), change)
        with pytest.raises(BundleError, match=message):
            Predictor(folder, runtime="onnxruntime")


def test_facts_and_files(metadata_bundle):
    bundle = read_bundle(metadata_bundle)
    assert bundle.facts["metadata"] == {"fields": ["age", "sex"], "choices": {"sex": ["female", "male"]}}
    assert METADATA_FILE in bundle.files
    card = (metadata_bundle / "card.md").read_text(encoding="utf-8")
    assert "## Patient\nBeside the image, the network is told age, sex of the patient." in card
    assert card.index("## Data") < card.index("## Patient") < card.index("## Metrics")
    assert "How they go with diagnoses follows whom the clinics" in card
    json.dumps(bundle.facts["metadata"])
