"""Every command and every line of Python in README and documentation runs, page by page and in order.

A page starts from what it says it starts from. Commands run as they are shown; SMALLER appends what makes them quick,
and NOT_RUN names those that would need a network or another machine (their options are checked in test_readme.py).
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import pytest
from PIL import Image
from tests.markdown_pages import PAGES, README, ROOT, blocks, commands, name_of, python

from lesionlens.cli.main import main

FOLLOWED = {
    "tutorial": ROOT / "docs" / "tutorial.md",
    "pipeline": ROOT / "docs" / "pipeline.md",
    **{name: ROOT / "docs" / "howto" / f"{name}.md" for name in ("researcher", "engineer", "data-owner")},
    **{
        name: ROOT / "docs" / f"{name}.md"
        for name in ("decisions", "subgroups", "documents", "speed", "model", "networks", "future_work")
    },
}
NOT_RUN = {"make", "pip", "source", "mkdir", "cd", "torchrun", "python"}
QUICK_TRAINING = [
    *("--set", "model.name=test_convnext", "--set", "model.weights=none", "--set", "input.size=64", "--set", "input.frame=64"),
    *("--set", "training.epochs=1", "--set", "training.warmup_epochs=0"),
    *("--set", "evaluation.resamples=100", "--set", "evaluation.views=1"),
]
QUICK_RUN = [*QUICK_TRAINING, "--skip", "explain,compress"]
SMALLER = {
    "run": QUICK_RUN,
    "augment": QUICK_TRAINING,
    "pack": QUICK_TRAINING,
    "train": QUICK_TRAINING,
    "synthetic": ["--images", "120", "--width", "96", "--height", "72"],
    "explain": ["--limit", "8", "--curve-images", "2", "--resamples", "100"],
    "export": ["--compared-images", "4"],
    "compress": ["--set", "compression.calibration_images=8", "--compared-images", "4", "--rounds", "1"],
    "benchmark": ["--rounds", "1"],
}
SERVER_SECONDS = 60


class Reader:
    """Someone who does what a page says, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.smaller = dict(SMALLER)
        self.server: subprocess.Popen[str] | None = None
        self.address = ""

    def follow(self, page: Path) -> None:
        for block in blocks(page):
            if block.language == "python":
                exec(compile(block.code, name_of(page), "exec"), {"__name__": "__main__"})
            for words in commands(block):
                self.type(words)

    def type(self, words: list[str]) -> None:
        """Type one command, made quicker; `smaller` says how."""
        program = words[0].rpartition("/")[2]
        if program == "lesionlens" and words[1] == "serve":
            self.serve(words[1:])
        elif program == "lesionlens" and words[1] != "download":
            self.run([*words[1:], *([] if ">" in words else self.smaller.get(words[1], []))])
        elif program == "curl":
            self.curl(words)
        else:
            assert program in NOT_RUN | {"lesionlens"}

    def run(self, words: list[str]) -> None:
        words, target = (words[: words.index(">")], words[-1]) if ">" in words else (words, "")
        with (
            Path(target or os.devnull).open("w", encoding="utf-8") as stream,
            redirect_stdout(stream) if target else nullcontext(),
            pytest.raises(SystemExit) as stopped,
        ):
            main(words)
        assert not stopped.value.code, words

    def serve(self, words: list[str]) -> None:
        command = [sys.executable, "-m", "lesionlens", *words, "--port", "0"]
        self.server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.server.stderr
        end = time.monotonic() + SERVER_SECONDS
        for line in self.server.stderr:
            if found := re.search(r"listening on (http://\S+?)/?\s", f"{line} "):
                self.address = found[1]
                return
            assert time.monotonic() < end
        raise AssertionError("the server did not start")

    def curl(self, words: list[str]) -> None:
        if not shutil.which("curl"):
            pytest.skip("no curl")
        words = [word.replace("http://127.0.0.1:8000", self.address) for word in words]
        done = subprocess.run([*words, "--fail"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert '"outcome"' in done.stdout

    def leave(self) -> None:
        if self.server:
            self.server.terminate()
            self.server.communicate(timeout=SERVER_SECONDS)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    person = Reader(tmp_path)
    yield person
    person.leave()


@pytest.fixture
def photos(reader: Reader, synthetic_root: Path) -> Path:
    """A reader's own images: a folder with a table in words of their own."""
    folder = reader.folder / "photos"
    folder.mkdir()
    with (synthetic_root / "HAM10000_metadata.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    images = {path.stem: path for path in synthetic_root.rglob("*.jpg")}
    for row in rows:
        shutil.copyfile(images[row["image_id"]], folder / f"{row['image_id']}.jpg")
    with (folder / "my.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["file", "label", "lesion"])
        table.writerows([f"{row['image_id']}.jpg", row["dx"], row["lesion_id"]] for row in rows)
    return folder


@pytest.fixture
def ham10000(reader: Reader, synthetic_root: Path) -> Path:
    return shutil.copytree(synthetic_root, reader.folder / "data" / "HAM10000")


def test_every_page_with_code_is_followed_here() -> None:
    with_code = {name_of(page) for page in PAGES if python(page) or any(commands(block) for block in blocks(page))}
    assert with_code == {"README.md", *map(name_of, FOLLOWED.values())}


@pytest.mark.slow
def test_the_python_of_the_readme(reader: Reader, synthetic_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(synthetic_root, reader.folder / "images")
    shutil.copyfile(min(synthetic_root.rglob("*.jpg")), reader.folder / "lesion.jpg")
    (code,) = python(README)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    out = capsys.readouterr().out
    assert re.search(r"'value': 0\.\d+, 'low': None, 'high': None, 'reason': '19 lesions in all; an interval needs 20'", out)
    assert re.search(r"^(diagnosis|not_sure|not_usable) ", out, re.MULTILINE)
    assert "'mel': 0." in out
    assert (reader.folder / "runs" / "python" / "report.html").is_file()


@pytest.mark.slow
def test_the_commands_of_the_readme(reader: Reader, synthetic_root: Path) -> None:
    shutil.copytree(synthetic_root, reader.folder / "images")
    shutil.copyfile(min(synthetic_root.rglob("*.jpg")), reader.folder / "lesion.jpg")
    for block in blocks(README):
        for words in commands(block):
            reader.type(words)
    assert list((reader.folder / "overlays").iterdir())


@pytest.mark.slow
def test_data_owner_page(reader: Reader, photos: Path, small_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(small_bundle, reader.folder / "bundle")
    reader.follow(FOLLOWED["data-owner"])
    out = capsys.readouterr().out
    assert re.search(r"^small on my-clinic: 120 images, 83 leaked and left out, 0 unreadable", out, re.MULTILINE)
    assert re.search(r"^own test split +37 +28 +0\.\d+", out, re.MULTILINE)
    assert re.search(r"^my-clinic +37 +28 +0\.\d+", out, re.MULTILINE)
    with (reader.folder / "my-clinic" / "cases.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 120


@pytest.mark.slow
def test_engineer_page(reader: Reader, photos: Path, small_run: Path, small_bundle: Path) -> None:
    pytest.importorskip("starlette", reason="the extra `serve` is not installed")
    shutil.copytree(small_run, reader.folder / "runs" / "light")
    shutil.copyfile(min(photos.glob("*.jpg")), photos / "lesion.jpg")
    reader.follow(FOLLOWED["engineer"])
    with Image.open(photos / "lesion.mel.png") as heat_map, Image.open(photos / "lesion.jpg") as photo:
        assert heat_map.width >= photo.width
    assert len((reader.folder / "results.jsonl").read_text().splitlines()) == 121


@pytest.mark.slow
def test_researcher_page(reader: Reader, photos: Path, ham10000: Path) -> None:
    reader.follow(FOLLOWED["researcher"])
    assert (reader.folder / "comparison.json").is_file()
    assert (reader.folder / "runs" / "light" / "explain" / "faithfulness.json").is_file()


@pytest.mark.slow
def test_pipeline_page(reader: Reader, ham10000: Path) -> None:
    reader.follow(FOLLOWED["pipeline"])
    assert (reader.folder / "report.html").is_file()


@pytest.mark.slow
def test_pages_on_a_finished_run(reader: Reader, small_run: Path) -> None:
    run = reader.folder / "runs" / "light"
    shutil.copytree(small_run, run)
    for name in ("decisions", "subgroups", "documents", "speed"):
        reader.follow(FOLLOWED[name])
    assert (run / "assessment" / "decisions.json").is_file()
    assert '"delta": 0.1' in (run / "bundle" / "bundle.json").read_text()
    assert (run / "documents" / "card.md").is_file()


@pytest.mark.slow
def test_model_page(reader: Reader, synthetic_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("starlette", reason="the extra `serve` is not installed")
    model = str(ROOT / "model" / "src")
    monkeypatch.syspath_prepend(model)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (model, os.environ.get("PYTHONPATH")))))
    shutil.copyfile(min(synthetic_root.rglob("*.jpg")), reader.folder / "photo.jpg")
    reader.follow(FOLLOWED["model"])
    assert reader.address


@pytest.mark.slow
def test_networks_page(reader: Reader, ham10000: Path, photos: Path) -> None:
    shutil.copyfile(min(photos.glob("*.jpg")), reader.folder / "photo.jpg")
    (reader.folder / "patients.csv").write_text(f"image,age,sex,site\n{min(photos.glob('*.jpg')).name},61,male,\n")
    reader.follow(FOLLOWED["networks"])
    assert (reader.folder / "results.csv").is_file()


@pytest.mark.slow
def test_future_work_page(reader: Reader, ham10000: Path) -> None:
    weights = QUICK_TRAINING.index("model.weights=none")  # the page's own say where training starts
    quick = [*QUICK_TRAINING[: weights - 1], *QUICK_TRAINING[weights + 1 :]]
    reader.smaller["run"] = [*quick, "--until", "train"]
    reader.smaller["pretrain"] = [*quick, "--set", "pretraining.epochs=2", "--set", "pretraining.width=32"]
    reader.follow(FOLLOWED["future_work"])
    assert (reader.folder / "runs" / "pre" / "train" / "best.safetensors").is_file()


@pytest.mark.slow
def test_tutorial_page(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("starlette", reason="the extra `serve` is not installed")
    del reader.smaller["synthetic"]  # the page shows what its commands print for all images
    reader.follow(FOLLOWED["tutorial"])
    printed = " ".join(" ".join(capsys.readouterr()).split())
    shown = [block.code for block in blocks(FOLLOWED["tutorial"]) if block.language == "text"]
    assert len(shown) == 2
    for output in "\n\n".join(shown).split("\n\n"):
        assert " ".join(output.split()) in printed
    assert (reader.folder / "run" / "report.html").is_file()
    assert list((reader.folder / "overlays").iterdir())
