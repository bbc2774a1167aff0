"""How a run of a grid is started on a Ray cluster: in a process of its own on a node that has a place for it.

The folder of the experiment is on a file system that all nodes see; what a run has finished is in its folder, so a run whose
node is lost resumes on another one after its last epoch.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lesionlens import __version__
from lesionlens.cluster.connection import Cluster, connected, places
from lesionlens.core.errors import ClusterError, LesionLensError
from lesionlens.core.progress import Reporter
from lesionlens.experiments.folder import KILLED, Failure, held
from lesionlens.experiments.launch import Limits, OwnProcess, Stopped
from lesionlens.experiments.point_run import Task

CHECK_S = 5.0
MOST_LOSSES = 3
RUN_LOCK = "run.lock"
RUN_LOCK_PATIENCE_S = 60.0  # a run whose node was cut off notices that and ends
NOTE, END, ERROR = "note", "end", "error"


@dataclass(frozen=True)
class Share:
    """What one run takes of a node.

    Attributes:
        cpus: number of CPUs, and of torch's threads.
        gpus: number of GPUs; below 1 several runs share one.
    """

    cpus: float
    gpus: float = 0.0


def share_of(nodes: list[dict[str, float]], cpus: float = 0.0, gpus: float = 0.0, device: str = "auto") -> Share:
    """What a run takes of a node.

    Args:
        nodes: resources of the nodes, as `Cluster.nodes` gives them.
        cpus: CPUs of a run; 0 takes those of the smallest node, or its CPUs for each of its GPUs.
        gpus: GPUs of a run; 0 takes one where a node has one, unless `device` is `cpu`.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ClusterError: if no node has a place for a run.

    Example:
        >>> share_of([{"CPU": 16.0, "GPU": 4.0}, {"CPU": 64.0}]), share_of([{"CPU": 16.0}, {"CPU": 8.0}])
        (Share(cpus=4.0, gpus=1.0), Share(cpus=8.0, gpus=0.0))
    """
    with_gpu = [node for node in nodes if node.get("GPU")]
    if device != "cpu" and not gpus and with_gpu:
        gpus = 1.0
    if not cpus:
        offers = [node["CPU"] / node["GPU"] * gpus for node in with_gpu] if gpus else [node.get("CPU", 0.0) for node in nodes]
        cpus = float(max(1, int(min(offers, default=1.0))))
    if not sum(places(node, cpus, gpus) for node in nodes):
        largest = max((f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes), default="nothing")
        raise ClusterError(
            f"no node has a place for a run of {cpus:g} CPUs and {gpus:g} GPUs; the largest of {len(nodes)} nodes has {largest}. "
            "Lower --cpus-per-run or --gpus-per-run, or add nodes"
        )
    return Share(cpus, gpus)


@contextmanager
def ray_launch(address: str, cpus: float, gpus: float, device: str, reporter: Reporter) -> Iterator[RayLaunch]:
    """Start runs on a cluster while the block runs.

    Args:
        address: see `connected`.
        cpus: see `share_of`.
        gpus: likewise.
        device: likewise.
        reporter: told what the cluster has.

    Raises:
        ClusterError: if the cluster does not answer, or no node has a place for a run.
    """
    with connected(address) as cluster:
        launch = RayLaunch(cluster, share_of(cluster.nodes(), cpus, gpus, device))
        share = f"{launch.share.cpus:g} CPUs" + (f" and {launch.share.gpus:g} GPUs" if launch.share.gpus else "")
        reporter.note(f"{cluster.text()}; {launch.places} runs at once, each with {share}")
        yield launch


class RayLaunch:
    """Starts runs on a cluster; may be called by several threads at one time.

    A run whose process was killed counts as one whose worker was lost: a node that goes down kills processes too.

    Attributes:
        places: runs that go on at one time, when it was last asked.
    """

    def __init__(self, cluster: Cluster, share: Share) -> None:
        self.cluster, self.share = cluster, share
        self.places = cluster.room(share.cpus, share.gpus)

    def __call__(self, task: Task, reporter: Reporter, limits: Limits) -> Failure | None:
        """Run a task wherever there is a place; a run whose node is lost resumes on another one.

        Raises:
            ClusterError: if the head node is lost, or a node cannot run it at all.
            Stopped: at the deadline.
        """
        reason = ""
        for loss in range(MOST_LOSSES):
            try:
                return self._attempt(task, reporter, limits)
            except _Lost as lost:
                self.cluster.check()
                reason = str(lost)
                again = "; it resumes on another one" if loss < MOST_LOSSES - 1 else ""
                reporter.note(f"its worker was lost ({reason}){again}")
        kind = "memory" if "low on memory" in reason else KILLED
        return Failure(kind, f"{MOST_LOSSES} workers were lost while they ran it, the last because: {reason}")

    def _attempt(self, task: Task, reporter: Reporter, limits: Limits) -> Failure | None:
        self.cluster.check()
        self.places = self.cluster.room(self.share.cpus, self.share.gpus)
        options = {"num_cpus": self.share.cpus, "num_gpus": self.share.gpus, "max_retries": 0, "num_returns": "streaming"}
        stream = self.cluster.ray.remote(work).options(**options).remote(str(task.write().absolute()), __version__)
        try:
            for kind, value in self._messages(stream, limits):
                if kind == ERROR:
                    raise ClusterError(value)
                if kind == END:
                    failure = None if value is None else Failure(**value)
                    if failure is not None and failure.kind == KILLED:
                        raise _Lost(failure.reason)  # perhaps by its node, which ends the processes of a worker before it dies
                    return failure
                reporter.note(value)
                if limits.reached and value.startswith("epoch "):
                    raise Stopped
        except _Lost:
            raise
        except BaseException:
            if not self.cluster.lost.is_set():
                self.cluster.ray.cancel(stream)
            raise
        raise _Lost("its messages ended")

    def _messages(self, stream: Any, limits: Limits) -> Iterator[tuple[str, Any]]:
        """What the worker says, in order.

        Raises:
            _Lost: if the worker or its node died.
            Stopped: at the deadline, before it has said anything.
        """
        ray, checked, started = self.cluster.ray, time.monotonic(), False
        while True:
            ready, _ = ray.wait([stream], timeout=CHECK_S)
            if time.monotonic() - checked > CHECK_S:
                self.cluster.check()
                checked = time.monotonic()
            if not ready:
                if limits.stop.is_set() or (limits.reached and not started):
                    raise Stopped
                continue
            try:
                message = ray.get(next(stream))
            except StopIteration:
                return
            except ray.exceptions.RayTaskError as error:
                raise ClusterError(
                    f"a node cannot run it: {_last_line(error)}; install the same LesionLens on all nodes"
                ) from error
            except ray.exceptions.RayError as error:
                raise _Lost(" ".join(str(error).split(". ")[0].split())[:200]) from error
            started = True
            yield message


class _Lost(Exception):
    """A worker, or its node, died."""


def _last_line(error: Exception) -> str:
    return [line.strip() for line in str(error).splitlines() if line.strip()][-1][:200]


def work(path: str, version: str) -> Iterator[tuple[str, Any]]:
    """What a worker does: run the task of a file, and relay its messages.

    Yields:
        `note` with a line; at last `end` with the failure or None, or `error` with what is wrong with this node.
    """
    host = platform.node()
    if version != __version__:
        yield ERROR, f"{host} has lesionlens {__version__}, and the machine of the command {version}; install one version on all"
        return
    if not Path(path).is_file():
        yield ERROR, f"{host} does not see {path}; --out must be on a file system that all nodes share, under the same path"
        return
    task = Task.read(Path(path))
    try:
        with held(task.run.folder / RUN_LOCK, RUN_LOCK_PATIENCE_S, "end it") as lock, OwnProcess(task, lock) as process:
            yield NOTE, f"runs on {host}"
            for line in process.lines():
                yield NOTE, line
            failure = process.failure()
    except LesionLensError as error:
        yield ERROR, f"{host}: {error}"
    else:
        yield END, None if failure is None else asdict(failure)
