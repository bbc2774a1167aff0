"""What an image shows, by pseudonyms: a case, a lesion of it, its site on the body, the day it was photographed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lesionlens.core.database import Connection
from lesionlens.core.errors import DataError
from lesionlens.core.metadata import read_metadata
from lesionlens.data.dicom.patient import PREFIX as FROM_FILE
from lesionlens.serving.problems import Problem

FIELDS = ("case", "lesion", "site", "taken")
COLUMNS = "case_id, lesion_id, site, taken"
MINE = "(CAST(? AS TEXT) IS NULL OR a.who = ?)"  # of `answers a`: a token's name, twice; None: of any token
PSEUDONYM = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}", re.ASCII)
PSEUDONYM_RULE = "1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit; never a name or a date of birth"
EARLIEST = date(1900, 1, 1)


@dataclass(frozen=True)
class Subject:
    """What an image shows; empty texts are not known.

    Attributes:
        case: pseudonym of the patient, as the clinic assigns it.
        lesion: pseudonym of the lesion, within the case.
        site: one of `core.metadata.SITES`.
        taken: day of the photograph, ISO 8601.
    """

    case: str = ""
    lesion: str = ""
    site: str = ""
    taken: str = ""

    def to_json(self) -> dict[str, str | None]:
        """Fields of a prediction, null where nothing is known."""
        return {name: getattr(self, name) or None for name in FIELDS}


def read_subject(values: Mapping[str, str], where: str = "the form", today: date | None = None) -> Subject:
    """The subject that texts name; other fields are left to others.

    Args:
        values: by field.
        where: what the texts are of, for messages.
        today: no photograph is of a later day.

    Raises:
        Problem: `invalid_parameter`, if a value is not valid, or there is a lesion without its case.

    Example:
        >>> read_subject({"case": "A-17", "lesion": "L1", "site": "torso", "age": "55"})
        Subject(case='A-17', lesion='L1', site='trunk', taken='')
    """
    texts = {name: values.get(name, "").strip() for name in FIELDS}
    for name in ("case", "lesion"):
        if texts[name] and not PSEUDONYM.fullmatch(texts[name]):
            raise Problem("invalid_parameter", f"{where} has a `{name}` that is no pseudonym; it must be {PSEUDONYM_RULE}")
    if texts["lesion"] and not texts["case"]:
        raise Problem("invalid_parameter", f"{where} has a `lesion` without its `case`; lesions are numbered within a case")
    try:
        site = read_metadata({"site": texts["site"]}, where).site
    except DataError as error:
        raise Problem("invalid_parameter", str(error)) from error
    return Subject(texts["case"], texts["lesion"], site, _day(texts["taken"], where, today))


def check_subject(connection: Connection, subject: Subject, prediction: str = "") -> None:
    """Refuse a subject that contradicts what is known of its lesion.

    Args:
        connection: to the log.
        subject: of an image.
        prediction: of that image, if it is in the log already; it does not count.

    Raises:
        Problem: `lesion_contradicts`, if the lesion is at another site.
    """
    if not subject.lesion or not subject.site:
        return
    query = "SELECT site FROM subjects WHERE case_id = ? AND lesion_id = ? AND site NOT IN ('', ?) AND prediction != ? LIMIT 1"
    row = connection.execute(query, (subject.case, subject.lesion, subject.site, prediction)).fetchone()
    if row is not None:
        raise Problem(
            "lesion_contradicts",
            f"lesion {subject.lesion} of case {subject.case} is on the site {row[0]}, and this says {subject.site}; "
            "give another lesion, or correct the site of its images first",
        )


def told_before(subject: Subject, body: Mapping[str, Any]) -> bool:
    """Whether a prediction was sent with the same subject; a case that the server took from the file was not sent."""
    sent = {name: body.get(name) for name in FIELDS}
    if not subject.case and str(sent["case"] or "").startswith(FROM_FILE):
        sent["case"] = None
    return sent == subject.to_json()


def insert_subject(connection: Connection, prediction: str, subject: Subject, frame: int, malignant_share: float | None) -> None:
    """Add what the image of a new prediction shows."""
    values = (prediction, subject.case, subject.lesion, subject.site, subject.taken, frame, malignant_share)
    connection.execute("INSERT INTO subjects VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def subject_of(connection: Connection, prediction: str) -> Subject | None:
    """What the image of a prediction shows, as it is known now; None if there is no such prediction."""
    row = connection.execute(f"SELECT {COLUMNS} FROM subjects WHERE prediction = ?", (prediction,)).fetchone()
    return None if row is None else Subject(*row)


def same_image(connection: Connection, sha256: str, frame: int, token_name: str | None) -> str | None:
    """The first prediction of the same frame of the same file; None if there is none.

    Args:
        connection: to the log.
        sha256: of the file.
        frame: of the file.
        token_name: only predictions of this token; None: of any.
    """
    query = f"""SELECT a.id FROM answers a JOIN subjects s ON s.prediction = a.id
        WHERE a.input_sha256 = ? AND s.frame = ? AND {MINE} ORDER BY a.id LIMIT 1"""
    row = connection.execute(query, (sha256, frame, token_name, token_name)).fetchone()
    return None if row is None else str(row[0])


def move(connection: Connection, prediction: str, subject: Subject, change: dict[str, Any]) -> bool:
    """Say anew what the image of a prediction shows, and keep what was said before.

    Args:
        connection: to the log.
        prediction: its id.
        subject: what it shows.
        change: `created`, `request_id` and `who`.

    Returns:
        Whether there is such a prediction.

    Raises:
        Problem: `lesion_contradicts`, before anything is written.
    """
    former = subject_of(connection, prediction)
    if former is None:
        return False
    check_subject(connection, subject, prediction)
    told = " ".join(f"{name}={value}" for name, value in former.to_json().items() if value)
    columns = "prediction, created, request_id, who, former"
    values = (prediction, change["created"], change["request_id"], change["who"], told)
    connection.execute(f"INSERT INTO moves ({columns}) VALUES (?, ?, ?, ?, ?)", values)
    new = (subject.case, subject.lesion, subject.site, subject.taken, prediction)
    connection.execute("UPDATE subjects SET case_id = ?, lesion_id = ?, site = ?, taken = ? WHERE prediction = ?", new)
    return True


def _day(text: str, where: str, today: date | None) -> str:
    if not text:
        return ""
    latest = (today or datetime.now(UTC).date()) + timedelta(days=1)  # it is tomorrow already in the east
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not EARLIEST <= day <= latest or len(text) != len("2026-11-22"):
        raise Problem("invalid_parameter", f"{where} has a `taken` that is no day; write it as in 2026-11-22, not in the future")
    return text
