"""A Ray cluster of several nodes on this machine, each a group of processes that can be killed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")
START_S = 120
ATTEMPTS = 4


class StartError(Exception):
    """A node did not start."""


class RayCluster:
    """A head node and other nodes, with one CPU each.

    Its folder is short and under /tmp, because the names of its sockets are limited to 107 characters.
    """

    def __init__(self, nodes: int = 2, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ll-ray-", dir="/tmp"))
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), **environment}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.started: list[subprocess.Popen[bytes]] = []
        try:
            port = self.address.rpartition(":")[2]
            self.head = self._start("--head", f"--port={port}", f"--temp-dir={self.folder}", "--num-cpus=1")
            self.others = [self.add() for _ in range(nodes - 1)]
        except BaseException:
            self.close()
            raise

    def add(self) -> subprocess.Popen[bytes]:
        """Start another node with one CPU."""
        return self._start(f"--address={self.address}", "--num-cpus=1")

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a node; Ray gives up after half a minute, which is short on a busy machine."""
        for _ in range(ATTEMPTS - 1):
            with suppress(StartError):
                return self._try(*options)
        return self._try(*options)

    def _try(self, *options: str) -> subprocess.Popen[bytes]:
        command = [str(RAY), "start", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1", *options]
        command += ["--object-store-memory=100000000", *(["--include-dashboard=false"] if "--head" in options else [])]
        log = self.folder / f"node{len(self.started)}.log"
        with log.open("wb") as stream:
            environment = {**os.environ, **self.environment}
            node = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment, start_new_session=True)
        self.started.append(node)
        until = time.monotonic() + START_S
        while "Ray runtime started" not in log.read_text(errors="replace"):
            if node.poll() is not None or time.monotonic() > until:
                kill(node)
                raise StartError(log.read_text(errors="replace")[-2000:])
            time.sleep(0.2)
        return node

    def lose_head(self) -> None:
        """Kill the control store of the head node, as when its machine is lost and the command runs on another one.

        All nodes here have one address, so Ray may attach the command to the head node; what it is attached to has to stay.
        """
        self.head.send_signal(signal.SIGKILL)  # first, because it would end the others
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if b"gcs_server" in command and self.folder.name.encode() in command:
                    os.kill(int(process.name), signal.SIGKILL)

    def close(self) -> None:
        """Kill all nodes."""
        for node in self.started:
            kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)


def kill(node: subprocess.Popen[bytes]) -> None:
    """Kill a node with all its processes, as when its machine loses power."""
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


@contextmanager
def ray_cluster(nodes: int = 2, **environment: str) -> Iterator[RayCluster]:
    """A cluster while the block runs, whose processes have some more variables in their environment."""
    cluster = RayCluster(nodes, **environment)
    try:
        yield cluster
    finally:
        cluster.close()


class Command:
    """A command of lesionlens in a process of its own, whose messages are read while it runs.

    Args:
        cluster: where its work is done.
        words: of the command, without `lesionlens`.
        listed: file of its standard input.
    """

    def __init__(self, cluster: RayCluster, *words: object, listed: Path | None = None) -> None:
        command = [sys.executable, "-m", "lesionlens", *map(str, words), "--on", "ray", "--address", cluster.address]
        environment = {**os.environ, **cluster.environment, "OMP_NUM_THREADS": "1"}
        self.lines: list[str] = []
        with Path(listed or os.devnull).open("rb") as stream:
            streams = {"stdin": stream, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
            self.process = subprocess.Popen(command, **streams, text=True, env=environment, start_new_session=True)

    def until(self, pattern: str) -> re.Match[str]:
        """Read messages up to one that matches."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"never said {pattern!r}: " + "\n".join(self.lines))

    def end(self) -> int:
        """Read the rest; gives the exit code."""
        assert self.process.stderr is not None
        self.lines += [line.rstrip("\n") for line in self.process.stderr]
        self.process.stderr.close()
        return self.process.wait()

    def kill(self) -> None:
        """Kill the command, and nothing that Ray runs for it."""
        self.process.send_signal(signal.SIGKILL)
        self.end()
