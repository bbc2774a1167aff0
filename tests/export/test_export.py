import dataclasses
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.outputs import Tolerance
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import BundleError, CheckpointError, ModelError, RecipeError
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import read_index
from lesionlens.data.split import read_split
from lesionlens.data.store import Store
from lesionlens.evaluation.calibration import softmax
from lesionlens.evaluation.evaluate import PredictionSettings, predict_split
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.evaluation.temperature import fit_temperature
from lesionlens.export import export as export_module
from lesionlens.export.decision_fit import fit_decision
from lesionlens.export.export import ExportSettings, comparison_images, export, images_to_process
from lesionlens.training.checkpoint import load_network


@pytest.fixture(scope="module")
def dataset(small_run):
    index = read_index(small_run / "index.csv")
    return Dataset(index, read_split(small_run / "split.json", index), Store.open(small_run / "store"))


def test_the_folder_holds_the_bundle_and_nothing_else(small_bundle):
    names = {
        "bundle.json",
        "card.html",
        "card.md",
        "gate.npz",
        "model.onnx",
        "reference.npz",
        "selftest.npz",
        "weights.safetensors",
    }
    assert {path.name for path in small_bundle.iterdir()} == names
    assert not [path for path in small_bundle.parent.iterdir() if path.name.startswith(".")]


def test_facts_say_where_the_network_comes_from(small_bundle, small_run, dataset):
    facts = open_bundle(small_bundle).facts
    hashes = facts["origin"]["hashes"]
    assert hashes["checkpoint"] == hash_file(small_run / "train" / "best.safetensors")
    assert (hashes["index"], hashes["split"]) == (dataset.index.hash, dataset.split.hash)
    assert facts["origin"]["source"] == "synthetic"
    assert "no patient" in facts["licences"]["data"]
    assert facts["origin"]["leak_statement"].endswith(": 0.0 % of test images show a lesion that is also in training.")
    assert "not a medical device" in facts["intended_use"]["status"]
    assert set(facts["variants"]["fp32"]["comparison"]["runtimes"]) >= {"onnxruntime"}


def test_temperature_is_the_best_one_of_the_validation_part(small_bundle, small_run, dataset):
    fitted = open_bundle(small_bundle).facts["temperature"]
    checkpoint = small_run / "train" / "best.safetensors"
    settings = PredictionSettings(split="validation", views=1)
    validation = predict_split(checkpoint, dataset, settings)
    assert fitted["value"] == pytest.approx(fit_temperature(validation.logits.astype(float), validation.labels))
    assert fitted["n_images"] == len(dataset.split.ids["validation"])
    assert fitted["nll_after"] <= fitted["nll_before"]


def test_scores_are_of_what_the_bundle_answers(small_bundle, small_run):
    facts = open_bundle(small_bundle).facts
    plain = json.loads((small_run / "scores.json").read_text())
    assert facts["scores"]["metrics"]["accuracy"] == plain["metrics"]["accuracy"]
    assert facts["scores"]["metrics"]["nll"] != plain["metrics"]["nll"]


@pytest.mark.slow
def test_scores_over_several_views_are_measured_again_with_one(small_bundle, small_run, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "write_graph", lambda graph, path: shutil.copyfile(small_bundle / "model.onnx", path))
    checkpoint, told = small_run / "train" / "best.safetensors", []
    views = {count: predict_split(checkpoint, dataset, PredictionSettings(split="test", views=count)) for count in (1, 8)}
    assert not np.allclose(views[1].logits, views[8].logits)
    settings = ExportSettings(gate_images=0, compared_images=1, selftest_images=1)
    made = export(checkpoint, dataset, tmp_path / "out", views[8], settings, told.append)
    assert made.facts["scores"]["views"] == 1
    assert made.facts["scores"]["metrics"]["nll"] == open_bundle(small_bundle).facts["scores"]["metrics"]["nll"]
    assert sum(told) == images_to_process(dataset.split, settings, views[8])


