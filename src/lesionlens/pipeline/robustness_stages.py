"""The stage that puts a network under stress; it is run by its command, and not part of the usual pipeline."""

from __future__ import annotations

from pathlib import Path

from lesionlens.assessment.robustness.settings import StressSettings
from lesionlens.assessment.robustness.stress import Comparisons, stress_network
from lesionlens.assessment.robustness.table import robustness_text
from lesionlens.core.artifact import write_json
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.pipeline.job import StageResult


def stress(
    run: Run,
    settings: StressSettings,
    network: Path | None = None,
    comparisons: Comparisons | None = None,
    reporter: Reporter = SILENT,
) -> StageResult:
    """Measure how far the predictions of a network hold under repeated photographs, views and corruptions.

    Args:
        run: its data set is read, its robustness is written.
        settings: what is done to how many images.
        network: a checkpoint or a bundle; the run's best checkpoint if None.
        comparisons: what it is compared with.
        reporter: told of progress.
    """
    result = stress_network(network or run.best, Dataset.of_run(run), settings, comparisons, reporter)
    write_json(run.robustness, result)
    table = result["corruptions"]
    line = f"{len(table['rows'])} corruptions of {table['n_images']} {result['split']} images"
    return StageResult(line, robustness_text(result), result)
