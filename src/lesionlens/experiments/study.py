"""Search for settings by successive halving, on the validation split only, with optuna.

Trials train like runs of a grid. After every epoch the best validation score so far is compared with that of the trials
before at the same epoch, and only the best third goes on to three times as many epochs (asynchronous successive halving,
Li 2020). No trial predicts the test split.
"""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionlens.core.artifact import write_json, write_text
from lesionlens.core.errors import ModelError, RecipeError
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import recipe_to_toml
from lesionlens.experiments.data import Images, index_images, share
from lesionlens.experiments.execution import Options
from lesionlens.experiments.folder import Experiment
from lesionlens.experiments.grid import Row
from lesionlens.experiments.launch import Limits, Stopped, in_own_process
from lesionlens.experiments.point_run import Task
from lesionlens.experiments.points import Point
from lesionlens.experiments.space import ARM, Range, Space
from lesionlens.pipeline.job import ImageSource
from lesionlens.training.history import best_epoch, read_history

if TYPE_CHECKING:
    import optuna

JOURNAL = "study.journal"
REDUCTION = 3
FIRST_RUNG = 1  # epochs


@dataclass(frozen=True)
class Budget:
    """How long to search.

    Attributes:
        trials: number of trials in all, those of earlier calls included.
        hours: no trial starts after so many hours; 0 sets no limit.
    """

    trials: int = 20
    hours: float = 0.0

    def __post_init__(self) -> None:
        if self.trials < 1 or self.hours < 0:
            raise RecipeError(f"{self.trials} trials, {self.hours} hours; there must be 1 trial or more, and 0 hours or more")


def require_optuna() -> Any:
    """The library that proposes settings.

    Raises:
        ModelError: if it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ModelError(
            "optuna is not installed; it proposes settings. Install it with: pip install 'lesionlens[search]'"
        ) from error
    return optuna


def search(
    space: Space,
    source: ImageSource,
    out: Path,
    budget: Budget,
    options: Options | None = None,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Search a space of settings; a search that was stopped resumes, in the middle of a trial too.

    Args:
        space: base recipe and axes.
        source: the images; the test split is made and never looked at.
        out: folder of the search.
        budget: trials and hours.
        options: device, audit, and how trials are started.
        reporter: told of every epoch.

    Returns:
        Content of search.json: `name metric direction trials best`, each trial with `number state value epochs settings`.

    Raises:
        RecipeError: if a setting is unknown, or the folder holds another search or other images.
        ModelError: if optuna is not installed.
    """
    require_optuna()
    options = options or Options()
    experiment, grid = Experiment(out), space.grid()
    experiment.check_grid(grid)
    _check_ends(space)
    with experiment.locked() as lock:
        index = index_images(experiment, grid, source, reporter)
        experiment.claim(grid, index.hash)
        deadline = time.monotonic() + 3600 * budget.hours if budget.hours else None
        trials = _Trials(experiment, space, Images(source, options.audit), options, Limits(deadline, lock), reporter)
        trials.run(budget.trials)
        return trials.result()


def _check_ends(space: Space) -> None:
    """Make sure that the ends of all axes and every arm are valid settings, before the first trial.

    Raises:
        RecipeError: naming key, value and rule.
    """
    grid = space.grid()
    for arm in space.arms or {"": {}}:
        for last in (False, True):
            drawn: dict[str, Any] = {ARM: arm}
            for key, axis in space.axes.items():
                drawn[key] = (axis.high if last else axis.low) if isinstance(axis, Range) else list(space.choices(key))[-last]
            grid.recipe(Row("", space.settings(drawn)))


