"""The assessments of a run that need no more than its stored predictions, and running them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lesionlens.assessment.decisions.decisions import assess_decisions
from lesionlens.assessment.decisions.settings import DecisionSettings, Resampling
from lesionlens.assessment.decisions.table import decisions_text
from lesionlens.assessment.stored import StoredPredictions, read_stored
from lesionlens.assessment.subgroups.run_subgroups import subgroups_of_run
from lesionlens.assessment.subgroups.table import subgroups_text
from lesionlens.core.artifact import write_json
from lesionlens.core.recipe import EvaluationRecipe
from lesionlens.core.run import Run


@dataclass(frozen=True)
class AssessmentSettings:
    """How assessments are made.

    Attributes:
        resamples: of the bootstrap over lesions.
        confidence: level of the intervals, in (0, 1).
        seed: of the resamples.
        decisions: what the user states about a clinic and about decisions.

    Raises:
        RecipeError: if resamples or confidence are out of range.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0
    decisions: DecisionSettings = field(default_factory=DecisionSettings)

    def __post_init__(self) -> None:
        EvaluationRecipe.check(resamples=self.resamples, confidence=self.confidence)


@dataclass(frozen=True)
class Assessment:
    """One JSON result of a run.

    Attributes:
        name: of the result, an attribute of `core.run.Run`.
        make: makes its content from the stored predictions; `made_from` is added.
        text: the content for people.
    """

    name: str
    make: Callable[[StoredPredictions, AssessmentSettings], dict[str, Any]]
    text: Callable[[dict[str, Any]], str]

    def path(self, run: Run) -> Path:
        """Where the result lies."""
        path: Path = getattr(run, self.name)
        return path


def _decisions(stored: StoredPredictions, settings: AssessmentSettings) -> dict[str, Any]:
    resampling = Resampling(settings.resamples, settings.confidence, settings.seed)
    return assess_decisions(stored.validation, stored.test, settings.decisions, resampling)


def _subgroups(stored: StoredPredictions, settings: AssessmentSettings) -> dict[str, Any]:
    resampling = Resampling(settings.resamples, settings.confidence, settings.seed)
    return subgroups_of_run(stored.run, stored.test, resampling)


ASSESSMENTS = (
    Assessment("decisions", _decisions, decisions_text),
    Assessment("subgroups", _subgroups, subgroups_text),
)


def assess(run: Run, settings: AssessmentSettings | None = None) -> dict[str, dict[str, Any]]:
    """Make every assessment of a run and write each as JSON.

    Args:
        run: its stored predictions are read, its assessments are written.
        settings: how.

    Returns:
        The content of each result by name, with `made_from`: hashes of what it was made from.

    Raises:
        ArtifactError: if the predictions are missing, damaged or do not belong together.
        RecipeError: if the settings do not fit the diagnoses.
    """
    settings, stored = settings or AssessmentSettings(), read_stored(run)
    results = {each.name: {**each.make(stored, settings), "made_from": stored.hashes} for each in ASSESSMENTS}
    for each in ASSESSMENTS:
        write_json(each.path(run), results[each.name])
    return results
