"""The connection to a Ray cluster: found or started, watched, and given up with a message when its head is lost."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lesionlens.core.errors import ClusterError
from lesionlens.core.machine import cores

CLIENT_SCHEME = "ray://"
HEAD_ATTEMPTS = 3
HEAD_PAUSE_S = 2.0
HEAD_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        ray: the library.
        host: of the head node.
        port: of the head node's control store.
        started: whether this process started it, on this machine alone.
        lost: set once its head node does not answer any more; every call of Ray would wait for it in vain.
    """

    ray: Any
    host: str
    port: int
    started: bool = False
    lost: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def address(self) -> str:
        """Host and port of the head node."""
        return f"{self.host}:{self.port}"

    def resources(self) -> dict[str, float]:
        """CPUs and GPUs of all nodes together, by Ray's names: `CPU`, `GPU`."""
        return {name: float(value) for name, value in self.ray.cluster_resources().items()}

    def nodes(self) -> list[dict[str, float]]:
        """Resources of every node that is alive and has a CPU or a GPU."""
        alive = [dict(node["Resources"]) for node in self.ray.nodes() if node["Alive"]]
        return [node for node in alive if node.get("CPU") or node.get("GPU")]

    def room(self, cpus: float, gpus: float = 0.0) -> int:
        """How many processes fit at one time, each with so many CPUs and GPUs of one node."""
        return sum(places(node, cpus, gpus) for node in self.nodes())

    def check(self) -> None:
        """Make sure that the head node is there; Ray itself would end this process a minute after losing it.

        Raises:
            ClusterError: if it does not answer.
        """
        for attempt in range(HEAD_ATTEMPTS):
            try:
                socket.create_connection((self.host, self.port), HEAD_TIMEOUT_S).close()
            except OSError as error:
                if attempt == HEAD_ATTEMPTS - 1:
                    self.lost.set()
                    raise ClusterError(
                        f"the head node {self.address} of the Ray cluster does not answer ({error}); what is finished is on "
                        "disk. Start the cluster again and run the same command: it resumes"
                    ) from error
                time.sleep(HEAD_PAUSE_S)
            else:
                return

    def kill(self, worker: Any) -> None:
        """End a process, unless the head node is lost: without it the process ends by itself."""
        if not self.lost.is_set():
            self.ray.kill(worker)

    def text(self) -> str:
        """What the cluster has, in one line for people."""
        found, nodes = self.resources(), len(self.nodes())
        gpus = f", {found['GPU']:g} GPUs" if found.get("GPU") else ""
        where = "started on this machine" if self.started else f"at {self.address}"
        return f"Ray cluster {where}: {nodes} {'node' if nodes == 1 else 'nodes'}, {found.get('CPU', 0):g} CPUs{gpus}"


def places(node: dict[str, float], cpus: float, gpus: float = 0.0) -> int:
    """How many processes fit on one node.

    Args:
        node: its resources, as `Cluster.nodes` gives them.
        cpus: of each process; at least one of `cpus` and `gpus` is above 0.
        gpus: of each process.

    Example:
        >>> places({"CPU": 8.0, "GPU": 2.0}, cpus=2, gpus=1), places({"CPU": 8.0}, cpus=2, gpus=1)
        (2, 0)
    """
    needs = {"CPU": cpus, "GPU": gpus}
    return min(int(node.get(name, 0.0) / need) for name, need in needs.items() if need)


def require_ray() -> Any:
    """The library that spreads work over machines, with its reports of usage switched off.

    Raises:
        ClusterError: if it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would send reports to its makers
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            "ray is not installed; --on ray spreads the work with it. Install it with: pip install 'lesionlens[ray]'"
        ) from error
    return ray


@contextmanager
def connected(address: str = "") -> Iterator[Cluster]:
    """Connect to a Ray cluster while the block runs.

    Ray prints messages of its own on standard output, which is for results; they are dropped, and what matters in them
    (a worker that died) is reported by whoever lost it.

    Args:
        address: `HOST:PORT` of its head node, or `auto` for the one that runs on this machine; by default that in
            `RAY_ADDRESS`, else one is started on this machine alone and ends with the block.

    Raises:
        ClusterError: if Ray is not installed or the cluster does not answer.
    """
    if address.startswith(CLIENT_SCHEME):
        raise ClusterError(
            f"--address {address!r} is for Ray's client, which is not used here; run the command on a machine of the cluster, "
            "and give HOST:PORT of its head node, such as 10.0.0.1:6379"
        )
    ray = require_ray()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        started = _join(ray, address or os.environ.get("RAY_ADDRESS", ""))
        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        cluster = Cluster(ray, host.strip("[]"), int(port), started)
        try:
            yield cluster
        finally:
            ray.shutdown()


def _join(ray: Any, named: str) -> bool:
    """Connect to the cluster that is named, or start one here; returns whether it was started."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not named:
        ray.init(address="local", num_cpus=cores(), include_dashboard=False, **options)
        return True
    try:
        ray.init(address=named, **options)
    except ray.exceptions.AuthenticationError as error:
        raise ClusterError(
            f"the Ray cluster at {named} wants a token; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or ~/.ray/auth_token as on "
            "its head node"
        ) from error
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {named} ({_first_line(error)}); start it as docs/scale.md says, or leave "
            "--address out to use this machine alone"
        ) from error
    return False


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
