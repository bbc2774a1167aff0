"""How a run of a grid is started: in a process of its own, which may run out of memory without ending the grid."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lesionlens.core.artifact import read_json
from lesionlens.core.progress import Reporter
from lesionlens.experiments.folder import FAILURE, KILLED, Failure
from lesionlens.experiments.point_run import Task

LOG = "log.txt"
END_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Limits:
    """What a run that is started has to respect.

    Attributes:
        deadline: time of `time.monotonic` after which it is stopped at the end of an epoch; None sets none.
        lock: file descriptor of the experiment's lock, which the run holds until it ends; None has none.
        stop: set to stop it in the same way, whatever the time.
    """

    deadline: float | None = None
    lock: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def reached(self) -> bool:
        """Whether the deadline is over, or the run is to stop."""
        return self.stop.is_set() or (self.deadline is not None and time.monotonic() >= self.deadline)


class Stopped(Exception):
    """A run was stopped at its deadline; it resumes."""


Launch = Callable[[Task, Reporter, Limits], Failure | None]
"""Runs a task; gives the reason if it fails, and raises `Stopped` at the deadline."""


def in_own_process(task: Task, reporter: Reporter, limits: Limits) -> Failure | None:
    """Run a task in a process of its own; its messages are relayed, and its errors are kept in log.txt."""
    with OwnProcess(task, limits.lock) as process:
        for line in process.lines():
            reporter.note(line)
            if limits.reached and line.startswith("epoch "):
                raise Stopped
        return process.failure()


class OwnProcess:
    """The process of a run; it ends with the block.

    Args:
        task: what it does.
        lock: file descriptor of a lock that it holds until it ends.
    """

    def __init__(self, task: Task, lock: int | None = None) -> None:
        self.task, self.log = task, task.run.folder / LOG
        command = [sys.executable, "-m", "lesionlens.experiments.point_run", str(task.write())]
        with self.log.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                pass_fds=() if lock is None else (lock,),
            )

    def __enter__(self) -> OwnProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        """End it if it still runs, and close its pipes."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def lines(self) -> Iterator[str]:
        """Its messages, until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line.rstrip("\n")

    def failure(self) -> Failure | None:
        """Wait for its end; the reason if it failed."""
        code, recorded = self._process.wait(), self.task.run.folder / FAILURE
        if code == 0:
            return None
        if code == 1 and recorded.is_file():
            return Failure(**read_json(recorded))
        if code < 0:
            return Failure(
                KILLED, f"its process was killed by signal {-code}; signal 9 is what a system sends that runs out of memory"
            )
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        last = lines[-1].strip()[:300] if lines else f"exit code {code}"
        return Failure("error", f"{last}; see {self.log.parent.name}/{self.log.name}")
