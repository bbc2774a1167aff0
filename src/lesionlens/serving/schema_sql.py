"""Tables of the prediction log, version 2, which calls predictions answers and token names who.

Written once, in words that SQLite and PostgreSQL both know; `postgresql.postgresql_sql` replaces the few types that differ.
Version 1 lacked `VERSION_2`; a log of version 1 is brought to version 2 when a server opens it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

APPLICATION_ID = 0x4C4C5231  # "LLR1": the file says whose it is

VERSION_1 = """
CREATE TABLE answers (
    id TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    request_id TEXT NOT NULL,
    who TEXT NOT NULL,
    bundle_id TEXT NOT NULL,
    input_sha256 TEXT NOT NULL,
    file_name TEXT,
    outcome TEXT NOT NULL,
    diagnosis TEXT
) WITHOUT ROWID;
CREATE TABLE payloads (
    id TEXT PRIMARY KEY REFERENCES answers (id) ON DELETE CASCADE,
    answer TEXT NOT NULL,
    maps BLOB,
    map_shape TEXT
);
CREATE INDEX answers_by_input ON answers (input_sha256);
CREATE TABLE reviews (
    number INTEGER PRIMARY KEY,
    prediction TEXT NOT NULL REFERENCES answers (id) ON DELETE CASCADE,
    created TEXT NOT NULL,
    request_id TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    conclusion TEXT NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX reviews_by_prediction ON reviews (prediction, number);
CREATE TABLE refusals (
    number INTEGER PRIMARY KEY,
    created TEXT NOT NULL,
    request_id TEXT NOT NULL,
    who TEXT NOT NULL,
    operation TEXT NOT NULL,
    status INTEGER NOT NULL,
    code TEXT NOT NULL,
    times INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE probes (number INTEGER PRIMARY KEY, filler BLOB NOT NULL);
"""

VERSION_2 = """
CREATE TABLE subjects (
    prediction TEXT PRIMARY KEY REFERENCES answers (id) ON DELETE CASCADE,
    case_id TEXT NOT NULL,
    lesion_id TEXT NOT NULL,
    site TEXT NOT NULL,
    taken TEXT NOT NULL,
    frame INTEGER NOT NULL,
    malignant_share REAL
) WITHOUT ROWID;
CREATE INDEX subjects_by_case ON subjects (case_id, lesion_id) WHERE case_id != '';
CREATE INDEX subjects_by_share ON subjects (malignant_share);
CREATE TABLE features (
    prediction TEXT PRIMARY KEY REFERENCES answers (id) ON DELETE CASCADE,
    vector BLOB NOT NULL
);
CREATE TABLE moves (
    number INTEGER PRIMARY KEY,
    prediction TEXT NOT NULL REFERENCES answers (id) ON DELETE CASCADE,
    created TEXT NOT NULL,
    request_id TEXT NOT NULL,
    who TEXT NOT NULL,
    former TEXT NOT NULL
);
CREATE INDEX moves_by_prediction ON moves (prediction);
CREATE TABLE histology (
    number INTEGER PRIMARY KEY,
    case_id TEXT NOT NULL,
    lesion_id TEXT NOT NULL,
    created TEXT NOT NULL,
    request_id TEXT NOT NULL,
    who TEXT NOT NULL,
    dx TEXT NOT NULL,
    note TEXT NOT NULL,
    correction INTEGER NOT NULL
);
CREATE INDEX histology_by_lesion ON histology (case_id, lesion_id, number);
CREATE TABLE deletions (
    number INTEGER PRIMARY KEY,
    prediction TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL,
    request_id TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL
);
"""

FILL_VERSION_2 = """
INSERT INTO subjects
SELECT id, '', '', '', '', coalesce(json_extract(answer, '$.image.frame'), 0), json_extract(answer, '$.malignant_share')
FROM payloads
"""


class Step(NamedTuple):
    """What a version adds.

    Attributes:
        tables: statements that create them.
        fill: statements that fill them from what a log of the version before has.
    """

    tables: str
    fill: str = ""


STEPS = (Step(VERSION_1), Step(VERSION_2, FILL_VERSION_2))  # PostgreSQL came with version 2, so the fill is for SQLite alone
VERSION = len(STEPS)


def statements_after(version: int) -> Iterator[str]:
    """The statements that bring a log of some version to this one.

    Args:
        version: of the log; 0 for a new one, which has nothing to fill from.
    """
    for step in STEPS[version:]:
        for script in (step.tables, step.fill if version else ""):
            yield from filter(None, map(str.strip, script.split(";")))
