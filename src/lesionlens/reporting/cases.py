"""Single cases: the most confident mistakes and the most confident right answers, with their images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lesionlens.core.labels import Diagnosis
from lesionlens.reporting.formats import percent
from lesionlens.reporting.palette import class_names
from lesionlens.reporting.pictures import Picture, case_picture
from lesionlens.reporting.run_folder import Run

MISTAKES = 12
RIGHT = 12


@dataclass(frozen=True)
class Case:
    """One image and what was said about it.

    Attributes:
        image_id: of the image.
        true: its diagnosis.
        called: the diagnosis with the highest probability.
        p_true: probability given to the true diagnosis, as text.
        p_called: probability given to the called one, as text.
        share_true: the same as a number in [0, 1].
        share_called: likewise.
        css_true: CSS class of the true diagnosis.
        css_called: CSS class of the called one.
        missed: whether a malignant lesion was called benign.
        picture: the image; None if it could not be found.
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


def confident_mistakes(run: Run, most: int = MISTAKES) -> list[Case]:
    """The wrong answers with the highest probability, the surest first; one for each lesion."""
    return _surest(run, run.probabilities.argmax(1) != run.predictions.labels, most)


def confident_right(run: Run, most: int = RIGHT) -> list[Case]:
    """The surest right answers, at most one for each diagnosis, the surest first."""
    labels = run.predictions.labels
    right = run.probabilities.argmax(1) == labels
    first = [case for place in range(len(run.labels)) for case in _surest(run, right & (labels == place), 1)]
    return sorted(first, key=lambda case: -case.share_called)[:most]


def _surest(run: Run, chosen: np.ndarray, most: int) -> list[Case]:
    confidence = run.probabilities.max(1)
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort((np.asarray(run.predictions.image_ids)[rows], -confidence[rows]))]
    kept: list[int] = []
    lesions: set[str] = set()
    for row in rows.tolist():
        lesion = str(run.predictions.lesion_ids[row])
        if lesion not in lesions and len(kept) < most:
            kept.append(row)
            lesions.add(lesion)
    return [_case(run, row) for row in kept]


def _case(run: Run, row: int) -> Case:
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
