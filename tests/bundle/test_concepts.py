"""Concepts of a bundle: equal to torch's, for a network with and without LayerNorm, and damaged ones."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.concepts import CONCEPTS_FILE, ConceptReader, concept_facts, read_weights, write_weights
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import BundleError
from lesionlens.core.run import Run
from lesionlens.data.concepts import ConceptUnit
from lesionlens.data.dataset import Dataset
from lesionlens.data.image import centre_crop
from lesionlens.export.concepts import concept_weights
from lesionlens.export.export import ExportSettings, export
from lesionlens.export.graph import GraphNetwork, run_graph
from lesionlens.models.build import Normalise, build_network
from lesionlens.models.concept_bottleneck import bottleneck_of, install_bottleneck
from lesionlens.serving.schemas import PredictionBody
from lesionlens.training.checkpoint import load_network, save_network

pytestmark = pytest.mark.slow

UNITS = (ConceptUnit("streaks", "streaks"), ConceptUnit("colours", "colours", low=1.0, high=6.0), ConceptUnit("veil", "veil"))


@pytest.fixture(scope="module")
def checkpoint(small_run, tmp_path_factory):
    """The small run's network with a bottleneck of three concepts, and its data set."""
    from dataclasses import replace

    torch.manual_seed(3)
    network, info = load_network(Run.at(small_run).best)
    install_bottleneck(network, len(UNITS))
    nn.init.normal_(bottleneck_of(network).concepts.weight)
    path = tmp_path_factory.mktemp("concepts") / "best.safetensors"
    facts = {"units": [unit.to_json() for unit in UNITS], "hash": "0"}
    save_network(network, replace(info, concepts=facts), path)
    return path


@pytest.fixture(scope="module")
def bundle(checkpoint, small_run):
    settings = ExportSettings(compared_images=4, selftest_images=2, gate_images=0)
    return export(checkpoint, Dataset.of_run(Run.at(small_run)), checkpoint.parent / "bundle", settings=settings)


@pytest.mark.parametrize("name", ["test_convnext", "mobilenetv2_100"])
def test_numpy_computes_what_torch_computes(name, small_run):
    from lesionlens.core.recipe import ModelRecipe

    torch.manual_seed(1)
    _, info = load_network(Run.at(small_run).best)
    network = build_network(ModelRecipe(name, weights="none"), 7, info.spec.size)
    install_bottleneck(network, 3)
    graph = GraphNetwork(network, info.spec)
    images = np.random.default_rng(0).integers(0, 256, (3, info.spec.size, info.spec.size, 3), np.uint8)
    outputs = run_graph(graph, images)
    weights = concept_weights(bottleneck_of(network), graph, outputs.features)
    seen = []
    bottleneck_of(network).concepts.register_forward_hook(lambda layer, inputs, output: seen.append(output))
    with torch.no_grad():
        network(Normalise(info.spec.mean, info.spec.std)(torch.from_numpy(images).permute(0, 3, 1, 2)))
    np.testing.assert_allclose(weights.logits(outputs.features.astype(np.float64)), seen[0].numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.slow  # exports a bundle of its own
def test_a_prediction_names_its_concepts(bundle, small_run):
    dataset = Dataset.of_run(Run.at(small_run))
    path = dataset.index.image_path(dataset.records("test")[0])
    (prediction,) = Predictor(bundle.path).predict([path])
    body = prediction.to_json()
    assert [each["name"] for each in body["concepts"]] == ["streaks", "colours", "veil"]
    assert all(0 <= each["value"] <= 1 for each in body["concepts"])
    streaks, colours, _ = body["concepts"]
    assert "estimate" not in streaks
    assert colours["estimate"] == pytest.approx(1 + 5 * colours["value"], abs=1e-3)
    PredictionBody.model_validate(json.loads(json.dumps(body)))


@pytest.mark.slow  # exports a bundle of its own
def test_contributions_add_up_to_the_logit(bundle, small_run, checkpoint):
    """With the bias of the diagnosis they are its logit: nothing else enters it."""
    dataset, (network, info) = Dataset.of_run(Run.at(small_run)), load_network(checkpoint)
    row = dataset.store.rows(dataset.ids("test")[:1])
    pixels = np.ascontiguousarray(centre_crop(dataset.store.images[row], info.spec.size))
    graph = GraphNetwork(network, info.spec)
    outputs = run_graph(graph, pixels)
    first = int(outputs.probabilities[0].argmax())
    concepts = ConceptReader.from_bundle(bundle).read(outputs.features[0], first)
    with torch.no_grad():
        logits = network(Normalise(info.spec.mean, info.spec.std)(torch.from_numpy(pixels).permute(0, 3, 1, 2)))
    bias = float(bottleneck_of(network).diagnoses.bias.detach()[first])
    assert sum(each["contribution"] for each in concepts) + bias == pytest.approx(float(logits[0, first]), abs=1e-3)


@pytest.mark.slow  # exports a bundle of its own
def test_the_card_names_them(bundle):
    text = (bundle.path / "card.md").read_text()
    assert "## Concepts\nThe network estimates 3 concepts, streaks, colours, veil, and its diagnoses follow" in text
    assert bundle.facts["concepts"] == concept_facts({"units": [unit.to_json() for unit in UNITS]})


def test_a_bundle_without_concepts_says_nothing_of_them(small_bundle):
    assert ConceptReader.from_bundle(open_bundle(small_bundle)) is None
    assert "## Concepts" not in (small_bundle / "card.md").read_text()


@pytest.mark.slow  # exports a bundle of its own
def test_damaged_weights(bundle, tmp_path):
    weights = read_weights(bundle.path / CONCEPTS_FILE)
    with pytest.raises(BundleError, match="has 3 concepts, the bundle names 2"):
        ConceptReader(UNITS[:2], weights)
    weights.concept_bias[0] += 1
    with pytest.raises(BundleError, match=r"computes values .* away from torch's; export the bundle again"):
        ConceptReader(UNITS, weights)
    weights.concept_bias[0] = np.nan
    write_weights(weights, tmp_path)
    with pytest.raises(BundleError, match="other values than finite numbers"):
        read_weights(tmp_path / CONCEPTS_FILE)
    (tmp_path / CONCEPTS_FILE).write_bytes(b"PK")
    with pytest.raises(BundleError, match="cannot be read"):
        read_weights(tmp_path / CONCEPTS_FILE)
    shutil.rmtree(tmp_path)
