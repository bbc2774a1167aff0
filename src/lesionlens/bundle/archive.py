"""Predict many images: one result after the other, the broken ones named, heat maps beside them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lesionlens.bundle.bundle import Bundle
from lesionlens.bundle.picture import heat_map
from lesionlens.bundle.prediction import Failure, Prediction
from lesionlens.bundle.runtime import MetadataOf, Predictor
from lesionlens.core.artifact import atomic_file, storage_errors
from lesionlens.core.errors import BundleError, ImageError

MOST_NAME_BYTES = 160  # a temporary file's name has the host and process in it too
HASH_LETTERS = 16


class Drawing(Protocol):
    """What is written of each prediction beside its line."""

    def draw(self, prediction: Prediction) -> None:
        """Write it.

        Raises:
            ImageError: if the image cannot be used for it.
        """


@dataclass(frozen=True)
class Drawings:
    """Several drawings of each prediction."""

    each: tuple[Drawing, ...]

    def draw(self, prediction: Prediction) -> None:
        """Write all of them; see `Drawing`."""
        for drawing in self.each:
            drawing.draw(prediction)


@dataclass(frozen=True)
class Overlays:
    """Where heat maps are drawn.

    Attributes:
        folder: an image `a/b.jpg` becomes `<folder>/a/b.jpg.png`.
        code: the diagnosis that is shown; the most probable one of each image if empty.
    """

    folder: Path
    code: str = ""

    def check(self, bundle: Bundle) -> None:
        """Find out before the first image that nothing can be drawn.

        Raises:
            BundleError: if the bundle gives no maps.
            DataError: if it does not know the diagnosis.
            StorageError: if the folder cannot be made.
        """
        if not bundle.has_maps:
            raise BundleError(f"bundle {bundle.path} gives no heat maps: its network has no closed form of Grad-CAM")
        if self.code:
            bundle.labels.index(self.code)
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def path_of(self, source: Path) -> Path:
        """Where the heat map of `source` goes; different images never share a place.

        A name of more than `MOST_NAME_BYTES` is cut, and a hash of the whole name keeps it apart from others.
        """
        whole = source if ".." not in source.parts else source.resolve()
        return self.folder / whole.relative_to(whole.anchor).with_name(f"{_short_enough(whole.name)}.png")

    def draw(self, prediction: Prediction) -> None:
        """Draw one heat map.

        Raises:
            ImageError: if the image cannot be read any more.
            StorageError: if the disk is full.
        """
        picture = heat_map(prediction, Path(prediction.source), self.code)
        with atomic_file(self.path_of(Path(prediction.source))) as temporary:
            picture.save(temporary, format="PNG")


def _short_enough(name: str) -> str:
    """A name that leaves room for the endings and marks of temporary files, of 255 bytes in all."""
    raw = os.fsencode(name)
    if len(raw) <= MOST_NAME_BYTES:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:HASH_LETTERS]
    return f"{os.fsdecode(raw[: MOST_NAME_BYTES - HASH_LETTERS - 1])}-{digest}"


def predict_archive(
    predictor: Predictor,
    paths: Iterable[Path],
    overlays: Drawing | None = None,
    report: Callable[[Failure], None] | None = None,
    metadata: MetadataOf | None = None,
) -> Iterator[Prediction | Failure]:
    """Predict any number of images in bounded memory.

    Args:
        predictor: of an open bundle.
        paths: of the images; taken only as fast as they are worked off.
        overlays: what to write beside each result, such as a heat map; a result comes only when that is on disk.
        report: told about each image that cannot be used.
        metadata: what is known of the patient of an image, for a bundle that takes it.

    Raises:
        DataError: if the bundle does not take what is known.
    """
    for result in predictor.attempt(paths, metadata):
        answer = result if overlays is None or isinstance(result, Failure) else _drawn(result, overlays)
        if isinstance(answer, Failure) and report is not None:
            report(answer)
        yield answer


def _drawn(prediction: Prediction, overlays: Drawing) -> Prediction | Failure:
    try:
        overlays.draw(prediction)
    except ImageError as error:
        return Failure(prediction.source, error)
    return prediction
