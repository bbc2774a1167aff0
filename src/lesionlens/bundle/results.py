"""Results of many images as lines: JSON, CSV, or a table; a file of them can be resumed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from lesionlens.bundle.prediction import BundleVariant, Failure, Prediction
from lesionlens.core.artifact import atomic_file, storage_errors
from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.core.labels import LabelSet

STEPS = ("decode", "resize", "network")
OUTCOME_WIDTH = len("not usable")
SHORT_ID = 12
JSON_START = '{"source": '  # of every line of ours


class Finished(NamedTuple):
    """One result in a file: its line, the path of its image, the bundle's id, and whether the image failed."""

    line: str
    source: str
    bundle_id: str
    failed: bool


class Lines(Protocol):
    """One way to write results."""

    def header(self) -> str:
        """What stands before the first result; empty if nothing does."""

    def line(self, row: dict[str, Any]) -> str:
        """One result, as `row_of` gives it, without the line's end."""

    def read(self, stream: Iterable[str]) -> Iterator[Finished]:
        """The results in `stream`, without a line that was cut short.

        Raises:
            ValueError: if the lines have another form.
        """


def row_of(result: Prediction | Failure, bundle: BundleVariant) -> dict[str, Any]:
    """A result as JSON-ready values: `source`, and the prediction; a failure has `source`, `error` and `bundle` only."""
    if isinstance(result, Failure):
        return {"source": result.source, "error": str(result.error), "bundle": asdict(bundle)}
    return {"source": result.source, **result.to_json()}


class JsonLines:
    """One JSON object on each line."""

    def __init__(self, labels: LabelSet, fields: Sequence[str] = ()) -> None:
        pass

    def header(self) -> str:
        """See `Lines`."""
        return ""

    def line(self, row: dict[str, Any]) -> str:
        """See `Lines`."""
        return json.dumps(row, ensure_ascii=False)

    def read(self, stream: Iterable[str]) -> Iterator[Finished]:
        """See `Lines`."""
        for line in stream:
            if line.endswith("\n"):
                row = json.loads(line)
                if "source" not in row and isinstance(row["image"], str):
                    raise ValueError("its lines have the form of lesionlens 0.1")
                yield Finished(line.removesuffix("\n"), row["source"], row["bundle"]["id"], "error" in row)
            elif not line.startswith(JSON_START[: len(line)]):
                raise ValueError("its last line is not one of predict's")


class Csv:
    """RFC 4180 with one column for each diagnosis, and for each field of the patient that the bundle takes."""

    def __init__(self, labels: LabelSet, fields: Sequence[str] = ()) -> None:
        self._codes, self._fields = labels.codes, tuple(fields)
        shares = [f"p_{code}" for code in labels.codes]
        steps = [f"{step}_ms" for step in STEPS]
        said = ("image", "outcome", "diagnosis", "malignant_share", *shares, "reasons", "explanation", "notes")
        told = (*fields, "metadata_missing") if fields else ()
        self._columns = (*said, *told, *steps, "bundle", "error")

    def header(self) -> str:
        """See `Lines`."""
        return self._join(self._columns)

    def line(self, row: dict[str, Any]) -> str:
        """See `Lines`."""
        shares, timings = _by_code(row), row.get("timings_ms", {})
        values = [row["source"], row.get("outcome", ""), row.get("diagnosis", ""), row.get("malignant_share", "")]
        values += [shares.get(code, "") for code in self._codes]
        values += [" ".join(_reasons(row)), row.get("explanation", ""), "; ".join(row.get("notes", ()))]
        if self._fields:
            metadata = row.get("metadata", {"used": {}, "missing": []})
            values += [*(metadata["used"].get(name, "") for name in self._fields), " ".join(metadata["missing"])]
        values += [timings.get(step, "") for step in STEPS]
        return self._join([*values, row["bundle"]["id"], row.get("error", "")])

    def read(self, stream: Iterable[str]) -> Iterator[Finished]:
        """See `Lines`."""
        stream = iter(stream)
        header = next(stream, "")
        if header != self.header() + "\n" and not self.header().startswith(header):  # cut short, or another file's
            raise ValueError("its columns differ")
        lines = csv.reader(line for line in stream if line.endswith("\n"))
        for values in lines:
            if len(values) == len(self._columns):  # a name with a line end in it may be cut between its lines
                row = dict(zip(self._columns, values, strict=True))
                yield Finished(self._join(values), row["image"], row["bundle"], bool(row["error"]))

    def _join(self, values: Iterable[Any]) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\r\n").writerow(values)  # it quotes only the line ends that it knows
        return buffer.getvalue().removesuffix("\r\n")


