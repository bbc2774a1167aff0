"""Human readers and the network on the same images, case by case.

Two forms of a reader file are accepted:

- a long table with the columns `image_id`, `reader`, `diagnosis`, one row for each answer;
- the table of Tschandl et al., "Human-computer collaboration for skin cancer recognition", Nat. Med. 26:1229 (2020), as Harvard
  Dataverse publishes it (file 3864681 of doi:10.7910/DVN/DBW86T): `image_id` and `user_dx_without_interaction_<code>`, the
  numbers of readers who chose each diagnosis before they saw any help, one row for each image and kind of help. Answers after
  help (`user_dx_with_interaction_*`) and other columns are not used, and named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lesionlens.core.diagnoses import known_diagnosis, label_key
from lesionlens.core.errors import DataError
from lesionlens.core.labels import LabelSet
from lesionlens.data.sources.table import Table, load_table

LONG = ("image_id", "reader", "diagnosis")
UNAIDED = "user_dx_without_interaction_"
ACCEPTED = f"columns {', '.join(LONG)} (one row for each answer), or image_id and {UNAIDED}CODE (numbers of answers)"


@dataclass(frozen=True, eq=False)
class ReaderAnswers:
    """Answers of human readers.

    Attributes:
        image_ids: images with answers, (M,).
        votes: answers by image and diagnosis, in the order of the network's outputs, (M, K).
        n_readers: number of readers; None if the file does not tell them apart.
        notes: what was not used, for people.
    """

    image_ids: tuple[str, ...]
    votes: np.ndarray
    n_readers: int | None
    notes: tuple[str, ...]


def read_readers(path: Path, labels: LabelSet) -> ReaderAnswers:
    """Read the answers of human readers.

    Args:
        path: a CSV in one of the two forms, separated by commas, semicolons or tabs.
        labels: diagnoses of the network; the readers must have chosen among them.

    Raises:
        DataError: if the file has neither form, a diagnosis is not among those of the network, a number is none, or a reader
            answers an image twice.
    """
    table = load_table(path)
    if table.has(*LONG):
        return _read_long(table, labels)
    if table.has("image_id", *(UNAIDED + code for code in labels.codes)):
        return _read_counts(table, labels)
    raise DataError(f"{path} has the columns {', '.join(table.columns)}; a reader file needs {ACCEPTED}. Rename the columns")


def _read_long(table: Table, labels: LabelSet) -> ReaderAnswers:
    image, reader, diagnosis = (table.need(name) for name in LONG)
    place_of = {label_key(code): place for place, code in enumerate(labels.codes)}
    votes: dict[str, np.ndarray] = {}
    seen: dict[tuple[str, str], int] = {}
    for line, cells in table.rows:
        answer = (cells[image], cells[reader])
        if "" in answer:
            raise DataError(f"{table.where(line)}: image_id or reader is empty; each answer needs both")
        if answer in seen:
            raise DataError(
                f"{table.where(line)}: reader {answer[1]} answers image {answer[0]} again (line {seen[answer]}); keep one answer"
            )
        seen[answer] = line
        votes.setdefault(answer[0], np.zeros(len(labels)))[_place(table, line, cells[diagnosis], place_of, labels)] += 1
    return _answers(table, votes, len({reader_id for _, reader_id in seen}), LONG)


def _place(table: Table, line: int, text: str, place_of: dict[str, int], labels: LabelSet) -> int:
    known = known_diagnosis(text)
    for key in (label_key(text), label_key(known.code) if known else ""):
        if key in place_of:
            return place_of[key]
    raise DataError(
        f"{table.where(line)}: diagnosis {text!r} is not among those of the network ({', '.join(labels.codes)}); "
        "map it to one of them or delete the row"
    )


def _read_counts(table: Table, labels: LabelSet) -> ReaderAnswers:
    names = [UNAIDED + code for code in labels.codes]
    image, columns = table.need("image_id"), [table.need(name) for name in names]
    votes: dict[str, np.ndarray] = {}
    for line, cells in table.rows:
        counts = np.array([_count(table, line, cells[column]) for column in columns])
        votes[cells[image]] = votes.get(cells[image], np.zeros(len(labels))) + counts
    return _answers(table, votes, None, ("image_id", *names))


def _count(table: Table, line: int, text: str) -> float:
    try:
        count = float(text.replace(",", ".", 1)) if text else 0.0
    except ValueError:
        count = float("nan")
    if not (count >= 0 and count.is_integer()):
        raise DataError(f"{table.where(line)}: {text!r} is no number of answers; it must be a whole number of 0 or more")
    return count


def _answers(table: Table, votes: dict[str, np.ndarray], n_readers: int | None, used: Sequence[str]) -> ReaderAnswers:
    """Answers of the images that have any."""
    answered = {image_id: counts for image_id, counts in votes.items() if counts.sum()}
    if not answered:
        raise DataError(f"{table.path} holds no answer; a reader file needs {ACCEPTED}")
    keys = {name.lower() for name in used}
    unused = [name for name in table.columns if name.lower() not in keys]
    notes = [*table.notes]
    if unused:
        notes.append(f"columns of {table.path.name} that are not used: {', '.join(unused)}")
    if len(answered) < len(votes):
        notes.append(f"{len(votes) - len(answered)} images of {table.path.name} have no answer")
    return ReaderAnswers(tuple(answered), np.stack(list(answered.values())), n_readers, tuple(notes))
