import numpy as np
import onnx
import pytest
import torch

from lesionlens.bundle.engines import Limits, load_engine
from lesionlens.bundle.outputs import Tolerance, differences
from lesionlens.bundle.selftest import run_batches
from lesionlens.core.errors import ModelError
from lesionlens.data.image import InputSpec
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.predict import predict_logits
from lesionlens.explanation.cam import ExplainedNetwork
from lesionlens.export.graph import GraphNetwork, run_graph, write_graph
from lesionlens.models.build import Normalise
from lesionlens.models.operators import timm

SPEC = InputSpec(size=64, frame=64, resize="squash", mean=(0.7, 0.5, 0.4), std=(0.2, 0.25, 0.3))


def network_of(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    network: torch.nn.Module = timm().create_model(name, pretrained=False, num_classes=5).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["test_convnext", "mobilenetv2_035", "mobilenetv3_small_050"])
def test_probabilities_are_those_of_evaluation_at_that_temperature(name, images):
    network = network_of(name)
    logits = predict_logits(network, images, SPEC, precision="fp32")
    found = run_graph(GraphNetwork(network, SPEC, 2.5), images, batch_size=2)
    np.testing.assert_allclose(found.probabilities, softmax(logits / 2.5), atol=1e-6)


def test_maps_and_features_are_those_of_the_explained_network(images):
    network = network_of("test_convnext")
    floats = Normalise(SPEC.mean, SPEC.std)(torch.from_numpy(images).permute(0, 3, 1, 2))
    with torch.no_grad():
        _, features, maps = ExplainedNetwork(network)(floats)
    found = run_graph(GraphNetwork(network, SPEC, 2.5), images)
    np.testing.assert_allclose(found.features, features.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.maps, maps.numpy(), atol=1e-5)


@pytest.mark.slow  # a transformer is traced and compiled
def test_averaged_tokens_have_maps_in_the_exported_graph(tmp_path):
    network = network_of("test_vit2")
    spec = InputSpec(size=160, frame=160, resize="squash", mean=SPEC.mean, std=SPEC.std)
    images = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)
    graph = GraphNetwork(network, spec)
    write_graph(graph, tmp_path / "model.onnx")
    wanted = run_graph(graph, images)
    assert wanted.maps is not None
    assert wanted.maps.shape == (3, 5, 10, 10)
    found = run_batches(load_engine("onnxruntime", tmp_path / "model.onnx", 160, "fp32", Limits(1, 2)), images, 2)
    for difference in differences(found, wanted).values():
        assert difference < 1e-3


def test_a_network_without_closed_form_gives_no_maps(images):
    network = network_of("mobilenetv3_small_050")
    graph = GraphNetwork(network, SPEC)
    assert not graph.has_maps
    assert graph.output_names == ("probabilities", "features")
    found = run_graph(graph, images)
    assert found.maps is None
    assert found.features.shape == (5, network.head_hidden_size)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_resnet", "test_mambaout"])
def test_the_written_graph_computes_the_same_for_any_batch(name, images, tmp_path):
    graph = GraphNetwork(network_of(name), SPEC, 1.5)
    write_graph(graph, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    wanted = run_graph(graph, images)
    for batch_size in (1, 3, 5):
        engine = load_engine("onnxruntime", tmp_path / "model.onnx", 64, "fp32", Limits(1, batch_size))
        found = differences(run_batches(engine, images, batch_size), wanted)
        assert not Tolerance().broken_by(found)


@pytest.mark.slow
def test_weights_beyond_one_file_lie_beside_it(images, tmp_path, monkeypatch):
    monkeypatch.setattr("lesionlens.export.graph.LARGEST_FILE_BYTES", 1000)
    graph = GraphNetwork(network_of("test_resnet"), SPEC)
    write_graph(graph, tmp_path / "model.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    engine = load_engine("onnxruntime", tmp_path / "model.onnx", 64, "fp32", Limits(1))
    assert not Tolerance().broken_by(differences(run_batches(engine, images, 1), run_graph(graph, images)))


def test_temperature_must_be_positive():
    with pytest.raises(ModelError, match="temperature 0"):
        GraphNetwork(network_of("test_resnet"), SPEC, 0)


class Odd(torch.nn.Module):
    """A network that decides by its values, which no graph can."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = torch.nn.Linear(3, 2)

    def get_classifier(self) -> torch.nn.Linear:
        return self.classifier

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        return images if float(images.mean()) > 0 else -images

    def forward_head(self, cells: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        pooled = cells.amax((2, 3))
        return pooled if pre_logits else self.classifier(pooled)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(images))


@pytest.mark.slow
def test_a_network_that_cannot_be_written(tmp_path):
    with pytest.raises(ModelError, match="Odd cannot be written as ONNX"):
        write_graph(GraphNetwork(Odd(), SPEC), tmp_path / "model.onnx")
