"""`predict` with what is known of the patients: options, a table, and the columns of the results."""

import csv
import io
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.cli.predict import predict
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.metadata import Metadata
from lesionlens.data.index import read_index
from lesionlens.data.sources.patients import read_patients

app = typer.Typer()
app.command()(predict)


def call(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def photos(small_run: Path) -> list[Path]:
    index = read_index(small_run / "index.csv")
    return [index.image_path(record) for record in index.records[:3]]


def rows(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_one_patient_for_all_images(metadata_bundle, photos):
    out, err = call(metadata_bundle, *photos[:2], "--json", "--age", "55", "--sex", "Female")
    assert [row["metadata"] for row in rows(out)] == [{"used": {"age": 55.0, "sex": "female"}, "missing": []}] * 2
    assert "metadata" not in err
    out, err = call(metadata_bundle, photos[0], "--json", "--age", "55")
    assert rows(out)[0]["metadata"]["missing"] == ["sex"]
    assert "metadata missing of 1 images: sex in 1" in err


def test_a_table_of_patients(metadata_bundle, photos, tmp_path):
    table = tmp_path / "patients.csv"
    table.write_text(
        f"image_id;age;sex;localization;dx_type\n{photos[0].stem};65,5;M;back;histo\n{photos[1].name};;unknown;;\n",
        encoding="utf-8",
    )
    out, err = call(metadata_bundle, *photos, "--format", "csv", "--metadata", table)
    found = list(csv.DictReader(io.StringIO(out)))
    assert [(row["age"], row["sex"], row["metadata_missing"]) for row in found] == [
        ("65.5", "male", ""),
        ("", "", "age sex"),
        ("", "", "age sex"),
    ]
    assert "metadata of 2 images: age missing in 1, sex missing in 1" in err
    assert "columns of patients.csv that are not used: localization, dx_type; dx_type: how a diagnosis was made" in err
    assert f"1 images are not in {table}, so nothing is known of their patients: {photos[2]}" in err
    assert "metadata missing of 3 images: age in 2, sex in 2" in err


def test_columns_are_those_of_the_bundle(metadata_bundle, small_bundle, photos):
    with_metadata, without = (
        call(bundle, photos[0], "--format", "csv")[0].splitlines()[0] for bundle in (metadata_bundle, small_bundle)
    )
    assert ",notes,age,sex,metadata_missing,decode_ms," in with_metadata
    assert ",notes,decode_ms," in without


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (["--site", "back"], DataError, "site cannot be used: this bundle was trained with age, sex only"),
        (["--sex", "x"], DataError, "the command line has sex 'x'; it must be female or male"),
        (["--age", "200"], DataError, "age '200'; it must be years from 0 to 120"),
        (["--metadata", "t.csv", "--age", "5"], RecipeError, "--metadata and --age are given; choose the table"),
    ],
)
def test_what_is_refused(metadata_bundle, photos, options, error, message):
    with pytest.raises(error, match=message):
        call(metadata_bundle, photos[0], *options)


def test_a_bundle_of_images_alone(small_bundle, photos, tmp_path):
    (tmp_path / "t.csv").write_text("image,age\n1,2\n")
    with pytest.raises(DataError, match="age cannot be used: this bundle was trained on images only"):
        call(small_bundle, photos[0], "--age", "50")
    with pytest.raises(DataError, match="was trained on images only; leave --metadata out"):
        call(small_bundle, photos[0], "--metadata", tmp_path / "t.csv")


def test_tables_that_cannot_be_used(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("name,age\n1,2\n")
    with pytest.raises(DataError, match="needs a column with the image's id or file name"):
        read_patients(path)
    path.write_text("image,weight\n1,2\n")
    with pytest.raises(DataError, match="needs a column of age, sex, site"):
        read_patients(path)
    path.write_text("image,age\n1,2\n1,3\n")
    with pytest.raises(DataError, match="line 3: image '1' is empty or stands twice"):
        read_patients(path)


def test_values_that_no_network_knows_count_as_missing_and_are_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("image,age,site\na,40,torso\nb,41,moon\n")
    patients = read_patients(path)
    assert patients.of("folder/a.jpg") == Metadata(40.0, "", "trunk")
    assert patients.of("b") == Metadata(41.0)
    assert "site treated as missing: moon (1)" in patients.notes[0]
