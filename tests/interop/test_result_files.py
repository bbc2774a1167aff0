"""`predict --dicom-sr`."""

from pathlib import Path

import pydicom
import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("highdicom", reason="the extra `interop` is not installed")

from PIL import Image
from tests.interop.clinic import check_object, dicom_image

from lesionlens.cli.predict import predict
from lesionlens.core.errors import DataError
from lesionlens.data.index import read_index

app = typer.Typer()
app.command()(predict)


@pytest.fixture
def usable(small_run: Path, tmp_path: Path) -> Path:
    """A DICOM file of an image that the bundle knows."""
    import numpy as np

    index = read_index(small_run / "index.csv")
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom_image(np.asarray(Image.open(index.image_path(index.records[0])).convert("RGB"))))
    return path


@pytest.mark.slow
def test_each_image_gets_a_report_and_a_heat_map(small_bundle, usable, tmp_path):
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [str(small_bundle), str(usable), "--dicom-sr", str(out)])
    assert done.exit_code == 0, done.output
    written = {path.name: path for path in out.rglob("*.dcm")}
    assert set(written) == {"a.dcm.sr.dcm", "a.dcm.sc.dcm"}
    for path in written.values():
        assert pydicom.dcmread(path).StudyInstanceUID == pydicom.dcmread(usable).StudyInstanceUID
        assert path.stat().st_mode & 0o077 == 0
        check_object(path.read_bytes(), tmp_path)


def test_an_image_that_is_no_dicom_is_named(small_bundle, small_run, tmp_path):
    index = read_index(small_run / "index.csv")
    photo = index.image_path(index.records[0])
    done = CliRunner().invoke(app, [str(small_bundle), str(photo), "--dicom-sr", str(tmp_path / "out")])
    assert isinstance(done.exception, DataError)
    assert "is no DICOM file" in done.stderr
