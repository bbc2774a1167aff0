"""Runs of a grid in the process of the tests, where they start quickly and can be patched."""

from dataclasses import replace

from lesionlens.core.errors import LesionLensError
from lesionlens.core.progress import Reporter
from lesionlens.experiments.folder import Failure
from lesionlens.experiments.launch import Limits, Stopped
from lesionlens.experiments.point_run import Task, failure_of, run_point


def in_this_process(task: Task, reporter: Reporter, limits: Limits) -> Failure | None:
    """Run a task here, with the failures and the stops of one in a process of its own."""

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
