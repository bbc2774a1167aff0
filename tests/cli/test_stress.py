"""The command `stress`: result, files, and mistakes in one line."""

import json
import shutil
from pathlib import Path

import pytest

from lesionlens.cli.main import main

QUICK = ("--images", "8", "--corruptions", "jpeg,hair", "--resamples", "100")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = 0
    try:
        main(["stress", *(str(argument) for argument in arguments)])
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, *capsys.readouterr()


@pytest.fixture
def checkpoint(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run")) / "train" / "best.safetensors"


@pytest.mark.slow
def test_a_checkpoint_of_a_run_is_all_it_needs(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = checkpoint.parents[1] / "assessment" / "robustness.json"
    code, out, err = run(capsys, checkpoint, *QUICK, "--json")
    assert code == 0, err
    assert json.loads(out) == json.loads(written.read_text())
    assert f"wrote {written}" in err
    code, out, _ = run(capsys, checkpoint, *QUICK, "--split", "validation", "--out", checkpoint.parent / "other.json")
    assert code == 0
    assert "validation images" in out
    assert json.loads((checkpoint.parent / "other.json").read_text())["split"] == "validation"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--corruptions", "fog"), 2, "unknown corruption 'fog'; known are jpeg, brighter"),
        (("--images", "-1"), 2, "images = -1; it must be from 0"),
        (("--readers", "nowhere.csv"), 3, "nowhere.csv cannot be read"),
        (("--reference", "nowhere.json"), 3, "nowhere.json does not exist"),
        (("--other", "nowhere.npz"), 3, "nowhere.npz does not exist"),
        (("--split-file", "nowhere.json"), 3, "nowhere.json"),
    ],
)
def test_mistakes_are_one_line(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: int, message: str
) -> None:
    exit_code, out, err = run(capsys, checkpoint, *options)
    assert (exit_code, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_neither_checkpoint_nor_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, tmp_path / "x.safetensors")
    assert code == 4
    assert err.count("\n") == 1