class _Trials:
    """The trials of one study, one after another or several at one time; what they have in common is behind a lock."""

    def __init__(
        self,
        experiment: Experiment,
        space: Space,
        images: Images,
        options: Options,
        limits: Limits,
        reporter: Reporter,
    ) -> None:
        self.library, self.experiment, self.space = require_optuna(), experiment, space
        self.images, self.options, self.limits, self.reporter = images, options, limits, reporter
        self.metric = space.base.training.monitor
        self.study, self.lock, self.running = self._study(), threading.RLock(), 0
        self.folders: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)  # trials may draw the same settings

    def _study(self) -> optuna.Study:
        self.library.logging.set_verbosity(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its storage is marked experimental
            backend = self.library.storages.journal.JournalFileBackend(str(self.experiment.folder / JOURNAL))
            storage = self.library.storages.JournalStorage(backend)
            study: optuna.Study = self.library.create_study(
                storage=storage,
                study_name="search",
                direction="minimize" if self.metric == "loss" else "maximize",
                load_if_exists=True,
                pruner=self.library.pruners.SuccessiveHalvingPruner(min_resource=FIRST_RUNG, reduction_factor=REDUCTION),
            )
        if study.user_attrs.get("space", self.space.hash) != self.space.hash:
            raise RecipeError(
                f"{self.experiment.folder} holds a search of other axes or arms; choose another --out, or search the same ones"
            )
        study.set_user_attr("space", self.space.hash)
        return study

    def run(self, count: int) -> None:
        """Run trials until there are `count`; one that was running when its process ended is run first."""
        running = self.library.trial.TrialState.RUNNING
        for stopped in self.study.get_trials(states=(running,)):
            self.study.tell(stopped.number, state=self.library.trial.TrialState.FAIL)
            self.study.enqueue_trial(stopped.params, user_attrs={"resumes": stopped.number})
        at_once = min(count, self.options.at_once()) if self.options.at_once else 1
        if at_once <= 1:
            return self._take(count)
        with ThreadPoolExecutor(at_once) as pool:
            threads = [pool.submit(self._take, count) for _ in range(at_once)]
            try:
                for thread in as_completed(threads):
                    thread.result()
            except BaseException:
                self.limits.stop.set()
                raise

    def _take(self, count: int) -> None:
        """Run trials one after the other until there are `count` of all threads, or the budget is spent."""
        while True:
            with self.lock:
                begun = self._finished() + self.running
                if begun >= count or self.limits.reached:
                    return
                self.study.sampler = self.library.samplers.TPESampler(seed=begun)  # the same after a stop
                trial = self.study.ask()
                self.running += 1
            try:
                self._run_one(trial, begun + 1)
            except Stopped:
                self._note("the budget of this search is spent; run the same command again to resume")
                return
            finally:
                with self.lock:
                    self.running -= 1

    def _note(self, text: str) -> None:
        with self.lock:
            self.reporter.note(text)

    def _finished(self) -> int:
        states = self.library.trial.TrialState
        ended = self.study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
        return len(ended) + len([trial for trial in self.study.get_trials(deepcopy=False) if "reason" in trial.user_attrs])

    def _run_one(self, trial: optuna.Trial, number: int) -> None:
        with self.lock:
            settings = self.space.settings(_draw(trial, self.space))
            point = self._point(settings)
            task = Task(self.experiment.run(point), point.recipe, self.options.device, until="train")
            share(self.experiment, (point,), self.space.grid(), self.images, SILENT)
        task.run.folder.mkdir(parents=True, exist_ok=True)
        place = f"trial {number}, " + ", ".join(f"{key} {_shown(value)}" for key, value in settings.items())
        self._note(place)
        with self.folders[task.run.folder]:
            state, reason = self._train(trial, task, place)
        with self.lock:
            if reason:
                trial.set_user_attr("reason", reason)
            value = self._best(point.recipe, task.run.history) if state is None else None
            self.study.tell(trial, value, state=state)
        if state is None:
            task.run.last.unlink(missing_ok=True)

    def _train(self, trial: optuna.Trial, task: Task, place: str) -> tuple[Any, str]:
        """Train one trial; returns the state if it did not complete, and the reason if it failed."""
        states = self.library.trial.TrialState
        pruned = False

        def note(text: str) -> None:
            nonlocal pruned
            self._note(f"{place}: {text}")
            if text.startswith("epoch ") and self._is_beaten(trial, task):
                pruned = True
                raise Stopped

        launch: Callable[..., Any] = self.options.launch or in_own_process
        try:
            failure = launch(task, replace(self.reporter, note=note), self.limits)
        except Stopped:
            if not pruned:
                raise
            self._note(f"{place}: stopped early")
            return states.PRUNED, ""
        return (None, "") if failure is None else (states.FAIL, failure.reason)

    def _is_beaten(self, trial: optuna.Trial, task: Task) -> bool:
        """Report the newest epoch, and tell whether the trial ends there."""
        epochs = len(read_history(task.run.history))
        value = self._best(task.recipe, task.run.history)
        with self.lock:
            if value is not None:
                trial.report(value, epochs)
            return epochs < task.recipe.training.epochs and bool(trial.should_prune())

    def _best(self, recipe: Recipe, history: Path) -> float | None:
        best = best_epoch(read_history(history), recipe.training.monitor)
        return None if best is None else best.validation[recipe.training.monitor]

    def _point(self, settings: dict[str, Any]) -> Point:
        recipe = self.space.grid().recipe(Row("", settings))
        return Point("trial", recipe.seed, "", recipe)

    def result(self) -> dict[str, Any]:
        """Write search.json, search.md and, if a trial is complete, best.toml; returns the first."""
        complete = self.library.trial.TrialState.COMPLETE
        trials = [self._row(trial) for trial in self.study.get_trials() if trial.params]
        ended = self.study.get_trials(states=(complete,))
        best = self._row(self.study.best_trial) if ended else None
        content = {
            "format": 1,
            "name": self.space.name,
            "split": "validation",
            "metric": self.metric,
            "direction": "minimise" if self.metric == "loss" else "maximise",
            "trials": trials,
            "best": best,
        }
        write_json(self.experiment.folder / "search.json", content)
        write_text(self.experiment.folder / "search.md", search_text(content) + "\n")
        if best is not None:
            recipe = replace(self._point(best["settings"]).recipe, name=f"{self.space.name} searched")
            write_text(self.experiment.folder / "best.toml", recipe_to_toml(recipe))
        return content

    def _row(self, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
        return {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "value": trial.value if trial.value is not None else trial.intermediate_values.get(trial.last_step or 0),
            "epochs": trial.last_step or 0,
            "settings": self.space.settings(trial.params),
            "reason": trial.user_attrs.get("reason", ""),
        }


def _draw(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if space.arms:
        values[ARM] = trial.suggest_categorical(ARM, list(space.arms))
    for key, axis in space.axes.items():
        if not isinstance(axis, Range):
            values[key] = trial.suggest_categorical(key, list(space.choices(key)))
        elif axis.whole:
            values[key] = trial.suggest_int(key, int(axis.low), int(axis.high), log=axis.log)
        else:
            values[key] = trial.suggest_float(key, axis.low, axis.high, log=axis.log)
    return values


def search_text(content: dict[str, Any]) -> str:
    """Trials from best to worst as a Markdown table, and what to do next."""
    keys = list(content["trials"][0]["settings"]) if content["trials"] else []
    sign = 1 if content["direction"] == "minimise" else -1
    known = [trial for trial in content["trials"] if trial["value"] is not None]
    unknown = [trial for trial in content["trials"] if trial["value"] is None]
    order = sorted(known, key=lambda trial: (trial["state"] != "complete", sign * trial["value"])) + unknown
    heads = ["trial", "state", "epochs", f"validation {content['metric'].replace('_', ' ')}", *keys]
    rows = [[str(trial["number"]), *_cells(trial), *(_shown(trial["settings"].get(key)) for key in keys)] for trial in order]
    lines = [heads, ["---"] * len(heads), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    note = (
        "Scores are of the validation split, and the best of many is too good. Train best.toml from several seeds and evaluate "
        "the test split once."
    )
    return f"{table}\n\n{note}"


def _cells(trial: dict[str, Any]) -> Sequence[str]:
    value = "–" if trial["value"] is None else f"{trial['value']:.4f}"
    state = (
        f"failed: {trial['reason']}"
        if trial["reason"]
        else {"complete": "done", "pruned": "stopped early"}.get(trial["state"], trial["state"])
    )
    return state, str(trial["epochs"]), value


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
