"""What `predict` is told of the patients, and what it says was missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionlens.cli.console import note

if TYPE_CHECKING:
    from lesionlens.bundle.prediction import Failure, Prediction
    from lesionlens.bundle.runtime import Predictor
    from lesionlens.core.metadata import Metadata


@dataclass
class Told:
    """What is known of the patient of each image.

    Attributes:
        of: gives it, for the path of an image.
        without_row: notes for people about images without a row in the table.
        missing: images of which each field was missing.
        n_images: predictions that were counted.
    """

    of: Callable[[Any], Metadata]
    without_row: Callable[[], list[str]] = list
    missing: Counter[str] = field(default_factory=Counter)
    n_images: int = 0

    def count(self, result: Prediction | Failure) -> None:
        """Count the fields that a prediction had to do without."""
        told = getattr(result, "metadata", None)
        if told is not None:
            self.n_images += 1
            self.missing.update(told["missing"])

    def lines(self) -> list[str]:
        """Notes for people: images without a row, and fields that were missing."""
        counts = ", ".join(f"{name} in {count}" for name, count in self.missing.items())
        return [*self.without_row(), *([f"metadata missing of {self.n_images} images: {counts}"] if counts else [])]


def patients_of(predictor: Predictor, texts: dict[str, str], table: Path | None) -> Told:
    """What the options of the command say of the patients.

    Args:
        predictor: of an open bundle.
        texts: of the options `--age`, `--sex` and `--site`, which hold for all images; empty if they are not given.
        table: of `--metadata`.

    Raises:
        RecipeError: if both are given.
        DataError: if a value is not known, the table cannot be read, or the bundle takes no such values.
    """
    from lesionlens.core.errors import DataError, RecipeError
    from lesionlens.core.metadata import read_metadata

    given = {name: text for name, text in texts.items() if text}
    if table is None:
        metadata = read_metadata(given, "the command line")
        predictor.check_metadata(metadata)
        return Told(lambda source: metadata)
    if given:
        raise RecipeError(f"--metadata and --{' --'.join(given)} are given; choose the table, or one patient for all images")
    if predictor.metadata is None:
        raise DataError(
            f"{table} cannot be used: bundle {predictor.bundle.path} was trained on images only; leave --metadata out"
        )
    from lesionlens.data.sources.patients import read_patients

    patients = read_patients(table, predictor.metadata.fields)
    for line in patients.notes:
        note(line)
    return Told(patients.of, patients.lines)
