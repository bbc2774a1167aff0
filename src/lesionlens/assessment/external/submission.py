"""A table of probabilities for an ISIC challenge, in the columns that its scorer expects."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lesionlens.assessment.external.label_mapping import map_labels
from lesionlens.core.artifact import atomic_file
from lesionlens.core.diagnoses import Diagnosis, known_diagnosis
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.labels import HAM10000, ISIC2019, LabelSet
from lesionlens.evaluation.predictions import read_predictions

UNKNOWN = "UNK"
CHALLENGES = {
    "2018": {"MEL": "mel", "NV": "nv", "BCC": "bcc", "AKIEC": "akiec", "BKL": "bkl", "DF": "df", "VASC": "vasc"},
    "2019": {
        **{"MEL": "mel", "NV": "nv", "BCC": "bcc", "AK": "akiec", "BKL": "bkl", "DF": "df", "VASC": "vasc"},
        **{"SCC": "scc", UNKNOWN: ""},
    },
}
"""Code of the diagnosis by column, in the order of the challenge; empty for the column of unknown diagnoses."""
LABELS = {"2018": HAM10000, "2019": ISIC2019}
DIGITS = 9


@dataclass(frozen=True, eq=False)
class ImageProbabilities:
    """Probabilities of images whose diagnosis need not be known.

    Attributes:
        image_ids: names without folder and ending, (N,).
        label_set: diagnoses in the order of the columns of `probabilities`.
        probabilities: (N, K), rows add up to 1.
    """

    image_ids: tuple[str, ...]
    label_set: LabelSet
    probabilities: np.ndarray


def write_submission(source: Path, out: Path, challenge: str = "2018") -> list[str]:
    """Write a challenge's CSV from predictions.

    Several diagnoses of the model may share a column, such as seborrheic keratosis and solar lentigo the column BKL; their
    probabilities are added up. Diagnoses without a column of their own go to UNK, where there is one.

    Args:
        source: predictions.npz of `evaluate`, or the CSV of `predict`.
        out: CSV to write.
        challenge: a key of `CHALLENGES`.

    Returns:
        What people should know: columns that the model has no diagnosis for, which are 0.

    Raises:
        RecipeError: if there is no such challenge.
        DataError: if an image has no probabilities or stands twice, or the challenge has no column for a diagnosis.
    """
    if challenge not in CHALLENGES:
        raise RecipeError(f"challenge {challenge!r}; it must be one of {', '.join(CHALLENGES)}")
    images = read_probabilities(source)
    columns = CHALLENGES[challenge]
    of_column = _model_codes(images.label_set, challenge)
    place = {code: number for number, code in enumerate(images.label_set.codes)}
    table = [images.probabilities[:, [place[code] for code in of_column[column]]].sum(axis=1) for column in columns]
    with atomic_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["image", *columns])
        for image_id, row in zip(images.image_ids, np.clip(np.column_stack(table), 0, 1), strict=True):
            writer.writerow([image_id, *(f"{value:.{DIGITS}f}" for value in row)])
    empty = [column for column in columns if not of_column[column]]
    return [f"the model has no diagnosis for {', '.join(empty)}: 0 there"] if empty else []


def _model_codes(labels: LabelSet, challenge: str) -> dict[str, list[str]]:
    """The model's diagnoses that make up each column."""
    columns = CHALLENGES[challenge]
    mapping = map_labels(labels, LABELS[challenge])
    of_column: dict[str, list[str]] = {column: [] for column in columns}
    for row in mapping.rows:
        column = next((name for name, code in columns.items() if code == row.model_code), "")
        if not column:
            raise DataError(
                f"the model knows {row.diagnosis.code}, for which the challenge of {challenge} has no column; "
                f"its columns are {', '.join(columns)}"
            )
        of_column[column].append(row.diagnosis.code)
    return of_column


def read_probabilities(source: Path) -> ImageProbabilities:
    """Read predictions.npz, or the CSV of `predict`.

    Raises:
        DataError: if it is neither, an image has no probabilities, or an image stands twice.
    """
    if source.suffix.lower() != ".csv":
        predictions = read_predictions(source)
        ids = tuple(str(image_id) for image_id in predictions.image_ids)
        return ImageProbabilities(ids, predictions.label_set, predictions.probabilities)
    return _read_table(source)


def _read_table(path: Path) -> ImageProbabilities:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}); give predictions.npz, or the CSV of lesionlens predict") from error
    shares = [name for name in (rows[0] if rows else {}) if name and name.startswith("p_")]
    if not shares or "image" not in rows[0]:
        raise DataError(f"{path} has no columns image and p_CODE; give predictions.npz, or the CSV of lesionlens predict")
    lacking = [row["image"] for row in rows if not all(row[name] for name in shares)]
    if lacking:
        raise DataError(
            f"{len(lacking)} of {len(rows)} images in {path} have no probabilities (refused by the gate, or unreadable), the "
            f"first is {lacking[0]}; a challenge wants every image. Export a bundle without a gate (--gate-images 0) for it"
        )
    ids = tuple(Path(row["image"]).stem for row in rows)
    image_id, count = Counter(ids).most_common(1)[0]
    if count > 1:
        raise DataError(f"image {image_id} stands {count} times in {path}; each image may stand once")
    try:
        probabilities = np.array([[float(row[name]) for name in shares] for row in rows])
    except ValueError as error:
        raise DataError(f"{path} holds a probability that is no number ({error}); predict again") from error
    return ImageProbabilities(ids, _label_set(name.removeprefix("p_") for name in shares), probabilities)


def _label_set(codes: Iterable[str]) -> LabelSet:
    """A label set of codes as a table states them; malignancy does not matter here."""
    diagnoses = [(code, known_diagnosis(code)) for code in codes]
    return LabelSet("table", tuple(Diagnosis(code, code, False) if d is None else replace(d, code=code) for code, d in diagnoses))
