"""The report of a run: one self-contained HTML file without scripts or requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lesionlens import __version__
from lesionlens.core.artifact import write_text
from lesionlens.core.run import Run
from lesionlens.reporting import cases, paper, provenance, scores, sections
from lesionlens.reporting.audit_summary import audit_summary
from lesionlens.reporting.documents.summary import summary
from lesionlens.reporting.formats import count, percent, plural
from lesionlens.reporting.heat_maps import heat_maps
from lesionlens.reporting.run_folder import RunContents, read_run
from lesionlens.reporting.style import page_environment, style_sheet
from lesionlens.reporting.topics import topics
from lesionlens.reporting.variants import variants


@dataclass(frozen=True)
class WrittenReport:
    """A report on disk.

    Attributes:
        path: the HTML file.
        size_bytes: of the file.
        left_out: what the run lacks and how to make it, by name.
    """

    path: Path
    size_bytes: int
    left_out: dict[str, str]


def build_report(run: Path | Run) -> str:
    """Build the report of a run as one HTML text.

    Args:
        run: a run folder or the paths of a run. It needs recipe, index, split, predictions and
            scores; sections without their artifact say how to make it.

    Raises:
        ArtifactError: if a needed artifact is missing or damaged, or was not made from those beside it.
        CheckpointError: if the checkpoint is damaged.
        SplitError: if the split leaks under a protocol that must not.
        RecipeError: if the recipe is not readable.
    """
    return render(read_run(run))


def write_report(run: Path | Run, out: Path) -> WrittenReport:
    """Write the report of a run to `out` atomically; errors as in `build_report`.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    contents = read_run(run)
    page = render(contents)
    write_text(out, page)
    return WrittenReport(out, len(page.encode()), contents.left_out)


def render(run: RunContents) -> str:
    """Render the page of a run."""
    environment = page_environment()
    environment.filters.update(count=count, percent=percent, plural=plural)
    return environment.get_template("report.html").render(**_content(run))


def _content(run: RunContents) -> dict[str, Any]:
    today = datetime.now(UTC)
    return {
        "css": style_sheet(run),
        "title": sections.title(run),
        "headline": sections.headline(run),
        "summary": summary(run),
        "data": sections.data(run),
        "audit": audit_summary(run),
        "sheet": sections.sheet(run),
        "augmentation": sections.augmentation(run),
        "training": sections.training(run),
        "overall": scores.overall(run),
        "per_class": scores.per_class(run),
        "ablations": scores.ablations(run),
        "confusion": scores.confusion(run),
        "curves": scores.curves(run),
        "absent": scores.absent(run),
        "calibration": scores.calibration(run),
        "heat_maps": heat_maps(run),
        "variants": variants(run),
        "topics": topics(run),
        "mistakes": cases.confident_mistakes(run),
        "right": cases.confident_right(run),
        "trained_with": provenance.trained_with(run),
        "environment": provenance.environment(),
        "recipe": provenance.recipe_sections(run),
        "hashes": provenance.hashes(run),
        "left_out": run.left_out,
        "paper": {"citation": paper.CITATION, "doi": paper.DOI},
        "version": __version__,
        "date": f"{today.day} {today:%B %Y}",
    }
