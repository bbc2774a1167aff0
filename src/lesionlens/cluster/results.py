"""Results as Parquet: one row for each image, with the columns of `predict --format csv` and the size of the image."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lesionlens.bundle.results import STEPS
from lesionlens.cluster.files import Folder, opened
from lesionlens.cluster.manifest import PARTS
from lesionlens.core.errors import ArtifactError, ClusterError

if TYPE_CHECKING:
    import pyarrow

TIMES = tuple(f"{step}_ms" for step in STEPS)
SHARD_KEY, ROWS_KEY, FAILED_KEY = b"lesionlens.shard", b"lesionlens.rows", b"lesionlens.failed"


def require_pyarrow() -> Any:
    """The library that writes Parquet.

    Raises:
        ClusterError: if it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ClusterError(
            "pyarrow is not installed; it writes the results. Install it with: pip install 'lesionlens[ray]'"
        ) from error
    return pyarrow


def schema(codes: Sequence[str]) -> pyarrow.Schema:
    """The columns of the results.

    Args:
        codes: diagnoses of the bundle, in its order.
    """
    pa = require_pyarrow()
    text, texts, number, whole = pa.string(), pa.list_(pa.string()), pa.float64(), pa.int32()
    columns = [("source", text), ("outcome", text), ("diagnosis", text), ("malignant_share", number)]
    columns += [(f"p_{code}", number) for code in codes]
    columns += [("reasons", texts), ("explanation", text), ("notes", texts)]
    columns += [("width", whole), ("height", whole), ("frames", whole), ("frame", whole)]
    columns += [(name, number) for name in TIMES]
    columns += [("bundle", text), ("variant", text), ("error", text)]
    return pa.schema(columns)


def columns_of(row: dict[str, Any]) -> dict[str, Any]:
    """One result as `bundle.results.row_of` gives it, by column; what a failure lacks is missing.

    Example:
        >>> columns_of({"source": "a.jpg", "error": "a.jpg is empty", "bundle": {"id": "1", "name": "x", "variant": "fp32"}})
        {'source': 'a.jpg', 'bundle': '1', 'variant': 'fp32', 'error': 'a.jpg is empty'}
    """
    bundle = {"bundle": row["bundle"]["id"], "variant": row["bundle"]["variant"]}
    if "error" in row:
        return {"source": row["source"], **bundle, "error": row["error"]}
    return {
        "source": row["source"],
        **{name: row[name] for name in ("outcome", "diagnosis", "malignant_share", "explanation", "notes")},
        **{f"p_{each['code']}": each["probability"] for each in row["probabilities"]},
        "reasons": [reason["code"] for reason in (row["gate"] or {}).get("reasons", ())],
        **row["image"],
        **{f"{step}_ms": row["timings_ms"][step] for step in STEPS},
        **bundle,
    }


def parquet(rows: Iterable[dict[str, Any]], codes: Sequence[str], shard_hash: str) -> tuple[bytes, int, int]:
    """The file of a shard, its number of rows, and how many of them failed.

    Args:
        rows: results by column.
        codes: diagnoses of the bundle.
        shard_hash: hash of the shard, which is written into the file.
    """
    pa = require_pyarrow()
    listed = list(rows)
    failed = sum("error" in row for row in listed)
    facts = {SHARD_KEY: shard_hash, ROWS_KEY: str(len(listed)), FAILED_KEY: str(failed)}
    table = pa.Table.from_pylist(listed, schema(codes)).replace_schema_metadata(facts)
    stream = io.BytesIO()
    pa.parquet.write_table(table, stream, compression="zstd")
    return stream.getvalue(), len(listed), failed


def part_counts(folder: Folder, file: str, shard_hash: str) -> tuple[int, int]:
    """Rows and failures of a finished shard.

    Raises:
        ArtifactError: if the file is damaged, or holds the results of other images.
    """
    pa = require_pyarrow()
    try:
        with opened(folder.path(file)) as stream:
            facts = pa.parquet.read_schema(stream).metadata or {}
        found, rows, failed = facts[SHARD_KEY].decode(), int(facts[ROWS_KEY]), int(facts[FAILED_KEY])
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise ArtifactError(f"{folder.path(file)} is damaged ({error}); delete it and run the same command again") from error
    if found != shard_hash:
        raise ArtifactError(f"{folder.path(file)} holds the results of other images; choose another --out")
    return rows, failed


def read_results(folder: str) -> Iterator[dict[str, Any]]:
    """All results of an archive in the order of its plan, by column; missing values are None.

    Args:
        folder: that `predict --on ray` wrote, a path or a URL.

    Raises:
        DataError: if a file cannot be read.
        ClusterError: if pyarrow is not installed.
    """
    pa, place = require_pyarrow(), Folder(folder)
    for file in place.files():
        if file.startswith(PARTS):
            with opened(place.path(file)) as stream:
                yield from pa.parquet.read_table(stream).to_pylist()


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    """A result without the columns that differ from run to run, and without what is missing: for comparisons."""
    return {name: value for name, value in row.items() if name not in TIMES and value is not None}
