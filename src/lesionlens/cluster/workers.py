"""Processes on a cluster: started, given one job after the other, and replaced when they die."""

from __future__ import annotations

import math
import os
import platform
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from lesionlens import __version__
from lesionlens.bundle.runtime import Predictor
from lesionlens.cluster.connection import Cluster
from lesionlens.cluster.files import Folder
from lesionlens.cluster.score import score_shard
from lesionlens.cluster.shards import Shard
from lesionlens.core import errors
from lesionlens.core.errors import ClusterError, LesionLensError
from lesionlens.core.progress import Reporter

MOST_DEATHS = 3
CHECK_S = 5.0


@dataclass(frozen=True)
class Settings:
    """How every process predicts; see `Predictor`.

    Attributes:
        runtime: `auto`, `openvino` or `onnxruntime`.
        variant: of the bundle, or `auto`.
        threads: of computation, and the CPUs that a process takes of the cluster; at least 1.
        batch_size: images in one pass.
        workers: threads that decode ahead.
    """

    runtime: str = "auto"
    variant: str = "auto"
    threads: int = 1
    batch_size: int = 1
    workers: int = 1


def answered(work: Callable[[], Any]) -> dict[str, Any]:
    """What a piece of work gives, or the error that it raises, as plain values that any process can read."""
    try:
        return {"result": work()}
    except LesionLensError as error:
        return {"error": type(error).__name__, "message": str(error)}


def result_of(answer: dict[str, Any]) -> Any:
    """The result in an answer.

    Raises:
        LesionLensError: the error in it.
    """
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"])
    return answer["result"]


class Scorer:
    """One process that scores shards; its bundle comes with the first call, so no disk has to be shared."""

    def start(self, files: dict[str, bytes], bundle_id: str, settings: Settings) -> dict[str, Any]:
        """Load the bundle and run its self-test; gives where this process runs, and what there is to say."""

        def load() -> dict[str, Any]:
            with tempfile.TemporaryDirectory(prefix="lesionlens-bundle-") as folder:
                for name, content in files.items():
                    (Path(folder) / name).write_bytes(content)
                self.predictor = Predictor(folder, **asdict(settings))
            if self.predictor.bundle.id != bundle_id:
                raise ClusterError(f"bundle {self.predictor.bundle.id[:12]} arrived in place of {bundle_id[:12]}; run it again")
            return {
                "host": platform.node(),
                "process": os.getpid(),
                "version": __version__,
                "variant": self.predictor.variant.name,
                "runtime": self.predictor.runtime,
                "notes": self.predictor.notes,
            }

        return answered(load)

    def score(self, shard: str, out: str) -> dict[str, Any]:
        """Score one shard, given as its line; gives what `Scored` holds."""
        return answered(lambda: asdict(score_shard(self.predictor, Shard.read(shard), Folder(out))))


J = TypeVar("J")


class Hire(Protocol):
    """Starts one process; gives its handle and the reference to its first answer."""

    def __call__(self) -> tuple[Any, Any]:
        """Start it."""


@dataclass(frozen=True)
class Done(Generic[J]):
    """A job that ended.

    Attributes:
        job: the job.
        answer: of the process; None if the job was given up.
        reason: why it was given up.
    """

    job: J
    answer: dict[str, Any] | None
    reason: str = ""


class Crew(Generic[J]):
    """Processes that take one job after the other. One that dies is replaced, and its job is done again.

    Args:
        cluster: where they run.
        hire: starts a process.
        give: gives a process a job; returns the reference to its answer.
        most: tells how many processes there may be; asked again from time to time, since nodes come and go.
        reporter: told of every process that starts or dies.
    """

    def __init__(
        self, cluster: Cluster, hire: Hire, give: Callable[[Any, J], Any], most: Callable[[], int], reporter: Reporter
    ) -> None:
        self.cluster, self.hire, self.give, self.most, self.reporter = cluster, hire, give, most, reporter
        self.busy: dict[Any, tuple[Any, J | None]] = {}
        self.names: dict[Any, str] = {}
        self.lost = 0
        self._stillborn = 0

    def run(self, jobs: Iterable[J]) -> Iterator[Done[J]]:
        """Do all jobs; each comes back once, in the order in which they end.

        Raises:
            ClusterError: if the head node is lost, or processes die as they start.
            LesionLensError: if a process cannot start, such as for a bundle that does not run there.
        """
        waiting, deaths, checked, most = deque(jobs), Counter[J](), -math.inf, 0
        try:
            while waiting or any(job is not None for _, job in self.busy.values()):
                if time.monotonic() - checked > CHECK_S:
                    self.cluster.check()  # before anything else is asked of Ray, which would wait for a lost head node
                    checked, most = time.monotonic(), self.most()
                while len(self.busy) < min(len(waiting) + self._working(), most):
                    worker, reference = self.hire()
                    self.busy[reference] = (worker, None)
                ready, _ = self.cluster.ray.wait(list(self.busy), num_returns=1, timeout=CHECK_S)
                for reference in ready:
                    yield from self._ended(reference, waiting, deaths)
        finally:
            for worker, _ in self.busy.values():
                self.cluster.kill(worker)
            self.busy.clear()

    def _working(self) -> int:
        return sum(job is not None for _, job in self.busy.values())

    def _ended(self, reference: Any, waiting: deque[J], deaths: Counter[J]) -> Iterator[Done[J]]:
        worker, job = self.busy.pop(reference)
        try:
            answer = self.cluster.ray.get(reference)
        except self.cluster.ray.exceptions.RayActorError as error:
            self.cluster.kill(worker)  # it may be cut off and alive; its job is given to another one
            yield from self._died(worker, job, " ".join(str(error).split("\n")[0].split()), waiting, deaths)
            return
        if job is None:
            self._started(worker, result_of(answer))
        else:
            yield Done(job, answer)
        if waiting:
            job = waiting.popleft()
            self.busy[self.give(worker, job)] = (worker, job)
        else:
            self.cluster.kill(worker)

    def _started(self, worker: Any, facts: dict[str, Any]) -> None:
        self._stillborn = 0
        if facts["version"] != __version__:
            raise ClusterError(
                f"{facts['host']} has lesionlens {facts['version']}, and this machine {__version__}; install one version on all"
            )
        self.names[worker] = f"process {facts['process']} on {facts['host']}"
        self.reporter.note(f"{self.names[worker]} is ready: {facts['variant']} on {facts['runtime']}")
        for text in facts["notes"]:
            self.reporter.note(text)

    def _died(self, worker: Any, job: J | None, why: str, waiting: deque[J], deaths: Counter[J]) -> Iterator[Done[J]]:
        self.lost += 1
        self.cluster.check()
        name = self.names.get(worker, "a process that was starting")
        if job is None:
            self._stillborn += 1
            if self._stillborn >= MOST_DEATHS:
                raise ClusterError(
                    f"{MOST_DEATHS} processes in a row died as they started ({why}); look for their end in Ray's logs, and give "
                    "each more memory (fewer --processes)"
                )
            self.reporter.note(f"{name} died ({why}); another one starts")
            return
        deaths[job] += 1
        if deaths[job] >= MOST_DEATHS:
            self.reporter.note(f"{name} died ({why})")
            yield Done(job, None, f"{MOST_DEATHS} processes died while they worked on it")
            return
        self.reporter.note(f"{name} died ({why}); its work is done again by another one")
        waiting.appendleft(job)
