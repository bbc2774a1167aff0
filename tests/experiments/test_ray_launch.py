"""Runs of a grid on a cluster: places, losses, errors of nodes; and on a real one, with a node or the command killed."""

import doctest
import os
import random
import shutil
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from benchmarks.ray_cluster import Command, kill, ray_cluster
from tests.experiments.test_resume import rows

from lesionlens import __version__
from lesionlens.core.errors import ClusterError
from lesionlens.experiments import ray_launch
from lesionlens.experiments.experiment import ablate
from lesionlens.experiments.folder import Experiment, Failure
from lesionlens.experiments.launch import Limits, Stopped
from lesionlens.experiments.point_run import Task
from lesionlens.experiments.points import points_of
from lesionlens.experiments.ray_launch import RayLaunch, Share, share_of, work
from lesionlens.pipeline.job import ImageSource

pytestmark = pytest.mark.slow  # several grids, and clusters

QUIET_MACHINE = pytest.mark.skipif(
    not os.environ.get("LESIONLENS_CLUSTER_TESTS"),
    reason="Ray gives up on a node that takes 30 s to start, so this needs idle cores: set LESIONLENS_CLUSTER_TESTS=1",
)


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class Ray:
    """Plays the messages of one attempt after the other; an exception among them is raised."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, *attempts):
        self.attempts, self.cancelled, self.started = list(attempts), 0, []

    def remote(self, function):
        def options(**given):
            self.given = given
            return SimpleNamespace(remote=self.start)

        return SimpleNamespace(options=options)

    def start(self, path, version):
        self.started.append(path)
        return iter(self.attempts.pop(0))

    def wait(self, streams, timeout):
        return streams, []

    def get(self, message):
        if isinstance(message, Exception):
            raise message
        return message

    def cancel(self, stream):
        self.cancelled += 1


def launched(ray):
    cluster = SimpleNamespace(ray=ray, check=lambda: None, room=lambda cpus, gpus: 3, lost=SimpleNamespace(is_set=lambda: False))
    return RayLaunch(cluster, Share(2.0, 1.0))


@pytest.fixture
def task(small_grid, tmp_path):
    point = points_of(small_grid)[0]
    made = Task(Experiment(tmp_path).run(point), point.recipe, "cpu")
    made.run.folder.mkdir(parents=True)
    return made


def test_messages_are_relayed_and_the_end_is_told(task, notes):
    ray = Ray([("note", "runs on a"), ("note", "epoch 1/2"), ("end", None)])
    launch = launched(ray)
    assert launch(task, notes.reporter, Limits()) is None
    assert notes == ["runs on a", "epoch 1/2"]
    assert ray.given == {"num_cpus": 2.0, "num_gpus": 1.0, "max_retries": 0, "num_returns": "streaming"}
    assert not ray.cancelled
    assert launch.places == 3


def test_a_failure_of_the_run_is_that_of_the_grid(task, notes):
    ray = Ray([("end", {"kind": "memory", "reason": "out of memory"})])
    assert launched(ray)(task, notes.reporter, Limits()) == Failure("memory", "out of memory")


def test_a_lost_worker_is_replaced(task, notes):
    ray = Ray([("note", "runs on a"), RayError("The node died. More")], [("note", "runs on b"), ("end", None)])
    assert launched(ray)(task, notes.reporter, Limits()) is None
    assert notes == ["runs on a", "its worker was lost (The node died); it resumes on another one", "runs on b"]
    assert ray.started[0] == ray.started[1]


def test_a_run_whose_process_was_killed_resumes_as_one_whose_worker_was_lost(task, notes):
    """A worker may outlive its node long enough to say that the run in it was killed."""
    killed = ("end", {"kind": "killed", "reason": "its process was killed by signal 9"})
    ray = Ray([("note", "runs on a"), killed], [("note", "runs on b"), ("end", None)])
    assert launched(ray)(task, notes.reporter, Limits()) is None
    assert notes[1] == "its worker was lost (its process was killed by signal 9); it resumes on another one"
    assert not ray.cancelled
    failure = launched(Ray([killed], [killed], [killed]))(task, notes.reporter, Limits())
    assert failure is not None
    assert (failure.kind, "3 workers were lost" in failure.reason) == ("killed", True)


@pytest.mark.parametrize(("text", "kind"), [("The node died", "killed"), ("Killed: the node is low on memory", "memory")])
def test_a_run_that_loses_three_workers_is_a_failure(task, notes, text, kind):
    ray = Ray(*([RayError(text)] for _ in range(3)))
    failure = launched(ray)(task, notes.reporter, Limits())
    assert failure is not None
    assert failure.kind == kind
    assert "3 workers were lost" in failure.reason


def test_a_node_that_cannot_run_it_ends_the_grid(task, notes):
    with pytest.raises(ClusterError, match="does not see"):
        launched(Ray([("error", "b does not see /out")]))(task, notes.reporter, Limits())
    with pytest.raises(ClusterError, match=r"No module named 'lesionlens'; install the same LesionLens on all nodes"):
        launched(Ray([RayTaskError("trace\nModuleNotFoundError: No module named 'lesionlens'")]))(task, notes.reporter, Limits())


def test_the_deadline_cancels_the_run(task, notes):
    ray = Ray([("note", "runs on a"), ("note", "epoch 1/2"), ("note", "epoch 2/2")])
    with pytest.raises(Stopped):
        launched(ray)(task, notes.reporter, Limits(deadline=0.0))
    assert ray.cancelled == 1
    assert notes[-1] == "epoch 1/2"


def test_a_worker_says_what_is_wrong_with_its_node(tmp_path):
    ((kind, text),) = work(str(tmp_path / "task.json"), __version__)
    assert kind == "error"
    assert "must be on a file system that all nodes share" in text
    ((kind, text),) = work(str(tmp_path / "task.json"), "0.0.1")
    assert kind == "error"
    assert "install one version on all" in text


def test_no_place_for_a_run_is_an_error():
    with pytest.raises(ClusterError, match=r"run of 4 CPUs and 2 GPUs; the largest of 1 nodes has 8 CPUs and 1 GPUs"):
        share_of([{"CPU": 8.0, "GPU": 1.0}], cpus=4, gpus=2)
    assert share_of([{"CPU": 8.0, "GPU": 1.0}], device="cpu") == Share(8.0, 0.0)
    assert share_of([{"CPU": 8.0, "GPU": 2.0}], gpus=0.5) == Share(2.0, 0.5)
    assert not doctest.testmod(ray_launch).failed


def test_runs_side_by_side_give_the_table_of_runs_one_by_one(finished, small_grid, synthetic_root, here, notes, tmp_path):
    """Every run is taken from the finished grid; two of them have to wait for each other."""
    seen = set()

    def launch(task, reporter, limits):
        seen.add(task.run.folder)
        until = time.monotonic() + 60
        while len(seen) < 4:
            assert time.monotonic() < until, "not side by side"
            time.sleep(0.01)
        shutil.copytree(finished[0] / "runs" / task.run.folder.name, task.run.folder, dirs_exist_ok=True)
        reporter.note("epoch 2/2")
        return None

    options = replace(here, launch=launch, at_once=lambda: 2)
    outcome = ablate(small_grid, ImageSource(synthetic_root), tmp_path / "side", options, reporter=notes.reporter)
    assert outcome.failed == outcome.left == 0
    assert rows(tmp_path / "side") == rows(finished[0])
    assert sum("waits for a place" in line for line in notes) == 4


def test_an_error_of_one_run_stops_the_others(finished, small_grid, synthetic_root, here, tmp_path):
    stopped = []

    def launch(task, reporter, limits):
        if "seed0" in task.run.folder.name and "adamw" in task.run.folder.name:
            raise ClusterError("the head node does not answer")
        assert limits.stop.wait(60)
        stopped.append(task)
        raise Stopped

    options = replace(here, launch=launch, at_once=lambda: 2)
    with pytest.raises(ClusterError, match="head node"):
        ablate(small_grid, ImageSource(synthetic_root), tmp_path / "side", options)
    assert len(stopped) <= 3
    assert not (tmp_path / "side" / "table.json").exists()


@pytest.mark.alone
def test_a_grid_on_a_cluster_equals_one_here_with_a_node_and_the_command_killed(
    finished, small_grid, grid_file, synthetic_root, tmp_path
):
    pytest.importorskip("ray")
    out = tmp_path / "ray"
    words = ("ablate", grid_file, "--data", synthetic_root, "--out", out, "--device", "cpu", "--no-audit")
    with ray_cluster(nodes=2) as cluster:
        first = Command(cluster, *words)
        first.until(r"epoch 1/2")
        first.kill()
        second = Command(cluster, *words)
        second.until(r"runs on ")
        kill(cluster.others[0])
        cluster.others[0] = cluster.add()
        assert second.end() == 0, "\n".join(second.lines)
    assert rows(out) == rows(finished[0])


@pytest.mark.alone
@QUIET_MACHINE
def test_a_lost_head_node_stops_the_grid_with_one_line_and_it_resumes(finished, grid_file, synthetic_root, tmp_path):
    pytest.importorskip("ray")
    out = tmp_path / "ray"
    words = ("ablate", grid_file, "--data", synthetic_root, "--out", out, "--device", "cpu", "--no-audit")
    with ray_cluster(nodes=1) as cluster:
        first = Command(cluster, *words)
        first.until(r"epoch 1/2")
        cluster.lose_head()
        assert first.end() == 1, "\n".join(first.lines)
        assert sum("the head node" in line for line in first.lines) == 1, first.lines
    with ray_cluster(nodes=1) as cluster:
        second = Command(cluster, *words)
        assert second.end() == 0, "\n".join(second.lines)
    assert rows(out) == rows(finished[0])


LITTLE_MEMORY = """
import resource, sys
if "lesionlens.experiments.point_run" in sys.orig_argv:
    resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000,) * 2)
