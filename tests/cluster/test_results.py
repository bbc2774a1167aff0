"""Results as Parquet have the values of the other formats."""

import csv
import doctest
import io
import json

from lesionlens.bundle.results import Csv, row_of
from lesionlens.cluster import results
from lesionlens.cluster.files import Folder
from lesionlens.cluster.results import columns_of, parquet, read_results, schema, without_times


def test_columns_are_those_of_csv(predictor, photos):
    """Every column of `predict --format csv` has one of the same value; `image` is called `source` as in JSON."""
    lines = Csv(predictor.bundle.labels)
    names = next(csv.reader([lines.header()]))
    for result in predictor.attempt([photos / "0.jpg", photos / "1.jpg"]):
        row = row_of(result, predictor.bundle_variant)
        theirs = dict(zip(names, next(csv.reader(io.StringIO(lines.line(row)))), strict=True))
        ours = columns_of(row)
        ours["image"] = ours.pop("source")
        for name, text in theirs.items():
            value = ours.get(name)
            shown = (" " if name == "reasons" else "; ").join(value) if isinstance(value, list) else value
            assert str("" if shown is None else shown) == text, name


def test_what_is_written_is_read_back(predictor, photos, tmp_path):
    rows = [columns_of(row_of(result, predictor.bundle_variant)) for result in predictor.attempt(sorted(photos.glob("*.jpg")))]
    content, count, failed = parquet(rows, predictor.bundle.labels.codes, "hash")
    assert (count, failed) == (5, 1)
    (tmp_path / "part-000000.parquet").write_bytes(content)
    (tmp_path / "_summary.json").write_text("{}")
    found = list(read_results(str(tmp_path)))
    assert list(found[0]) == schema(predictor.bundle.labels.codes).names
    assert [without_times(row) for row in found] == [without_times(row) for row in rows]
    assert json.dumps(found[0])


def test_the_folder_is_one_table_for_readers_of_parquet(predictor, photos, tmp_path):
    import pyarrow.parquet

    rows = [columns_of(row_of(result, predictor.bundle_variant)) for result in predictor.attempt([photos / "0.jpg"])]
    for number in range(2):
        content, _, _ = parquet(rows, predictor.bundle.labels.codes, str(number))
        Folder(str(tmp_path / "out")).write(f"part-{number:06d}.parquet", content)
    Folder(str(tmp_path / "out")).write("_manifest.json", b"{}")
    assert pyarrow.parquet.read_table(tmp_path / "out").num_rows == 2


def test_examples():
    assert not doctest.testmod(results).failed
