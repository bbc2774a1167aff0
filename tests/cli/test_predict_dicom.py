"""`lesionlens predict` on DICOM files: found by name or mark, the first of several frames, and one line of what is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom makes the DICOM files")

from tests.data.dicom_files import SECRET, picture, plain

from lesionlens.cli.main import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.dcm").write_bytes(plain(picture(64, 80)))
    (tmp_path / "three.DCM").write_bytes(plain(np.stack([picture(64, 80, seed) for seed in range(3)]), NumberOfFrames="3"))
    (tmp_path / "no-ending").write_bytes(plain(picture(64, 80)))
    return tmp_path


def predicted(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, object]], str]:
    with pytest.raises(SystemExit) as ended:
        main(["predict", *arguments, "--json"])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), [json.loads(line) for line in out.splitlines()], err


def test_a_folder_gives_its_dicom_files_and_frames_are_told(
    small_bundle: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows, err = predicted(capsys, str(small_bundle), str(folder))
    assert code == 0
    assert len(rows) == 3
    assert rows[0]["probabilities"] == rows[1]["probabilities"] == rows[2]["probabilities"]
    assert f"1 image: frame 1 of 3 was used ({folder / 'three.DCM'})" in err
    assert sorted((row["image"]["frames"], row["notes"]) for row in rows) == [(1, []), (1, []), (3, ["frame 1 of 3 was used"])]
    assert SECRET not in err + str(rows)


def test_what_a_folder_holds_beside_images_is_counted(
    small_bundle: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "report.pdf").write_bytes(b"%PDF-1.7")
    code, rows, err = predicted(capsys, str(small_bundle), str(folder))
    assert code == 0
    assert len(rows) == 3
    assert f"left out 1 file, no images in a known format: {folder / 'report.pdf'}" in err


def test_one_that_cannot_be_used_is_named_by_its_path_only(
    small_bundle: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = folder / "bad.dcm"
    bad.write_bytes(plain(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))
    code, _, err = predicted(capsys, str(small_bundle), str(bad), str(folder / "one.dcm"))
    assert code == 3
    assert f"{bad} is a CT image" in err
    assert SECRET not in err
