"""Running a grid: what is missing, in order, with failures recorded and the time that is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from lesionlens.core.progress import Reporter
from lesionlens.experiments.data import Images, index_images, share, sources_of
from lesionlens.experiments.folder import Experiment
from lesionlens.experiments.grid import Grid
from lesionlens.experiments.launch import Launch, Limits, Stopped, in_own_process
from lesionlens.experiments.point_run import Task, work_left
from lesionlens.experiments.points import Point, points_of
from lesionlens.pipeline.job import ImageSource
from lesionlens.reporting.formats import duration_text
from lesionlens.training.history import read_history

DONE, FAILED, TO_DO, STARTED = "done", "failed", "to do", "started"


@dataclass(frozen=True)
class Options:
    """How a grid is run.

    Attributes:
        device: `auto`, `cpu` or `cuda`.
        retry: whether runs that failed are tried again.
        audit: whether near-duplicates are looked for before the images are split.
        launch: how a run is started; None starts a process for each.
        at_once: tells how many runs go on at one time, if `launch` finds a place for each by itself; None runs one after the
            other.
    """

    device: str = "auto"
    retry: bool = False
    audit: bool = True
    launch: Launch | None = None
    at_once: Callable[[], int] | None = None


@dataclass(frozen=True)
class State:
    """Where a point stands.

    Attributes:
        point: the point.
        state: `done`, `failed`, `started` or `to do`.
        text: the same for people, such as `epoch 3 of 9`.
    """

    point: Point
    state: str
    text: str


def state_of(experiment: Experiment, point: Point) -> State:
    """Where a point stands, from what is on disk."""
    run, failure = experiment.run(point), experiment.failure(point)
    if run.scores.is_file() and not work_left(Task(run, point.recipe)):
        return State(point, DONE, "done")
    if failure is not None:
        return State(point, FAILED, f"failed: {failure.reason}")
    if run.history.is_file():
        finished = len(read_history(run.history))
        return State(point, STARTED, f"epoch {finished} of {point.recipe.training.epochs}")
    return State(point, TO_DO, "to do")


def run_grid(
    experiment: Experiment,
    grid: Grid,
    source: ImageSource,
    reporter: Reporter,
    options: Options | None = None,
    after_seed: Callable[[Sequence[Point]], None] | None = None,
) -> list[State]:
    """Run what is missing of a grid.

    Args:
        experiment: where.
        grid: what.
        source: the images.
        reporter: told of every step and epoch, and of the time that is left.
        options: device, whether to retry failures, and how runs are started.
        after_seed: called with all points when the last run of a seed has ended and others follow.

    Returns:
        Where every point stands.

    Raises:
        RecipeError: if the grid is wrong, or the folder holds results of another grid or other images.
        StorageError: if another process works in the folder.
        LesionLensError: whatever the shared stages raise; errors of single runs are recorded instead.
    """
    options = options or Options()
    points_of(grid)  # settings are checked before the images are read
    experiment.check_grid(grid)
    deadline = time.monotonic() + 3600 * grid.hours if grid.hours else None
    with experiment.locked() as lock:
        index = index_images(experiment, grid, source, reporter)
        experiment.claim(grid, index.hash)
        points = points_of(grid, sources_of(grid, index))
        reporter.note(share(experiment, points, grid, Images(source, options.audit), reporter))
        _Queue(experiment, points, reporter, options, Limits(deadline, lock)).run(after_seed)
    return [state_of(experiment, point) for point in points]


class _Queue:
    """The points of a grid, one after another or side by side."""

    def __init__(
        self, experiment: Experiment, points: Sequence[Point], reporter: Reporter, options: Options, limits: Limits
    ) -> None:
        self.experiment, self.points, self.options, self.limits = experiment, points, options, limits
        self.reporter, self.lock = reporter, threading.RLock()
        self.left: list[Point] = []
        self.clock = _Clock(experiment, points)

    def run(self, after_seed: Callable[[Sequence[Point]], None] | None) -> None:
        states = [state_of(self.experiment, point) for point in self.points]
        self.left = [each.point for each in states if each.state != DONE and (each.state != FAILED or self.options.retry)]
        self._announce(states)
        for point in self._side_by_side() if self.options.at_once and self.left else self._one_by_one():
            with self.lock:
                self.left.remove(point)
            if after_seed is not None and self.left and all(other.seed != point.seed for other in self.left):
                after_seed(self.points)
        if self.left:
            count = len(self.left)
            self.note(f"the budget of this grid is spent; {count} runs are left. Run the same command again to resume")

    def note(self, text: str) -> None:
        """Report one line; several runs may want to at one time."""
        with self.lock:
            self.reporter.note(text)

    def _announce(self, states: Sequence[State]) -> None:
        done = sum(each.state == DONE for each in states)
        failed = [each for each in states if each.state == FAILED]
        self.note(f"{len(states)} runs: {done} done, {len(failed)} failed before, {len(self.left)} to do")
        if failed and not self.options.retry:
            for each in failed:
                self.note(f"{each.point.label}: {each.text}")
            self.note("run them again with --retry")

    def _one_by_one(self) -> Iterator[Point]:
        """Run the points in their order, until the budget is spent; yields each that has ended."""
        for point in tuple(self.left):
            if not self._ends(point):
                return
            yield point

    def _side_by_side(self) -> Iterator[Point]:
        """Start all points, each in a thread that waits for it; yields each that has ended before the budget was spent."""
        with ThreadPoolExecutor(len(self.left)) as pool:
            futures = {pool.submit(self._ends, point): point for point in self.left}
            try:
                for future in as_completed(futures):
                    if future.result():
                        yield futures[future]
            except BaseException:
                self.limits.stop.set()
                raise

    def _ends(self, point: Point) -> bool:
        """Run a point; whether it ended, with or without success, before the budget was spent."""
        if self.limits.reached:
            return False
        try:
            self._run_one(point)
        except Stopped:
            return False
        return True

    def _run_one(self, point: Point) -> None:
        self.experiment.forget_failure(point)
        task = Task(self.experiment.run(point), point.recipe, self.options.device)
        task.run.folder.mkdir(parents=True, exist_ok=True)
        place = f"[{self.points.index(point) + 1}/{len(self.points)}] {point.label}"

        def note(text: str) -> None:
            left = self.clock_text(self.left, "  ") if text.startswith("epoch ") else ""
            self.note(f"{place}: {text}{left}")

        note(f"{'waits for a place' if self.options.at_once else 'starts'}{self.clock_text(self.left)}")
        launch = self.options.launch or in_own_process
        failure = launch(task, replace(self.reporter, note=note), self.limits)
        if failure is None:
            task.run.last.unlink(missing_ok=True)  # nothing is left to resume, and it is the largest file
            note(f"done{self.clock_text([other for other in self.left if other != point])}")
        else:
            self.experiment.write_failure(point, failure)
            note(f"failed: {failure.reason}")

    def clock_text(self, points: Sequence[Point], start: str = "; ") -> str:
        """The time that some points still take, to be put behind a message; empty while nothing is known."""
        with self.lock:
            left = self.clock.left(points)
        at_once = min(self.options.at_once(), len(points)) if self.options.at_once else 1
        return f"{start}about {duration_text(left / max(1, at_once))} left in all" if left else ""


class _Clock:
    """An estimate of the time that is left: seconds of an epoch of the same row, else of the finished runs."""

    def __init__(self, experiment: Experiment, points: Sequence[Point]) -> None:
        self.experiment, self.points = experiment, points
        self.read: dict[Path, tuple[float, list[float]]] = {}

    def seconds(self, point: Point) -> list[float]:
        """Seconds of the finished epochs of a run."""
        path = self.experiment.run(point).history
        if not path.is_file():
            return []
        changed = path.stat().st_mtime
        if path not in self.read or self.read[path][0] != changed:
            self.read[path] = (changed, [epoch.seconds for epoch in read_history(path)])
        return self.read[path][1]

    def left(self, points: Sequence[Point]) -> float | None:
        """Seconds that `points` still take, one after the other; None while nothing is known."""
        known = {each.label: self.seconds(each) for each in self.points}
        every = [seconds for epochs in known.values() for seconds in epochs]
        if not every:
            return None
        total = 0.0
        for each in points:
            own = [s for other in self.points if other.row == each.row for s in known[other.label]] or every
            total += sum(own) / len(own) * max(0, each.recipe.training.epochs - len(known[each.label]))
        return total
