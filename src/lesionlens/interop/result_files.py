"""DICOM results of `predict` on disk: a report beside a heat map for each image."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lesionlens.bundle.archive import Overlays
from lesionlens.bundle.picture import heat_map
from lesionlens.bundle.prediction import Prediction
from lesionlens.core.artifact import atomic_file, storage_errors
from lesionlens.interop.result import Result
from lesionlens.interop.secondary_capture import secondary_capture
from lesionlens.interop.source_image import read_source, require_libraries
from lesionlens.interop.structured_report import structured_report

REPORT, CAPTURE = ".sr.dcm", ".sc.dcm"


@dataclass(frozen=True)
class ResultFiles:
    """Where DICOM results are written.

    Attributes:
        folder: an image `a/b.dcm` gets `<folder>/a/b.dcm.sr.dcm`, and `b.dcm.sc.dcm` if it is usable and there are maps.
    """

    folder: Path

    def check(self) -> None:
        """Find out before the first image that nothing can be written.

        Raises:
            RecipeError: if pydicom or highdicom is missing.
            StorageError: if the folder cannot be made.
        """
        require_libraries("pydicom", "highdicom")
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def draw(self, prediction: Prediction) -> None:
        """Write the results of one prediction.

        Raises:
            ImageError: if its image is no DICOM file, or cannot be referred to.
            StorageError: if the disk is full.
        """
        path, image = Path(prediction.source), prediction.image
        source = read_source(path.read_bytes(), prediction.source, image.frame, image.frames)
        result = Result(uuid.uuid4().hex, datetime.now(UTC), prediction.to_json())
        files = {REPORT: structured_report(result, source)}
        if result.usable and prediction.maps is not None:
            files[CAPTURE] = secondary_capture(result, source, heat_map(prediction, path))
        place = Overlays(self.folder).path_of(path)
        for ending, content in files.items():
            with atomic_file(place.with_suffix(ending), mode=0o600) as temporary:
                temporary.write_bytes(content)
