"""What is said while a network with other weights is trained."""

from dataclasses import replace
from types import SimpleNamespace

from lesionlens.compression import parent_networks
from lesionlens.core.progress import SILENT
from lesionlens.core.recipe import CompressionRecipe
from lesionlens.models.weights import InitialWeights
from lesionlens.training.checkpoint import load_network, save_network


def test_a_student_says_what_became_of_the_classifier_of_its_initial_weights(small_run, tmp_path, monkeypatch):
    network, info = load_network(small_run / "train" / "best.safetensors")
    weights = InitialWeights("w.safetensors", "0" * 64, ("a", "b"), "replaced", "other diagnoses: a, b there, mel, nv here")
    save_network(network, replace(info, initial_weights=weights.to_json()), tmp_path / "best.safetensors")
    monkeypatch.setattr(parent_networks, "distill", lambda *arguments: tmp_path / "best.safetensors")
    notes = []
    source = SimpleNamespace(
        dataset=SimpleNamespace(index=None, split=None, store=None),
        plan=(),
        recipe=CompressionRecipe(student_epochs=2),
        reporter=replace(SILENT, note=notes.append),
        checkpoint=None,
    )
    parent_networks._train(source, "distilled", tmp_path)
    assert notes == ["distilled: training for 2 epochs", f"distilled: {weights.note()}"]
