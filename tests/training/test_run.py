"""Whole runs: resumed, killed, interrupted, stopped early, gone wrong."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch
from tests.training.conftest import first_epochs

from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import ArtifactError, CheckpointError, SplitError, TrainingError
from lesionlens.training import events
from lesionlens.training.checkpoint import load_network
from lesionlens.training.history import read_history
from lesionlens.training.run import train_run, training_spec

TIMINGS = {"images_per_second": 0.0, "seconds": 0.0, "waiting_share": 0.0}


def run(artifacts, out, recipe=None, stop_after=None, validate=None, **options):
    """Train, leaving after `stop_after` epochs as a caller may."""
    recipe = recipe or artifacts.recipe
    epochs = train_run(artifacts.inputs, recipe, out, validate or artifacts.validate, world=artifacts.world, **options)
    return first_epochs(epochs, stop_after)


def without_timings(epochs):
    return [replace(epoch, **TIMINGS) for epoch in epochs]


def weights(path):
    network, info = load_network(path)
    return info.epoch, torch.cat([tensor.flatten().double() for tensor in network.state_dict().values()])


@pytest.fixture(scope="module")
def unbroken(artifacts, tmp_path_factory):
    """The folder and epochs of a run of four epochs in one go."""
    out = tmp_path_factory.mktemp("unbroken")
    return out, run(artifacts, out)


def assert_equal_runs(out, unbroken):
    epochs = read_history(out / "history.jsonl")
    assert without_timings(epochs) == without_timings(unbroken[1])
    best, expected = weights(out / "best.safetensors"), weights(unbroken[0] / "best.safetensors")
    assert best[0] == expected[0]
    assert torch.equal(best[1], expected[1])


def test_a_run_leaves_its_files(unbroken):
    out, epochs = unbroken
    assert sorted(file.name for file in out.iterdir()) == ["best.safetensors", "history.jsonl", "last.safetensors"]
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert read_history(out / "history.jsonl") == tuple(epochs)
    assert epochs[-1].training_loss < epochs[0].training_loss
    assert all(0 <= epoch.waiting_share <= 1 and 0 <= epoch.training_accuracy <= 1 for epoch in epochs)


@pytest.mark.slow
def test_two_epochs_and_two_equal_four_to_the_bit(artifacts, tmp_path, unbroken):
    assert len(run(artifacts, tmp_path, stop_after=2)) == 2
    assert [epoch.epoch for epoch in run(artifacts, tmp_path)] == [3, 4]
    assert_equal_runs(tmp_path, unbroken)


def test_a_finished_run_does_nothing(artifacts, unbroken):
    before = hash_file(unbroken[0] / "last.safetensors")
    assert run(artifacts, unbroken[0]) == []
    assert hash_file(unbroken[0] / "last.safetensors") == before


SCRIPT = """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    import torch
    from pathlib import Path
    from conftest import RECIPE, by_size
    from lesionlens.augment.offline import plan_training
    from lesionlens.data.sources.source import read_source
    from lesionlens.data.split import make_split
    from lesionlens.data.store import Store
    from lesionlens.training.distributed import World
    from lesionlens.training.run import TrainingData, train_run

    index = read_source(Path({root!r}))
    split = make_split(index, RECIPE.split)
    inputs = TrainingData(index, split, Store.open(Path({store!r})), plan_training(index, split, RECIPE))
    fed = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start its background jobs deaf to it

    def progress(images):
        global fed
        fed += images
        if fed > 2.5 * len(inputs.plan):
            os.kill(os.getpid(), signal.{name})

    torch.set_num_threads({threads})
    try:
        for epoch in train_run(inputs, RECIPE, Path({out!r}), by_size, world=World(torch.device("cpu")), progress=progress):
            pass
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGKILL", -signal.SIGKILL), ("SIGINT", 130)])
def test_a_run_stopped_in_an_epoch_goes_on(artifacts, synthetic_root, tmp_path, unbroken, name, code):
    out = tmp_path / "out"
    script = textwrap.dedent(SCRIPT).format(
        tests=os.path.dirname(__file__),  # noqa: PTH120
        root=str(synthetic_root),
        store=str(artifacts.inputs.store.path),
        out=str(out),
        name=name,
        threads=torch.get_num_threads(),
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    assert len(read_history(out / "history.jsonl")) == 2
    assert [epoch.epoch for epoch in run(artifacts, out)] == [3, 4]
    assert_equal_runs(out, unbroken)


@pytest.mark.slow
def test_restart_begins_anew(artifacts, tmp_path, unbroken):
    run(artifacts, tmp_path, stop_after=1)
    assert len(run(artifacts, tmp_path, restart=True)) == 4
    assert_equal_runs(tmp_path, unbroken)


def test_another_recipe_is_refused_and_nothing_is_lost(artifacts, unbroken):
    before = {file.name: hash_file(file) for file in unbroken[0].iterdir()}
    with pytest.raises(CheckpointError, match=r"training.learning_rate is 0.001 there and 0.01 here.*--restart"):
        run(artifacts, unbroken[0], artifacts.changed(training={"learning_rate": 1e-2}))
    assert {file.name: hash_file(file) for file in unbroken[0].iterdir()} == before


def test_a_missing_best_is_noticed(artifacts, tmp_path):
    run(artifacts, tmp_path, stop_after=1)
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(CheckpointError, match="is gone"):
        run(artifacts, tmp_path)


def test_a_nan_loss_stops_the_run_and_keeps_the_last_epoch(artifacts, tmp_path):
    def spoil(network, spec):
        next(network.parameters()).data.fill_(float("nan"))
        return artifacts.validate(network, spec) | {"balanced_accuracy": 0.5}

    recipe = artifacts.changed(training={"ema_decay": 0.0})
    with pytest.raises(TrainingError, match=r"the loss is nan in epoch 2, batch 1 of \d+, at learning rate .*clip_norm"):
        run(artifacts, tmp_path, recipe, validate=spoil)
    assert len(read_history(tmp_path / "history.jsonl")) == 1


@pytest.mark.slow
def test_patience_ends_a_run(artifacts, tmp_path):
    metrics = iter([0.5, 0.6, 0.6, 0.55, 0.9])
    recipe = artifacts.changed(training={"epochs": 9, "patience": 2})
    epochs = run(artifacts, tmp_path, recipe, validate=lambda *_: {"balanced_accuracy": next(metrics)})
    assert [epoch.best for epoch in epochs] == [True, True, False, False]
    assert load_network(tmp_path / "best.safetensors")[1].epoch == 2
    assert run(artifacts, tmp_path, recipe) == []


def test_undefined_metrics_are_kept_as_null(artifacts, tmp_path):
    epochs = run(artifacts, tmp_path, stop_after=1, validate=lambda *_: {"balanced_accuracy": 0.5, "macro_f1": float("nan")})
    assert epochs[0].validation["macro_f1"] is None


def test_a_monitor_that_is_not_measured_is_an_error(artifacts, tmp_path):
    with pytest.raises(TrainingError, match="balanced_accuracy"):
        run(artifacts, tmp_path, validate=lambda *_: {"loss": 0.5})


def test_a_split_of_another_index_is_refused(artifacts, tmp_path):
    inputs = replace(artifacts.inputs, split=replace(artifacts.inputs.split, index_hash="other"))
    with pytest.raises(ArtifactError, match="lesionlens split"):
        next(train_run(inputs, artifacts.recipe, tmp_path, artifacts.validate, world=artifacts.world))


def test_a_store_of_other_pixels_is_refused(artifacts, tmp_path):
    with pytest.raises(ArtifactError, match="lesionlens pack"):
        run(artifacts, tmp_path, artifacts.changed(input={"frame": 48}))


def test_test_images_are_never_trained_on(artifacts, tmp_path):
    splits = artifacts.inputs.split.ids
    swapped = replace(artifacts.inputs.split, ids={**splits, "train": splits["test"], "test": splits["train"]})
    with pytest.raises(SplitError, match="only training images"):
        inputs = replace(artifacts.inputs, split=swapped)
        next(train_run(inputs, artifacts.recipe, tmp_path, artifacts.validate, world=artifacts.world))
    assert not (tmp_path / "last.safetensors").exists()


def pixel_statistics(store, image_ids):
    """Mean and standard deviation of each channel, in [0, 1], over the frames of some images."""
    pixels = store.images[store.rows(image_ids)].reshape(-1, 3) / 255
    return tuple(pixels.mean(axis=0)), tuple(pixels.std(axis=0))


def test_statistics_are_those_of_the_training_split(artifacts, tmp_path):
    run(artifacts, tmp_path, artifacts.changed(input={"normalise": "training"}), stop_after=1)
    spec = load_network(tmp_path / "best.safetensors")[1].spec
    inputs = artifacts.inputs
    mean, std = pixel_statistics(inputs.store, inputs.split.ids["train"])
    assert spec.mean == pytest.approx(mean, rel=1e-9)
    assert spec.std == pytest.approx(std, rel=1e-9)
    everything = pixel_statistics(inputs.store, inputs.index.ids)
    assert everything[0] != pytest.approx(mean, rel=1e-6)
    assert everything[1] != pytest.approx(std, rel=1e-6)


def test_statistics_leave_out_what_the_store_dropped(artifacts):
    inputs, recipe = artifacts.inputs, artifacts.changed(input={"normalise": "training"})
    store = type(inputs.store).open(inputs.store.path)
    gone, *kept = inputs.split.ids["train"]
    store.dropped = {gone: "damaged"}
    spec = training_spec(recipe, replace(inputs, store=store))
    assert spec.mean == pytest.approx(pixel_statistics(store, kept)[0], rel=1e-9)


@pytest.mark.slow
def test_tensorboard_gets_every_epoch(artifacts, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is an extra and not installed")
    run(artifacts, tmp_path, artifacts.changed(training={"tensorboard": True, "epochs": 2}))
    assert sum(file.stat().st_size for file in (tmp_path / "events").iterdir()) > 200


def test_tensorboard_that_is_missing_is_one_line(artifacts, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TrainingError, match=r"pip install 'lesionlens\[tensorboard\]'"):
        run(artifacts, tmp_path, artifacts.changed(training={"tensorboard": True}))
    with pytest.raises(TrainingError):
        events.open_events(tmp_path)
