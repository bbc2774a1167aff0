"""Tables of the prediction log, version 1, which calls predictions answers and token names who."""

from __future__ import annotations

VERSION = 1
APPLICATION_ID = 0x4C4C5231  # "LLR1": the file says whose it is

TABLES = """
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