"""


@pytest.mark.alone
@QUIET_MACHINE
def test_a_network_too_large_for_memory_is_recorded_and_the_grid_goes_on(grid_file, synthetic_root, tmp_path):
    """On a node that gives runs 1.2 GB, of which torch takes 0.7."""
    pytest.importorskip("ray")
    own, site = tmp_path / "large.toml", tmp_path / "site"
    text = grid_file.read_text().replace("seeds = 2", "seeds = 1").replace('paper = "table14"', "").partition("[axes]")[0]
    own.write_text(
        text.replace('model.name = "test_convnext"', "") + '[axes]\nmodel.name = ["test_convnext", "convnext_small"]\n'
    )
    site.mkdir()
    (site / "sitecustomize.py").write_text(LITTLE_MEMORY)
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    words = ("ablate", own, "--data", synthetic_root, "--out", tmp_path / "out", "--device", "cpu", "--no-audit")
    with ray_cluster(nodes=1, PYTHONPATH=paths) as cluster:
        command = Command(cluster, *words)
        assert command.end() == 1
    assert any("convnext_small" in line and "failed: out of memory" in line for line in command.lines), command.lines
    assert any("test_convnext" in line and ": done" in line for line in command.lines), command.lines


@pytest.mark.alone
def test_three_kills_at_random_moments_change_nothing(finished, grid_file, synthetic_root, tmp_path):
    """Without a cluster; the moments are drawn anew each time, and printed."""
    from tests.experiments.test_resume import SECONDS, start

    out, seed = tmp_path / "killed", random.randrange(2**31)
    draw = random.Random(seed)
    print(f"moments from random.Random({seed})")
    for _ in range(3):
        process = start(grid_file, synthetic_root, out)
        time.sleep(draw.uniform(1, 20))
        process.kill()
        process.communicate(timeout=SECONDS)
    last = start(grid_file, synthetic_root, out)
    _, messages = last.communicate(timeout=SECONDS)
    assert last.returncode == 0, messages
    assert not list(out.rglob("*.part"))
    assert rows(out) == rows(finished[0])
