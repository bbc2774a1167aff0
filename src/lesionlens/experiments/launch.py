"""How a run of a grid is started: in a process of its own, which may run out of memory without ending the grid."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from lesionlens.core.artifact import read_json
from lesionlens.core.errors import LesionLensError
from lesionlens.core.progress import Reporter
from lesionlens.experiments.folder import FAILURE, Failure
from lesionlens.experiments.point_run import Task, failure_of, run_point

LOG = "log.txt"
END_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Limits:
    """What a run that is started has to respect.

    Attributes:
        deadline: time of `time.monotonic` after which it is stopped at the end of an epoch; None sets none.
        lock: file descriptor of the experiment's lock, which the run holds until it ends; None has none.
    """

    deadline: float | None = None
    lock: int | None = None

    @property
    def reached(self) -> bool:
        """Whether the deadline is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline


class Stopped(Exception):
    """A run was stopped at its deadline; it resumes."""


Launch = Callable[[Task, Reporter, Limits], Failure | None]
"""Runs a task; gives the reason if it fails, and raises `Stopped` at the deadline."""


def in_this_process(task: Task, reporter: Reporter, limits: Limits) -> Failure | None:
    """Run a task here; a process that runs out of memory ends."""

    def note(text: str) -> None:
        reporter.note(text)
        if limits.reached and text.startswith("epoch "):
            raise Stopped

    try:
        run_point(task, replace(reporter, note=note))
    except (LesionLensError, OSError, RuntimeError, MemoryError) as error:
        failure = failure_of(error)
        if failure is None:
            raise
        return failure
    return None


def in_own_process(task: Task, reporter: Reporter, limits: Limits) -> Failure | None:
    """Run a task in a process of its own; its messages are relayed, and its errors are kept in log.txt."""
    path, log = task.write(), task.run.folder / LOG
    command = [sys.executable, "-m", "lesionlens.experiments.point_run", str(path)]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            pass_fds=() if limits.lock is None else (limits.lock,),
        )
    try:
        if process.stdout is not None:
            _relay(process.stdout, reporter, limits)
        return _failure(task, process.wait(), log)
    finally:
        _end(process)


def _relay(stream: IO[str], reporter: Reporter, limits: Limits) -> None:
    for line in stream:
        reporter.note(line.rstrip("\n"))
        if limits.reached and line.startswith("epoch "):
            raise Stopped


def _end(process: subprocess.Popen[str]) -> None:
    """End a process that still runs, and close its pipes."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _failure(task: Task, code: int, log: Path) -> Failure | None:
    if code == 0:
        return None
    recorded = task.run.folder / FAILURE
    if code == 1 and recorded.is_file():
        return Failure(**read_json(recorded))
    if code < 0:
        return Failure(
            "killed", f"its process was killed by signal {-code}; signal 9 is what a system sends that runs out of memory"
        )
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return Failure("error", f"{lines[-1].strip()[:300] if lines else f'exit code {code}'}; see {log.parent.name}/{log.name}")
