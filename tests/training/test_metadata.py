"""Training with metadata: which values a batch sees, and that mixing, checkpoints and resuming keep them."""

import numpy as np
import pytest
import torch

from lesionlens.core.metadata import encode
from lesionlens.core.seeds import derive_seed
from lesionlens.data.image import input_spec
from lesionlens.data.index import select
from lesionlens.evaluation.validate import validator
from lesionlens.models.build import build_network
from lesionlens.models.metadata_head import head_of
from lesionlens.training.batches import Batches, plan_rows
from lesionlens.training.checkpoint import load_network
from lesionlens.training.loop import Trainer
from lesionlens.training.order import Order
from lesionlens.training.run import train_run
from lesionlens.training.state import build_state

FIELDS = ("age", "sex")


def batches_of(artifacts, rate: float, **sections) -> Batches:
    inputs = artifacts.inputs
    recipe = artifacts.changed(model={"metadata": FIELDS, "metadata_dropout": rate}, **sections)
    rows = plan_rows(inputs.plan, inputs.store, inputs.index, FIELDS)
    return Batches(rows, inputs.store.images, input_spec_of(artifacts), recipe, artifacts.world)


def input_spec_of(artifacts):
    return input_spec(artifacts.recipe.input)


def all_rows(batches: Batches) -> Order:
    return Order(np.arange(len(batches.rows.labels)), np.zeros(len(batches.rows.labels), np.int64))


def test_a_row_has_the_metadata_of_its_image(artifacts):
    batches = batches_of(artifacts, 0.0)
    found = batches.metadata(all_rows(batches), epoch=1)
    expected = encode(select(artifacts.inputs.index, batches.rows.image_ids), FIELDS)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert len({tuple(row) for row in expected}) > 2, "the data have metadata that differ"


def test_known_values_are_hidden_at_the_recipe_s_rate_and_again_each_epoch(artifacts):
    batches = batches_of(artifacts, 0.5)
    order = all_rows(batches)
    first, again, second = (batches.metadata(order, epoch) for epoch in (1, 1, 2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not first.equal(second)
    known = encode(select(artifacts.inputs.index, batches.rows.image_ids), FIELDS)[:, 10] == 0  # sex
    assert 0.3 < first[torch.from_numpy(known), 10].mean() < 0.7


def test_a_share_of_a_batch_sees_what_the_whole_batch_sees(artifacts):
    batches = batches_of(artifacts, 0.5)
    whole = batches.metadata(all_rows(batches), 3)
    part = batches.metadata(Order(np.array([5, 2]), np.zeros(2, np.int64)), 3)
    torch.testing.assert_close(part, whole[[5, 2]], rtol=0, atol=0)


def test_without_metadata_there_is_none(artifacts):
    inputs = artifacts.inputs
    rows = plan_rows(inputs.plan, inputs.store, inputs.index)
    assert rows.metadata is None


def run(artifacts, out, note=None):
    recipe = artifacts.changed(
        model={"metadata": FIELDS, "metadata_dropout": 0.2},
        training={"epochs": 2},
        augmentation={"mixup_p": 0.5, "cutmix_p": 0.5},
    )
    return train_run(artifacts.inputs, recipe, out, artifacts.validate, world=artifacts.world, note=note)


@pytest.mark.slow
def test_a_run_trains_the_head_says_what_is_missing_and_resumes_to_the_bit(artifacts, tmp_path):
    notes = []
    assert len(list(run(artifacts, tmp_path / "whole", notes.append))) == 2
    (line,) = notes
    assert line.startswith("metadata of ")
    assert "age missing in" in line
    whole, info = load_network(tmp_path / "whole" / "best.safetensors")
    assert info.recipe.model.metadata == FIELDS
    torch.manual_seed(derive_seed(info.recipe.seed, "weights"))
    start = head_of(build_network(info.recipe.model, 7, 32))
    assert (head_of(whole).output.weight - start.output.weight).abs().mean() > 1e-4
    stopped = run(artifacts, tmp_path / "parts")
    next(stopped)
    stopped.close()
    list(run(artifacts, tmp_path / "parts"))
    parts, _ = load_network(tmp_path / "parts" / "best.safetensors")
    for name, value in parts.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_mixing_mixes_metadata_as_it_mixes_targets(artifacts):
    batches = batches_of(artifacts, 0.0, augmentation={"mixup_p": 1.0, "cutmix_p": 0.0})
    network = build_network(batches.recipe.model, 7, 32)
    state = build_state(network, batches.recipe.training, len(batches), torch.device("cpu"))
    trainer = Trainer(state, batches, batches.recipe, input_spec_of(artifacts), 7, artifacts.world)
    with batches.epoch(1) as images:
        batch = next(iter(images))
    _, targets, metadata, _ = trainer._mixed(batch, 1, 0)
    assert metadata.shape == batch.metadata.shape
    torch.testing.assert_close(metadata[:, 10:].sum(1), torch.ones(len(metadata)))
    row = int((targets.max(1).values < 0.999).nonzero()[0, 0])
    own = targets[row, batch.labels[row]]
    mixed = [own * batch.metadata[row] + (1 - own) * other for other in batch.metadata]
    assert any(torch.allclose(metadata[row], each, atol=1e-5) for each in mixed), "no partner gives them with the targets' shares"


def test_validation_uses_them(artifacts):
    recipe = artifacts.changed(model={"metadata": FIELDS}).model
    torch.manual_seed(0)
    network = build_network(recipe, 7, 32)
    validate = validator(artifacts.inputs)
    before = validate(network, input_spec_of(artifacts))
    with torch.no_grad():
        head_of(network).output.weight.add_(torch.randn(head_of(network).output.weight.shape))
    assert validate(network, input_spec_of(artifacts))["loss"] != pytest.approx(before["loss"])
