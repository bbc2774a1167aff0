"""Training that starts from a checkpoint of another run: what it keeps, says, records and resumes from."""

from dataclasses import replace

import pytest
import torch

from lesionlens.core.artifact import hash_file
from lesionlens.core.labels import HAM10000, LabelSet
from lesionlens.models.build import build_network
from lesionlens.training.checkpoint import load_info, load_network, save_network
from lesionlens.training.run import describe, train_run, training_spec

REORDERED = LabelSet("reordered", HAM10000.diagnoses[::-1])


@pytest.fixture
def parent(artifacts, tmp_path):
    """A function that writes a checkpoint of the same network with these diagnoses, and gives its path."""

    def write(labels):
        path = tmp_path / "parent.safetensors"
        inputs, recipe = artifacts.inputs, artifacts.recipe
        info = replace(describe(inputs, recipe, training_spec(recipe, inputs)), labels=labels)
        torch.manual_seed(9)
        network = build_network(recipe.model, len(labels), info.spec.size)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1)
        save_network(network, info, path)
        return path

    return write


def epochs_of(artifacts, out, path, notes, stop_after=1):
    recipe = artifacts.changed(model={"weights": str(path)})
    epochs = train_run(artifacts.inputs, recipe, out, artifacts.validate, world=artifacts.world, note=notes.append)
    done = [epoch for _, epoch in zip(range(stop_after), epochs, strict=False)]
    epochs.close()
    return done


@pytest.mark.parametrize(("labels", "classifier"), [(HAM10000, "kept"), (REORDERED, "replaced")], ids=["same", "reordered"])
def test_the_classifier_is_told_and_recorded(artifacts, parent, tmp_path, labels, classifier):
    assert artifacts.inputs.index.labels.codes == HAM10000.codes
    path, notes, out = parent(labels), [], tmp_path / "run"
    epochs_of(artifacts, out, path, notes)
    info = load_info(out / "best.safetensors")
    assert info.initial_weights["classifier"] == classifier
    assert info.initial_weights["labels"] == list(labels.codes)
    assert info.initial_weights["sha256"] == hash_file(path)
    assert info.labels == artifacts.inputs.index.labels
    assert len(notes) == 1
    assert f"its classifier is {classifier}" in notes[0]


def test_training_starts_at_the_parents_weights(artifacts, parent, tmp_path):
    path, out = parent(REORDERED), tmp_path / "run"
    recipe = artifacts.changed(
        model={"weights": str(path)}, training={"learning_rate": 1e-12, "warmup_learning_rate": 1e-12, "ema_decay": 0.0}
    )
    next(train_run(artifacts.inputs, recipe, out, artifacts.validate, world=artifacts.world))
    before, after = (load_network(each)[0].state_dict() for each in (path, out / "best.safetensors"))
    for name, tensor in before.items():
        same = torch.allclose(tensor, after[name], atol=1e-6)
        assert same is not name.startswith("head.fc"), name


@pytest.mark.slow
def test_a_run_resumes_without_its_parent_and_keeps_the_record(artifacts, parent, tmp_path):
    path, notes, out = parent(REORDERED), [], tmp_path / "run"
    epochs_of(artifacts, out, path, notes)
    recorded = load_info(out / "best.safetensors").initial_weights
    path.unlink()
    assert [epoch.epoch for epoch in epochs_of(artifacts, out, path, notes, stop_after=9)] == [2, 3, 4]
    assert load_info(out / "best.safetensors").initial_weights == recorded
    assert len(notes) == 1
