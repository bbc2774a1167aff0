"""What one run of the pipeline is given, and what a stage gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lesionlens.core.progress import SILENT, Reporter
from lesionlens.core.recipe import Recipe
from lesionlens.core.run import Run
from lesionlens.data.sources.rules import STRICT, Rules


@dataclass(frozen=True)
class ImageSource:
    """Images to index.

    Attributes:
        root: folder of images, or a CSV that lists them; None draws the embedded synthetic data set.
        layout: a key of `data.sources.source.SOURCES`, or `auto` to recognise it.
        columns: names of columns in a user's own table, by kind.
        rules: what to do with missing images and labels, and which labels are malignant.
        skip_broken: decode every image and leave out those that cannot be used.
    """

    root: Path | None
    layout: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    rules: Rules = STRICT
    skip_broken: bool = False


@dataclass(frozen=True)
class Job:
    """One run of the pipeline.

    Attributes:
        run: where every artifact lies.
        recipe: what to do.
        source: the images.
        reporter: receives messages and progress.
        restart: train from scratch even where a training can be resumed.
    """

    run: Run
    recipe: Recipe
    source: ImageSource
    reporter: Reporter = field(default=SILENT, compare=False)
    restart: bool = False


@dataclass(frozen=True)
class StageResult:
    """What a stage made.

    Attributes:
        line: one line for the log of a pipeline.
        text: for people who ran the stage alone.
        content: the same, JSON-ready.
    """

    line: str
    text: str
    content: dict[str, Any]
