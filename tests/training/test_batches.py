"""What is fed: a pure function of seed, epoch, image and copy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lesionlens.augment.files import copy_pixels
from lesionlens.augment.offline import Plan
from lesionlens.augment.policy import table_3
from lesionlens.core.errors import ArtifactError, TrainingError
from lesionlens.core.seeds import derive_seed
from lesionlens.data.image import input_spec
from lesionlens.training.batches import Batches, fits_device, frames_on, plan_rows
from lesionlens.training.distributed import World
from lesionlens.training.order import Order, epoch_order

CPU = torch.device("cpu")


def batches(artifacts, recipe=None, rank=0, world=1):
    inputs, recipe = artifacts.inputs, recipe or artifacts.recipe
    rows = plan_rows(inputs.plan, inputs.store, inputs.index)
    return Batches(rows, inputs.store.images, input_spec(recipe.input), recipe, World(CPU, rank, world))


def epoch_of(made, epoch):
    with made.epoch(epoch) as images:
        fed = list(images)
    return torch.cat([batch.images for batch in fed]), torch.cat([batch.labels for batch in fed])


def one_of_each(made):
    """The rows in plan order."""
    n = len(made.rows.labels)
    return Order(np.arange(n), np.zeros(n, np.int64))


def fresh(artifacts, **changes):
    return artifacts.changed(augmentation={"offline_pixels": "fresh", **changes})


def test_an_epoch_feeds_the_plan(artifacts):
    made = batches(artifacts)
    images, labels = epoch_of(made, 1)
    assert images.shape == (len(artifacts.inputs.plan), 3, 32, 32)
    assert images.dtype == torch.uint8
    assert torch.equal(labels.bincount(minlength=7), torch.from_numpy(made.counts(7)))


def test_pixels_do_not_depend_on_the_batch_size(artifacts):
    images, labels = epoch_of(batches(artifacts), 1)
    others = epoch_of(batches(artifacts, artifacts.changed(training={"batch_size": 7})), 1)
    assert torch.equal(images, others[0])
    assert torch.equal(labels, others[1])


def test_fixed_copies_equal_the_files_in_every_epoch(artifacts):
    made, plan, store = batches(artifacts), artifacts.inputs.plan, artifacts.inputs.store
    first, second = made.read(one_of_each(made), 1), made.read(one_of_each(made), 2)
    policy = table_3(artifacts.recipe.augmentation.probabilities)
    copies = [row for row, copy in enumerate(plan.copies) if copy > 0]
    assert len(copies) > 20
    assert torch.equal(first[copies], second[copies])
    for row in copies[:10]:
        frame = store.images[store.rows([plan.image_ids[row]])[0]]
        expected = copy_pixels(frame, [plan.seeds[row]], 32, policy)[0]
        np.testing.assert_array_equal(first[row].permute(1, 2, 0).numpy(), expected)


def test_originals_are_only_cropped_and_anew_each_epoch(artifacts):
    made, store = batches(artifacts), artifacts.inputs.store
    row = artifacts.inputs.plan.copies.index(0)
    frame = store.images[made.rows.store_rows[row]]
    windows = np.lib.stride_tricks.sliding_window_view(frame, (32, 32, 3)).reshape(-1, 32, 32, 3)
    places = []
    for epoch in range(1, 6):
        image = made.read(one_of_each(made), epoch)[row].permute(1, 2, 0).numpy()
        places.append(np.flatnonzero((windows == image).all(axis=(1, 2, 3))).tolist())
    assert all(places)
    assert len({each[0] for each in places}) > 1


def test_fresh_copies_change_with_the_epoch_and_come_back(artifacts):
    made = batches(artifacts, fresh(artifacts))
    copies = [row for row, copy in enumerate(artifacts.inputs.plan.copies) if copy > 0]
    first, second = made.read(one_of_each(made), 1)[copies], made.read(one_of_each(made), 2)[copies]
    changed = (first != second).flatten(1).any(1)
    assert changed.float().mean() > 0.9
    assert torch.equal(made.read(one_of_each(made), 1)[copies], first)


def test_fresh_seeds_are_as_documented(artifacts):
    made, plan = batches(artifacts, fresh(artifacts)), artifacts.inputs.plan
    order = Order(np.array([3, 3, 5]), np.array([0, 1, 0]))
    image_id, copy = plan.image_ids[3], plan.copies[3]
    assert made.seeds(order, 2) == [
        derive_seed(0, 2, image_id, copy),
        derive_seed(0, 2, image_id, copy, 1),
        derive_seed(0, 2, plan.image_ids[5], plan.copies[5]),
    ]


def test_originals_pass_through_the_transforms_if_asked(artifacts):
    originals = [row for row, copy in enumerate(artifacts.inputs.plan.copies) if copy == 0]
    plain, changed = (batches(artifacts, fresh(artifacts, originals=flag)) for flag in (False, True))
    a, b = (made.read(one_of_each(made), 1)[originals] for made in (plain, changed))
    assert (a != b).flatten(1).any(1).float().mean() > 0.9


def test_processes_share_a_batch(artifacts):
    whole, _ = epoch_of(batches(artifacts), 1)
    parts = []
    for rank in range(3):
        with batches(artifacts, rank=rank, world=3).epoch(1) as images:
            parts.append(list(images))
    rejoined = torch.cat([part.images for each in zip(*parts, strict=True) for part in each])
    assert torch.equal(rejoined, whole)
    assert all(a.total == sum(len(part.labels) for part in each) for each in zip(*parts, strict=True) for a in each)


def test_more_processes_than_images_are_refused(artifacts):
    with pytest.raises(TrainingError, match="processes"):
        batches(artifacts, artifacts.changed(training={"batch_size": 2}), world=3)


def test_the_balanced_sampler_feeds_classes_alike(artifacts):
    made = batches(artifacts, artifacts.changed(training={"sampler": "balanced"}))
    _, labels = epoch_of(made, 1)
    counts = labels.bincount(minlength=7)
    assert counts.max() - counts.min() <= 1
    assert np.abs(made.counts(7) - counts.numpy()).max() < 1


def test_the_order_is_that_of_seed_and_epoch(artifacts):
    made = batches(artifacts)
    _, labels = epoch_of(made, 3)
    expected = made.rows.labels[epoch_order(made.rows.labels, "shuffle", 0, 3).rows]
    np.testing.assert_array_equal(labels.numpy(), expected)


def test_images_that_the_store_dropped_are_left_out(artifacts):
    inputs = artifacts.inputs
    gone = inputs.plan.image_ids[0]
    store = type(inputs.store).open(inputs.store.path)
    store.dropped = {gone: "damaged"}
    rows = plan_rows(inputs.plan, store, inputs.index)
    assert gone not in rows.image_ids
    assert len(rows.labels) == len(rows.seeds) == len(rows.copies) == sum(i != gone for i in inputs.plan.image_ids)


def test_a_plan_of_other_images_is_an_error(artifacts):
    inputs = artifacts.inputs
    with pytest.raises(ArtifactError, match="unknown_image"):
        plan_rows(Plan(("unknown_image",), (0,), (0,)), inputs.store, inputs.index)


def test_another_seed_gives_other_orders(artifacts):
    _, labels = epoch_of(batches(artifacts), 1)
    _, others = epoch_of(batches(artifacts, replace(artifacts.recipe, seed=1)), 1)
    assert not torch.equal(labels, others)


def test_frames_in_device_memory_give_the_same_images(artifacts, monkeypatch):
    """On a GPU the frames are gathered, cropped and augmented on the device; here the same code runs on the CPU."""
    made = batches(artifacts)
    expected = made.read(one_of_each(made), 1)
    monkeypatch.setattr("lesionlens.training.batches.FRAMES_AT_ONCE", 50)
    made.frames = frames_on(CPU, artifacts.inputs.store.images)
    assert torch.equal(made.read(one_of_each(made), 1), expected)
    assert not fits_device(1, CPU)


def test_randaugment_transforms_every_image_in_each_epoch(artifacts):
    plain, made = batches(artifacts), batches(artifacts, artifacts.changed(augmentation={"randaugment": "rand-m9-n2-p1"}))
    before, first, second = plain.read(one_of_each(plain), 1), made.read(one_of_each(made), 1), made.read(one_of_each(made), 2)
    assert (before != first).flatten(1).any(1).float().mean() > 0.8  # originals and copies that are drawn once, too
    assert (first != second).flatten(1).any(1).float().mean() > 0.8
    assert torch.equal(made.read(one_of_each(made), 1), first)
    assert first.is_contiguous(memory_format=torch.channels_last)


def test_only_batches_that_are_erased_have_seeds(artifacts):
    with batches(artifacts).epoch(1) as images:
        assert all(batch.seeds == () for batch in images)
    made = batches(artifacts, artifacts.changed(augmentation={"random_erasing_p": 0.5}))
    with made.epoch(1) as images:
        seeds = [batch.seeds for batch in images]
    assert len({seed for each in seeds for seed in each}) == len(artifacts.inputs.plan)
    with made.epoch(2) as images:
        assert {seed for batch in images for seed in batch.seeds}.isdisjoint(seed for each in seeds for seed in each)
