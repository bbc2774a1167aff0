"""A run in a process of its own: its messages, its failures, and its end with its parent."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lesionlens.core.artifact import read_json
from lesionlens.core.errors import ModelError
from lesionlens.core.progress import SILENT
from lesionlens.experiments.data import Images, index_images, share
from lesionlens.experiments.folder import FAILURE, Experiment, Failure
from lesionlens.experiments.launch import LOG, Limits, Stopped, in_own_process
from lesionlens.experiments.point_run import Task, failure_of, work_left
from lesionlens.experiments.points import points_of
from lesionlens.pipeline.job import ImageSource

pytestmark = pytest.mark.slow  # processes that train


@pytest.fixture(scope="module")
def experiment(small_grid, synthetic_root, tmp_path_factory):
    """Shared artifacts of the grid, and no run."""
    experiment = Experiment(tmp_path_factory.mktemp("launch"))
    source = ImageSource(synthetic_root)
    index_images(experiment, small_grid, source, SILENT)
    share(experiment, points_of(small_grid), small_grid, Images(source, audit=False), SILENT)
    return experiment


def task(experiment, small_grid, number: int) -> Task:
    point = points_of(small_grid)[number]
    made = Task(experiment.run(point), point.recipe, "cpu")
    made.run.folder.mkdir(parents=True, exist_ok=True)
    return made


def test_a_task_is_read_as_it_was_written(experiment, small_grid):
    made = task(experiment, small_grid, 0)
    assert Task.read(made.write()).recipe == made.recipe
    assert Task.read(made.write()).run.index == made.run.index.absolute()


def test_a_run_in_a_process_of_its_own(experiment, small_grid, notes):
    made = task(experiment, small_grid, 0)
    assert in_own_process(made, notes.reporter, Limits()) is None
    assert [line[:9] for line in notes if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert work_left(made) == []
    cost = read_json(made.run.folder / "cost.json")
    assert cost["epochs"] == 2
    assert cost["peak_memory_bytes"] > 50e6


def test_a_failure_is_told_in_one_line(experiment, small_grid, notes):
    made = task(experiment, small_grid, 1)
    wrong = replace(made, recipe=replace(made.recipe, model=replace(made.recipe.model, name="resnet5")))
    failure = in_own_process(wrong, notes.reporter, Limits())
    assert failure is not None
    assert failure.kind == "error"
    assert "timm knows no network 'resnet5'" in failure.reason


def test_a_bug_is_told_by_the_end_of_its_log(experiment, small_grid, notes):
    made = task(experiment, small_grid, 1)
    made.write()
    broken = replace(made, device="nonsense:0")
    failure = in_own_process(broken, notes.reporter, Limits())
    assert failure is not None
    assert failure.kind == "error"
    assert "nonsense" in failure.reason


def test_the_deadline_ends_the_process_between_epochs(experiment, small_grid, notes):
    made = task(experiment, small_grid, 2)
    with pytest.raises(Stopped):
        in_own_process(made, notes.reporter, Limits(deadline=0.0))
    assert made.run.last.is_file()
    assert work_left(made) == ["train", "evaluate"]


def test_a_process_that_is_killed_is_a_failure(experiment, small_grid, monkeypatch, notes):
    """As the kernel does when memory runs out."""
    made = task(experiment, small_grid, 3)
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    started = subprocess.Popen

    def killed(command, **options):
        return started([sys.executable, "-c", code], **options)

    monkeypatch.setattr(subprocess, "Popen", killed)
    assert in_own_process(made, notes.reporter, Limits()) == Failure(
        "killed", "its process was killed by signal 9; signal 9 is what a system sends that runs out of memory"
    )
    assert (made.run.folder / LOG).is_file()


@pytest.mark.alone
def test_a_network_too_large_for_memory_is_a_failure(experiment, small_grid, monkeypatch, notes):
    """50 million parameters with gradients, moments and averages in a process of 1.2 GB, of which torch takes 0.7."""
    resource = pytest.importorskip("resource")
    made = task(experiment, small_grid, 3)
    large = replace(made, recipe=replace(made.recipe, model=replace(made.recipe.model, name="convnext_small")))
    started = subprocess.Popen

    def limited(command, **options):
        return started(command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000,) * 2), **options)

    monkeypatch.setattr(subprocess, "Popen", limited)
    failure = in_own_process(large, notes.reporter, Limits())
    assert failure is not None
    assert failure.kind == "memory", failure
    assert "out of memory" in failure.reason
    assert "input.size or training.batch_size" in failure.reason


def test_a_run_ends_with_the_process_that_started_it(experiment, small_grid):
    """Otherwise two processes would train in one folder after the same command is run again."""
    made = task(experiment, small_grid, 3)
    epochs = replace(made.recipe.training, epochs=100_000)
    path = replace(made, recipe=replace(made.recipe, training=epochs)).write()
    code = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-m', 'lesionlens.experiments.point_run', {str(path)!r}]\n"
        "print(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(1)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 60
    while alive(child):
        assert time.monotonic() < until, "the run goes on without its parent"
        time.sleep(0.2)


def test_a_run_that_nobody_listens_to_any_more_has_not_failed(experiment, small_grid):
    """It may notice the end of its parent by what it cannot say, before it notices it by its input."""
    made = task(experiment, small_grid, 3)
    command = [sys.executable, "-m", "lesionlens.experiments.point_run", str(made.write())]
    nobody, output = os.pipe()
    os.close(nobody)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE, text=True) as process:
        os.close(output)
        assert process.wait(120) == 1
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert not (made.run.folder / FAILURE).exists()


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not stat.is_file() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_memory_that_a_stage_reports_in_words_of_its_own_is_still_memory():
    wrapped = ModelError("convnext_small cannot be built")
    wrapped.__cause__ = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 2359296 bytes")
    failure = failure_of(wrapped)
    assert failure is not None
    assert failure.kind == "memory"
    assert "you tried to allocate" in failure.reason
    other = failure_of(ModelError("no such network"))
    assert other is not None
    assert other.kind == "error"
    assert failure_of(RuntimeError("a bug")) is None