class Table:
    """Aligned columns for people: the first choice stands beside the outcome, never alone."""

    def __init__(self, labels: LabelSet, fields: Sequence[str] = ()) -> None:
        self._width = max(len(f"{d.name} ({d.code})") for d in labels.diagnoses)

    def header(self) -> str:
        """See `Lines`."""
        return f"{'outcome':<{OUTCOME_WIDTH}}  {'first choice':<{self._width}}  probability  malignant       ms  image"

    def line(self, row: dict[str, Any]) -> str:
        """See `Lines`."""
        outcome = row.get("outcome", "failed").replace("_", " ")
        first, probability, malignant = "-", "-", "-"
        if row.get("probabilities"):
            best = max(row["probabilities"], key=lambda each: each["probability"])
            first, probability = f"{best['name']} ({best['code']})", f"{best['probability']:.3f}"
            malignant = "-" if row["malignant_share"] is None else f"{row['malignant_share']:.3f}"
        time_ms = f"{row['timings_ms']['total']:.1f}" if "timings_ms" in row else "-"
        reasons = _reasons(row)
        numbers = f"{probability:>11}  {malignant:>9}  {time_ms:>7}"
        text = f"{outcome:<{OUTCOME_WIDTH}}  {first:<{self._width}}  {numbers}  {row['source']}"
        return f"{text}  ({', '.join(reasons)})" if reasons else text

    def read(self, stream: Iterable[str]) -> Iterator[Finished]:
        """A table is for people only.

        Raises:
            ValueError: always.
        """
        raise ValueError("a table cannot be read back")


LINES: dict[str, type[JsonLines] | type[Csv] | type[Table]] = {"jsonl": JsonLines, "csv": Csv, "table": Table}


def _by_code(row: dict[str, Any]) -> dict[str, float]:
    return {each["code"]: each["probability"] for each in row.get("probabilities", ())}


def _reasons(row: dict[str, Any]) -> list[str]:
    """Codes of the gate's checks that failed."""
    return [reason["code"] for reason in (row.get("gate") or {}).get("reasons", ())]


class ResultFile:
    """A file of results whose writer can be killed at any moment and resumed.

    Every result is handed to the system at once. Opening removes a line that was cut short and the
    images that failed, so that they are tried again; the rest counts as finished. While it is open
    it is locked, where the system has locks (not on Windows).

    Args:
        path: file to write or to resume.
        lines: its format.
        bundle_id: of the bundle that writes.

    Raises:
        ArtifactError: if the file holds something else, or results of another bundle.
        StorageError: if it may not be written, is no regular file, or another process is writing it.
    """

    def __init__(self, path: Path, lines: Lines, bundle_id: str) -> None:
        self.path = path
        self.finished: set[str] = set()
        self._lines = lines
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file() and not path.is_dir():
                raise StorageError(f"{path} is a device or a pipe; give a file with --out, or leave --out away to print")
            self._stream = _open_locked(path)
            try:
                if path.stat().st_size:
                    self._clean(bundle_id)
                elif lines.header():
                    self._put(lines.header())
            except BaseException:
                self._stream.close()
                raise

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def write(self, row: dict[str, Any]) -> None:
        """Add one result.

        Raises:
            StorageError: if the disk is full; what was written before is kept.
        """
        with storage_errors(self.path):
            self._put(self._lines.line(row))

    def _put(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def _clean(self, bundle_id: str) -> None:
        """Replace this file with one of the finished lines alone, and write on there."""
        with atomic_file(self.path) as temporary:
            kept = _append_to(temporary)
            try:
                _lock(kept, self.path)  # before it has the name that others open
                self._keep(kept, bundle_id)
            except BaseException:
                kept.close()
                raise
        self._stream.close()
        self._stream = kept

    def _keep(self, kept: TextIO, bundle_id: str) -> None:
        if self._lines.header():
            kept.write(self._lines.header() + "\n")
        for result in self._read():
            if result.bundle_id != bundle_id:
                raise ArtifactError(
                    f"{self.path} holds results of bundle {result.bundle_id[:SHORT_ID]}, not {bundle_id[:SHORT_ID]}; "
                    "choose another --out, or delete it"
                )
            if not result.failed:
                self.finished.add(result.source)
                kept.write(result.line + "\n")
        kept.flush()

    def _read(self) -> Iterator[Finished]:
        try:
            with self.path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
                yield from self._lines.read(stream)
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise ArtifactError(
                f"{self.path} exists and holds no results of predict ({error}); choose another --out, or delete it"
            ) from error
        except OSError as error:
            raise ArtifactError(f"{self.path} cannot be read ({error.strerror}); choose another --out") from error


def _open_locked(path: Path) -> TextIO:
    while True:
        stream = _append_to(path)
        try:
            _lock(stream, path)
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        except FileNotFoundError:
            pass
        except BaseException:
            stream.close()
            raise
        stream.close()  # whoever had it put another file in its place


def _append_to(path: Path) -> TextIO:
    return path.open("a", encoding="utf-8", errors="surrogateescape", newline="")


def _lock(stream: TextIO, path: Path) -> None:
    """Keep other processes from `stream` until it is closed, or this process ends, however it ends.

    Raises:
        StorageError: if another one has it.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(f"{path} is being written by another process; wait for it, or choose another --out") from error
    except OSError:
        return  # some network disks have no locks
