"""The most confident errors and the most confident correct predictions, with their images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.diagnoses import Diagnosis
from lesionlens.reporting.formats import percent
from lesionlens.reporting.palette import class_names
from lesionlens.reporting.pictures import Picture, case_picture
from lesionlens.reporting.run_folder import RunContents

MISTAKES = 12
RIGHT = 12


@dataclass(frozen=True)
class Case:
    """One image and its prediction.

    Attributes:
        image_id: of the image.
        true: its diagnosis.
        called: the predicted diagnosis.
        p_true: probability of the true diagnosis, as text.
        p_called: probability of the predicted one, as text.
        share_true: the same as a number in [0, 1].
        share_called: likewise.
        css_true: CSS class of the true diagnosis.
        css_called: CSS class of the predicted one.
        missed: whether a malignant lesion is called benign.
        picture: the image; None if it cannot be read.
    """

    image_id: str
    true: Diagnosis
    called: Diagnosis
    p_true: str
    p_called: str
    share_true: float
    share_called: float
    css_true: str
    css_called: str
    missed: bool
    picture: Picture | None


def confident_mistakes(run: RunContents, most: int = MISTAKES) -> list[Case]:
    """The errors with the highest probability first, at most one per lesion."""
    return _most_confident(run, run.probabilities.argmax(1) != run.predictions.labels, most)


def confident_right(run: RunContents, most: int = RIGHT) -> list[Case]:
    """The correct predictions with the highest probability first, at most one per diagnosis."""
    labels = run.predictions.labels
    right = run.probabilities.argmax(1) == labels
    cases = [case for place in range(len(run.labels)) for case in _most_confident(run, right & (labels == place), 1)]
    return sorted(cases, key=lambda case: -case.share_called)[:most]


def _most_confident(run: RunContents, mask: np.ndarray, most: int) -> list[Case]:
    confidence = run.probabilities.max(1)
    rows = np.flatnonzero(mask)
    rows = rows[np.lexsort((np.asarray(run.predictions.image_ids)[rows], -confidence[rows]))]
    row_of_lesion: dict[str, int] = {}
    for row in rows.tolist():
        row_of_lesion.setdefault(str(run.predictions.lesion_ids[row]), row)
    return [_case(run, row) for row in list(row_of_lesion.values())[:most]]


def _case(run: RunContents, row: int) -> Case:
    image_id = str(run.predictions.image_ids[row])
    true, called = int(run.predictions.labels[row]), int(run.probabilities[row].argmax())
    p_true, p_called = (float(run.probabilities[row, place]) for place in (true, called))
    diagnoses, css = run.labels.diagnoses, class_names(run.labels)
    return Case(
        image_id=image_id,
        true=diagnoses[true],
        called=diagnoses[called],
        p_true=percent(p_true),
        p_called=percent(p_called),
        share_true=p_true,
        share_called=p_called,
        css_true=css[diagnoses[true].code],
        css_called=css[diagnoses[called].code],
        missed=diagnoses[true].malignant and not diagnoses[called].malignant,
        picture=case_picture(image_id, run.index, run.store),
    )
