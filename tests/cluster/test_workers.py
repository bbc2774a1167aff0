"""Processes that die are replaced, and their work is done again; without Ray, whose part is played here."""

import json
from types import SimpleNamespace

import pytest

from lesionlens import __version__
from lesionlens.cluster.workers import Crew, Scorer, Settings, answered, result_of
from lesionlens.core.errors import BundleError, ClusterError, StorageError
from lesionlens.core.progress import Reporter


class ActorError(Exception):
    pass


class Ray:
    """Answers in the order in which work was given; `dies(worker, job)` tells when a process dies instead."""

    exceptions = SimpleNamespace(RayActorError=ActorError)

    def __init__(self, dies=lambda worker, job: False, hello=None):
        self.dies, self.hello = dies, hello or {"version": __version__}
        self.workers, self.killed, self.given, self.checks = 0, [], [], 0

    def cluster(self):
        return SimpleNamespace(ray=self, check=self.check, kill=self.killed.append)

    def check(self):
        self.checks += 1

    def hire(self):
        self.workers += 1
        return self.workers, (self.workers, None, object())

    def give(self, worker, job):
        self.given.append((worker, job))
        return worker, job, object()

    def wait(self, references, num_returns, timeout):
        return references[:1], references[1:]

    def get(self, reference):
        worker, job, _ = reference
        if self.dies(worker, job):
            raise ActorError("The actor died.\nmore")
        facts = {"host": "h", "process": worker, "variant": "fp32", "runtime": "openvino", "notes": (), **self.hello}
        return {"result": facts} if job is None else {"result": job}


def crew(ray, most=2, notes=None):
    return Crew(ray.cluster(), ray.hire, ray.give, lambda: most, Reporter(note=(notes if notes is not None else []).append))


def test_every_job_is_done_once():
    ray = Ray()
    done = list(crew(ray).run(range(7)))
    assert sorted(each.job for each in done) == list(range(7))
    assert [each.answer for each in done] == [{"result": each.job} for each in done]
    assert ray.workers == 2
    assert sorted(ray.killed) == [1, 2], "no process is left"


def test_no_more_processes_than_jobs():
    ray = Ray()
    list(crew(ray, most=100).run(range(3)))
    assert ray.workers == 3


def test_the_work_of_a_dead_process_is_done_by_another_one():
    notes = []
    ray = Ray(dies=lambda worker, job: worker == 1 and job == 2)
    team = crew(ray, notes=notes)
    done = list(team.run(range(5)))
    assert sorted(each.job for each in done) == list(range(5)), "nothing is lost, and nothing twice"
    assert all(each.answer == {"result": each.job} for each in done)
    assert team.lost == 1
    assert ray.workers == 3
    assert "process 1 on h died (The actor died.); its work is done again by another one" in notes


def test_a_job_that_kills_three_processes_is_given_up_and_the_others_go_on():
    ray = Ray(dies=lambda worker, job: job == 2)
    done = {each.job: each for each in crew(ray).run(range(5))}
    assert sorted(done) == list(range(5))
    assert done[2].answer is None
    assert "3 processes died" in done[2].reason


def test_processes_that_die_as_they_start_end_it():
    with pytest.raises(ClusterError, match="3 processes in a row died as they started"):
        list(crew(Ray(dies=lambda worker, job: job is None)).run(range(5)))


def test_another_version_is_refused():
    with pytest.raises(ClusterError, match=r"h has lesionlens 0\.0\.1, and this machine"):
        list(crew(Ray(hello={"version": "0.0.1"})).run(range(2)))


def test_the_head_node_is_looked_for_before_anything_is_asked_of_it():
    ray = Ray()

    def gone():
        raise ClusterError("the head node does not answer")

    ray.check = gone
    with pytest.raises(ClusterError, match="does not answer"):
        list(crew(ray).run(range(2)))
    assert not ray.workers


def test_errors_travel_as_words():
    def full():
        raise StorageError("no space left")

    assert answered(full) == {"error": "StorageError", "message": "no space left"}
    with pytest.raises(StorageError, match="no space left"):
        result_of(answered(full))
    assert result_of(answered(lambda: 3)) == 3


def test_a_scorer_loads_the_bundle_that_it_is_sent(small_bundle, photos, tmp_path):
    files = {path.name: path.read_bytes() for path in small_bundle.iterdir()}
    scorer, bundle_id = Scorer(), json.loads(files["bundle.json"])["id"]
    facts = result_of(scorer.start(files, bundle_id, Settings()))
    assert facts["version"] == __version__
    shard = f'[0, "{photos}/0.jpg", "{photos}/1.jpg"]'
    assert result_of(scorer.score(shard, str(tmp_path / "out")))["rows"] == 2
    damaged = {**files, "model.onnx": files["model.onnx"][:-1]}
    with pytest.raises(BundleError, match=r"model\.onnx has"):
        result_of(Scorer().start(damaged, bundle_id, Settings()))
