"""Steps of the optimiser: accumulation, clipping, mixing, averaging, formats."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from lesionlens.core.seeds import derive_seed
from lesionlens.data.image import input_spec
from lesionlens.models.build import Normalise, build_network
from lesionlens.training.batches import Batches, plan_rows
from lesionlens.training.loop import Trainer, fit, steps_per_epoch
from lesionlens.training.state import build_state

PLAIN = {"label_smoothing": 0.0, "ema_decay": 0.0, "schedule": "constant", "warmup_epochs": 0.0, "channels_last": False}
NO_MIX = {"mixup_p": 0.0, "cutmix_p": 0.0}


def trainer(artifacts, training=None, augmentation=NO_MIX, model=None):
    """A trainer from the same weights, without dropout."""
    inputs, world = artifacts.inputs, artifacts.world
    model = {"drop_rate": 0.0, "drop_path_rate": 0.0, **(model or {})}
    recipe = artifacts.changed(training={**PLAIN, **(training or {})}, augmentation=augmentation, model=model)
    spec = input_spec(recipe.input)
    rows = plan_rows(inputs.plan, inputs.store, inputs.index)
    batches = Batches(rows, inputs.store.images, spec, recipe, world)
    torch.manual_seed(0)
    network = build_network(recipe.model, 7, spec.size)
    state = build_state(network, recipe.training, steps_per_epoch(batches, recipe.training.accumulate), world.device)
    return Trainer(state, batches, recipe, spec, 7, world)


def weights(made):
    return torch.cat([parameter.detach().flatten() for parameter in made.state.network.parameters()])


def test_an_epoch_equals_a_plain_loop(artifacts):
    ours = trainer(artifacts, {"optimizer": "sgd", "learning_rate": 0.05})
    sums = ours.train(1)
    theirs = trainer(artifacts)
    network, spec = theirs.state.network.train(), input_spec(artifacts.recipe.input)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 5e-3}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True)
    losses = []
    with theirs.batches.epoch(1) as images:
        for batch in images:
            loss = functional.cross_entropy(network(Normalise(spec.mean, spec.std)(batch.images).contiguous()), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-3, atol=1e-5)  # fused kernels round otherwise
    np.testing.assert_allclose([float(loss) for loss in sums.losses], losses, rtol=1e-3)


def test_accumulated_batches_equal_one_large_batch(artifacts):
    n = len(artifacts.inputs.plan)
    large = trainer(artifacts, {"optimizer": "sgd", "learning_rate": 0.05, "batch_size": n})
    small = trainer(artifacts, {"optimizer": "sgd", "learning_rate": 0.05, "batch_size": -(-n // 4), "accumulate": 4})
    assert len({cut.stop - cut.start for cut in small.batches.cuts}) <= 2
    large.train(1)
    small.train(1)
    torch.testing.assert_close(weights(small), weights(large), rtol=1e-3, atol=1e-5)  # parts of unlike size by one


def test_a_last_step_of_fewer_batches_counts_them(artifacts):
    n = len(artifacts.inputs.plan)
    made = trainer(artifacts, {"batch_size": -(-n // 5), "accumulate": 2})
    assert (len(made.batches), steps_per_epoch(made.batches, 2)) == (5, 3)
    made.train(1)
    assert made.state.schedule.last_epoch == 3
    assert all(parameter.grad is None for parameter in made.state.network.parameters())


@pytest.mark.parametrize("n_batches", [3, 5])
def test_the_last_short_group_is_averaged_over_its_own_batches(artifacts, n_batches):
    """With a momentum-free SGD each step is the mean gradient of the group's batches, the last one's too."""
    plain = {"optimizer": "sgd", "beta1": 0.0, "weight_decay": 0.0, "learning_rate": 0.05}
    size = -(-len(artifacts.inputs.plan) // n_batches)
    ours = trainer(artifacts, {**plain, "batch_size": size, "accumulate": 2})
    theirs = trainer(artifacts, {**plain, "batch_size": size})
    assert len(ours.batches) == n_batches
    ours.train(1)
    network, spec = theirs.state.network.train(), input_spec(artifacts.recipe.input)
    normalise = Normalise(spec.mean, spec.std)
    with theirs.batches.epoch(1) as images:
        batches = list(images)
    for start in range(0, n_batches, 2):
        group = batches[start : start + 2]
        loss = sum(functional.cross_entropy(network(normalise(batch.images)), batch.labels) for batch in group) / len(group)
        network.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= 0.05 * parameter.grad
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=1e-3, atol=1e-5)  # sums in another order


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_every_epoch_trains_in_training_mode(artifacts, ema_decay):
    """Validation puts the network into evaluation mode; the next epoch must undo that."""
    made = trainer(artifacts, {"epochs": 2, "ema_decay": ema_decay}, model={"drop_rate": 0.5})
    modes = []
    made.state.network.register_forward_pre_hook(lambda network, inputs: modes.append(network.training))

    def validate(network):
        assert not network.training
        return {"balanced_accuracy": 0.5}

    assert len(list(fit(made.state, made, validate))) == 2
    assert modes == [True] * (2 * len(made.batches))


def test_clipping_limits_the_gradient(artifacts, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        torch.nn.utils, "clip_grad_norm_", lambda parameters, limit: norms.append((float(clip(parameters, limit)), limit))
    )
    made = trainer(artifacts, {"clip_norm": 0.01, "optimizer": "sgd", "learning_rate": 1.0, "beta1": 0.0, "weight_decay": 0.0})
    before = weights(made)
    made.train(1)
    assert len(norms) == len(made.batches)
    assert all(limit == 0.01 for _, limit in norms)
    assert (weights(made) - before).norm() <= 0.01 * len(norms) * 1.001


def test_a_scaled_loss_is_clipped_as_an_unscaled_one(artifacts):
    """fp16 scales the gradient up; it must be scaled back before its norm is compared with the limit."""
    clipped = {"clip_norm": 0.5, "optimizer": "sgd", "learning_rate": 0.1, "beta1": 0.0, "weight_decay": 0.0}
    plain, scaled = trainer(artifacts, clipped), trainer(artifacts, clipped)
    scaled.state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    before = weights(plain)
    plain.train(1)
    scaled.train(1)
    assert scaled.state.scaler.get_scale() == 2.0**16  # no step was skipped
    assert not torch.equal(weights(plain), before)
    torch.testing.assert_close(weights(scaled), weights(plain), rtol=1e-4, atol=1e-6)  # a power of two rounds nothing


@pytest.mark.slow
def test_mixing_changes_the_epoch_and_repeats(artifacts):
    plain, mixed, again = (
        trainer(artifacts, augmentation=how)
        for how in (NO_MIX, {"mixup_p": 1.0, "cutmix_p": 0.0}, {"mixup_p": 1.0, "cutmix_p": 0.0})
    )
    for made in (plain, mixed, again):
        made.train(1)
    assert torch.equal(weights(mixed), weights(again))
    assert not torch.equal(weights(plain), weights(mixed))


def test_dropout_is_that_of_seed_and_epoch(artifacts):
    first, second = (trainer(artifacts, model={"drop_rate": 0.5}) for _ in range(2))
    first.train(1)
    torch.rand(100)  # what was drawn before does not matter
    second.train(1)
    assert torch.equal(weights(first), weights(second))


@pytest.mark.slow
@pytest.mark.parametrize(("drop_rate", "equal"), [(0.5, False), (0.0, True)])
def test_each_process_drops_units_of_its_own(artifacts, drop_rate, equal):
    """Two learners that differ in their rank alone: the same batches, the same weights, no partner to average with."""
    first, second = (trainer(artifacts, model={"drop_rate": drop_rate}) for _ in range(2))
    second.world = replace(second.world, rank=1)
    first.train(1)
    second.train(1)
    assert torch.equal(weights(first), weights(second)) == equal


def test_averaging_follows_every_step(artifacts):
    made = trainer(artifacts, {"ema_decay": 0.9})
    made.train(1)
    assert made.state.averaged.updates == len(made.batches)
    assert made.state.inference_network is made.state.averaged.network


@pytest.mark.slow
def test_bf16_trains_with_float32_weights(artifacts):
    made = trainer(artifacts, {"precision": "bf16", "channels_last": True})
    sums = made.train(1)
    assert all(parameter.dtype == torch.float32 for parameter in made.state.network.parameters())
    full = trainer(artifacts, {"precision": "fp32"}).train(1)
    np.testing.assert_allclose([float(loss) for loss in sums.losses], [float(loss) for loss in full.losses], rtol=0.05)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit"])
def test_other_families_train(artifacts, name):
    made = trainer(artifacts, {"channels_last": True}, model={"name": name})
    before = weights(made)
    made.train(1)
    assert not torch.equal(before, weights(made))


def test_progress_counts_every_image(artifacts):
    counts = []
    trainer(artifacts).train(1, counts.append)
    assert sum(counts) == len(artifacts.inputs.plan)


def test_the_mix_seed_is_documented(artifacts, monkeypatch):
    from lesionlens.training import loop

    seeds = []
    monkeypatch.setattr(loop, "draw_mixing", lambda n, height, width, recipe, seed: seeds.append(seed))
    made = trainer(artifacts)
    made.train(2)
    assert seeds == [derive_seed(0, "mix", 2, number, 0) for number in range(len(made.batches))]


def test_erased_pixels_are_those_of_the_normalised_image(artifacts):
    made = trainer(artifacts, augmentation={"random_erasing_p": 1.0, "random_erasing_mode": "const"})
    plain = trainer(artifacts)
    with made.batches.epoch(1) as images:
        batch = next(iter(images))
        erased, whole = made._inputs(batch, 1), plain._inputs(replace(batch, seeds=()), 1)
    changed = (erased != whole).any(1)
    assert changed.flatten(1).any(1).all()
    assert (erased.permute(0, 2, 3, 1)[changed] == 0).all()
