"""Output that cannot be written: one clear line, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lesionlens.cli.main import main

LINUX = pytest.mark.skipif(not Path("/dev/full").exists() or not Path("/proc/self").exists(), reason="no /dev/full here")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, label in enumerate(("nevus", "melanoma")):
        (tmp_path / label).mkdir()
        Image.new("RGB", (40, 40), (90 * number, 0, 0)).save(tmp_path / label / f"{number}.png")
    return tmp_path


@LINUX
@pytest.mark.parametrize("out", ["/proc/x.csv", "/proc/self/x/index.csv", "/dev/null/index.csv"])
def test_places_where_no_file_can_be(images, capsys, out):
    with pytest.raises(SystemExit) as stop:
        main(["index", str(images), "--out", out])
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == 1
    assert lines[-1].startswith("lesionlens: ")
    assert "choose another place" in lines[-1]


def test_a_name_that_is_too_long(images, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["index", str(images), "--out", str(images / ("x" * 300 + ".csv"))])
    assert stop.value.code == 1
    assert "choose another place" in capsys.readouterr().err.splitlines()[-1]


@LINUX
@pytest.mark.parametrize("words", [["recipes"], ["index", "IMAGES", "--out", "OUT", "--json"]])
def test_a_full_disk_behind_standard_output(images, words):
    places = {"IMAGES": str(images), "OUT": str(images / "index.csv")}
    command = [sys.executable, "-m", "lesionlens", *(places.get(word, word) for word in words)]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "lesionlens: the output cannot be written (No space left on device); send it elsewhere"
    )


@pytest.mark.parametrize("data", ["", " "])
def test_no_data(tmp_path, capsys, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["run", "tiny", "--data", data])
    assert stop.value.code == 3
    assert "--data is empty" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
