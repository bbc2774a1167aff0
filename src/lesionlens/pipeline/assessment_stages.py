"""The stage that assesses stored predictions; it loads no torch."""

from __future__ import annotations

from lesionlens.assessment.assess import ASSESSMENTS, AssessmentSettings
from lesionlens.assessment.assess import assess as assess_run
from lesionlens.core.run import Run
from lesionlens.pipeline.job import StageResult


def assess(run: Run, settings: AssessmentSettings) -> StageResult:
    """Assess the stored predictions of a run: what the scores alone do not say.

    Args:
        run: its predictions of validation and test are read, its assessments are written.
        settings: how.
    """
    results = assess_run(run, settings)
    text = "\n\n".join(each.text(results[each.name]) for each in ASSESSMENTS)
    return StageResult(", ".join(each.path(run).name for each in ASSESSMENTS), text, results)