def test_weights_are_the_checkpoint(small_bundle, small_run):
    network, info = load_network(small_bundle / "weights.safetensors")
    expected, _ = load_network(small_run / "train" / "best.safetensors")
    assert info.recipe.name == "small"
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_graph_tells_nothing_of_the_machine_that_wrote_it(small_bundle):
    model = onnx.load(small_bundle / "model.onnx")
    assert not model.graph.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert model.opset_import[0].version == 20
    for weight in model.graph.initializer:  # random bytes may spell anything
        weight.ClearField("raw_data")
    described = model.SerializeToString()
    assert 1000 < len(described) < (small_bundle / "model.onnx").stat().st_size
    for trace in (b".py", b"site-packages", str(Path(__file__).parents[2]).encode(), str(small_bundle.parent).encode()):
        assert trace not in described, trace


def test_the_graph_is_one_file_of_standard_operators(small_bundle):
    model = onnx.load(small_bundle / "model.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} == {""}
    assert not any(weight.external_data for weight in model.graph.initializer)


def test_weights_are_a_header_and_numbers(small_bundle):
    """A safetensors file is a length, a JSON header and tensors end to end: there is no room for anything that runs."""
    content = (small_bundle / "weights.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__")
    spans = sorted(tensor["data_offsets"] for tensor in header.values())
    assert {tensor["dtype"] for tensor in header.values()} <= {"F32", "I64"}
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == len(content) - 8 - length


def test_arrays_hold_no_python_objects(small_bundle):
    """An .npz is a zip file, and NumPy stores an array of objects as a pickle."""
    for path in small_bundle.glob("*.npz"):
        with zipfile.ZipFile(path) as archive:
            assert all(name.endswith(".npy") for name in archive.namelist())
        with np.load(path, allow_pickle=False) as arrays:
            assert arrays.files
            assert not any(arrays[name].dtype.hasobject for name in arrays.files), path.name
    others = [path for path in small_bundle.iterdir() if path.suffix != ".npz"]
    assert not any(zipfile.is_zipfile(path) or path.read_bytes()[:1] == b"\x80" for path in others)  # torch.save, pickle


@pytest.mark.slow
def test_two_exports_are_one_bundle(small_bundle, small_run, dataset, tmp_path):
    checkpoint, settings = small_run / "train" / "best.safetensors", ExportSettings(compared_images=8, selftest_images=3)
    again = export(checkpoint, dataset, tmp_path / "again", read_predictions(small_run / "predictions.npz"), settings)
    assert again.id == open_bundle(small_bundle).id


@pytest.mark.slow
def test_a_graph_that_computes_something_else_leaves_nothing(small_bundle, small_run, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "write_graph", lambda graph, path: shutil.copyfile(small_bundle / "model.onnx", path))
    monkeypatch.setattr(export_module, "fit_temperature", lambda logits, labels: 17.0)
    with pytest.raises(ModelError, match="computes something else than torch on"):
        export(small_run / "train" / "best.safetensors", dataset, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_tolerance_that_cannot_be_met_fails(small_bundle, small_run, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "write_graph", lambda graph, path: shutil.copyfile(small_bundle / "model.onnx", path))
    settings = ExportSettings(tolerance=Tolerance(probabilities=1e-12, features=1e-12, maps=1e-12), compared_images=4)
    with pytest.raises(ModelError, match="Nothing was written"):
        export(small_run / "train" / "best.safetensors", dataset, tmp_path / "out", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_predictions_of_another_checkpoint_are_refused(small_run, dataset, tmp_path):
    network, info = load_network(small_run / "train" / "best.safetensors")
    from lesionlens.training.checkpoint import save_network

    torch.nn.init.zeros_(network.get_classifier().weight)
    save_network(network, info, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="predictions are of another checkpoint"):
        export(tmp_path / "other.safetensors", dataset, tmp_path / "out", read_predictions(small_run / "predictions.npz"))


def test_something_that_is_no_bundle_is_not_replaced(small_run, dataset, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="is not a bundle"):
        export(small_run / "train" / "best.safetensors", dataset, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_settings_are_checked():
    with pytest.raises(RecipeError, match="at most as many as are compared"):
        ExportSettings(compared_images=2, selftest_images=3)


@pytest.mark.parametrize(
    "settings", [{"rejection_rate": 0.5}, {"rejection_rate": 0}, {"sensitivity": 1}, {"gate_images": -1}], ids=str
)
def test_settings_of_gate_and_third_answer_are_checked(settings):
    with pytest.raises(RecipeError):
        ExportSettings(**settings)


def test_no_gate_on_request(small_bundle, small_run, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "write_graph", lambda graph, path: shutil.copyfile(small_bundle / "model.onnx", path))
    told: list[int] = []
    settings = ExportSettings(gate_images=0, compared_images=1, selftest_images=1)
    made = export(small_run / "train" / "best.safetensors", dataset, tmp_path / "out", None, settings, told.append)
    assert made.facts["gate"] is None
    assert not (made.path / "gate.npz").exists()
    assert "is not checked" in (made.path / "card.md").read_text()
    assert sum(told) == images_to_process(dataset.split, settings) == len(dataset.split.ids["validation"])


@pytest.mark.slow
def test_progress_adds_up(small_bundle, small_run, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "write_graph", lambda graph, path: shutil.copyfile(small_bundle / "model.onnx", path))
    told: list[int] = []
    settings = ExportSettings(gate_images=30, compared_images=1, selftest_images=1, rejection_rate=0.1)
    made = export(small_run / "train" / "best.safetensors", dataset, tmp_path / "out", None, settings, told.append)
    assert sum(told) == images_to_process(dataset.split, settings)
    assert made.facts["gate"]["fitted"]["n_images"] == 30
    assert made.facts["gate"]["rejection_rate"] == 0.1


def test_the_third_answer_is_chosen_on_what_the_bundle_says(small_bundle, small_run, dataset):
    facts = open_bundle(small_bundle).facts
    settings = PredictionSettings(split="validation", views=1)
    found = predict_split(small_run / "train" / "best.safetensors", dataset, settings)
    melanomas = found.labels == found.label_set.index("mel")
    assert facts["decision"]["threshold"] is None
    assert facts["decision"]["validation"]["n_watched"] == melanomas.sum()
    assert facts["decision"]["validation"]["n_lesions"] == len(np.unique(found.lesion_ids[melanomas]))


def test_the_threshold_is_fitted_on_calibrated_probabilities(small_bundle, small_run, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "write_graph", lambda graph, path: shutil.copyfile(small_bundle / "model.onnx", path))
    checkpoint = small_run / "train" / "best.safetensors"
    settings = ExportSettings(sensitivity=0.5, gate_images=0, compared_images=1, selftest_images=1)
    facts = export(checkpoint, dataset, tmp_path / "out", settings=settings).facts
    validation = predict_split(checkpoint, dataset, PredictionSettings(split="validation", views=1))

    def threshold(temperature: float) -> float | None:
        probabilities = softmax(validation.logits / temperature)
        return fit_decision(probabilities, validation.labels, validation.lesion_ids, validation.label_set, 0.5).threshold

    assert threshold(1.0) is not None
    assert facts["decision"]["threshold"] == threshold(facts["temperature"]["value"]) != threshold(1.0)


def test_comparison_images_are_spread_over_the_part(dataset, small_run):
    _, info = load_network(small_run / "train" / "best.safetensors")
    ids = np.array(dataset.split.ids["validation"])
    images = comparison_images(ids, dataset.store, info.spec, 4)
    assert images.shape == (4, 64, 64, 3)
    frames = dataset.store.images[np.sort(dataset.store.rows([ids[0], ids[-1]]))]
    assert any(np.array_equal(images[0], frame[4:-4, 4:-4]) for frame in frames)
    assert len(comparison_images(ids, dataset.store, info.spec, 10_000)) == len(ids)


def test_folders_of_the_user_do_not_travel(small_run, dataset):
    network, info = load_network(small_run / "train" / "best.safetensors")
    model = dataclasses.replace(info.recipe.model, weights="/home/secret/w.safetensors")
    info = dataclasses.replace(info, recipe=dataclasses.replace(info.recipe, model=model))
    trained = export_module._TrainedNetwork(small_run, "hash", network, info)
    facts = export_module._facts(trained, dataset, "")
    assert "secret" not in json.dumps(facts)
    assert facts["origin"]["recipe"]["model"]["weights"] == "w.safetensors"
