"""The command `predict`: what it prints and writes, what it says of broken images, and how it resumes."""

import csv
import gc
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lesionlens.cli.predict import predict
from lesionlens.core.errors import ArtifactError, DataError, RecipeError
from lesionlens.data.index import read_index
from lesionlens.serving.schemas import PredictionBody

app = typer.Typer()
app.command()(predict)

COMMAND = "import sys, typer; from lesionlens.cli.predict import predict; typer.run(predict)"
HEAVY = ("torch", "timm", "sklearn", "matplotlib", "pandas", "scipy", "onnx", "pydantic")
OURS = ("lesionlens.core.recipe", "lesionlens.cli.serve", "lesionlens.cli.train", "lesionlens.data.concepts")
MOST_BYTES = 500 * 1024**2


def call(*arguments: object, listed: str = "") -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=listed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        result.exception.printed = (result.stdout, result.stderr)  # type: ignore[attr-defined]
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


class PredictionLine(PredictionBody):
    """One line of `predict --json`: what the API returns, and the image that it is about."""

    source: str


@pytest.fixture
def photos(small_run: Path, tmp_path: Path) -> Path:
    index = read_index(small_run / "index.csv")
    for number, record in enumerate(index.records[:4]):
        (tmp_path / "photos" / "b").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(index.image_path(record), tmp_path / "photos" / ("b" if number > 1 else ".") / f"{number}.jpg")
    return tmp_path / "photos"


def test_a_table_for_people(small_bundle, photos):
    out, err = call(small_bundle, photos / "0.jpg", photos / "1.jpg")
    lines = out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("0.jpg")
    assert err == ""


def test_json_lines(small_bundle, photos):
    rows = [json.loads(line) for line in call(small_bundle, photos, "--json")[0].splitlines()]
    assert [Path(row["source"]).name for row in rows] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    for row in rows:
        PredictionLine.model_validate(row, strict=True)
        by_code = {each["code"]: each["probability"] for each in row["probabilities"]}
        assert sum(by_code.values()) == pytest.approx(1, abs=1e-5)
        assert row["outcome"] in ("diagnosis", "not_sure", "not_usable")
        assert row["diagnosis"] == max(by_code, key=by_code.__getitem__)
        assert row["gate"]["usable"]


def test_csv(small_bundle, photos):
    rows = list(csv.DictReader(io.StringIO(call(small_bundle, photos, "--format", "csv")[0])))
    assert len(rows) == 4
    assert {"p_mel", "malignant_share", "network_ms"} <= rows[0].keys()


def test_a_list_on_standard_input(small_bundle, photos):
    out, _ = call(small_bundle, "-", "--json", listed=f"{photos}/1.jpg\n{photos}/b\n")
    assert [Path(json.loads(line)["source"]).name for line in out.splitlines()] == ["1.jpg", "2.jpg", "3.jpg"]


def test_patterns(small_bundle, photos):
    out, _ = call(small_bundle, f"{photos}/**/[13].jpg", "--json")
    assert [Path(json.loads(line)["source"]).name for line in out.splitlines()] == ["1.jpg", "3.jpg"]


def test_overlays(small_bundle, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(small_bundle, "photos", "--overlays", "maps", "--overlay-class", "mel")
    drawn = sorted(path.relative_to("maps").as_posix() for path in Path("maps").rglob("*.png"))
    assert drawn == ["photos/0.jpg.png", "photos/1.jpg.png", "photos/b/2.jpg.png", "photos/b/3.jpg.png"]
    with Image.open("maps/photos/0.jpg.png") as picture:
        assert picture.width > 96


def test_broken_images_are_named_and_the_rest_is_done(small_bundle, photos, tmp_path):
    (photos / "0.jpg").write_bytes(b"")
    (photos / "z.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="2 of 5 images could not be used") as raised:
        call(small_bundle, photos, "--out", tmp_path / "out.jsonl")
    assert raised.value.exit_code == 3
    _, err = raised.value.printed
    assert "0.jpg is empty (0 bytes)" in err
    assert "z.png is not an image in a known format" in err
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert ["error" in row for row in rows] == [True, False, True, False, False]


def test_a_finished_file_is_not_done_again(small_bundle, photos, tmp_path):
    out = tmp_path / "out.csv"
    call(small_bundle, photos, "--out", out)
    before = out.read_bytes()
    _, err = call(small_bundle, photos, "--out", out)
    assert "4 images are finished" in err
    assert out.read_bytes() == before


def test_mended_images_are_done_and_the_rest_is_not(small_bundle, photos, tmp_path):
    out = tmp_path / "out.jsonl"
    whole = (photos / "0.jpg").read_bytes()
    (photos / "0.jpg").write_bytes(whole[:100])
    with pytest.raises(DataError, match="1 of 4"):
        call(small_bundle, photos, "--out", out)
    (photos / "0.jpg").write_bytes(whole)
    call(small_bundle, photos, "--out", out)
    names = [Path(json.loads(line)["source"]).name for line in out.read_text().splitlines()]
    assert sorted(names) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert "error" not in out.read_text()


@pytest.mark.slow
def test_killed_and_gone_on_with(small_bundle, photos, tmp_path):
    """kill -9 in the middle of a list loses nothing that was finished."""
    copies = tmp_path / "many"
    copies.mkdir()
    for number in range(300):
        os.link(photos / "0.jpg", copies / f"{number:03d}.jpg")
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", COMMAND, str(small_bundle), str(copies), "--out", str(out), "--threads", "1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None and not (out.exists() and out.stat().st_size > 2000):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert 0 < out.read_bytes().count(b"\n") < 300
    _, err = call(small_bundle, copies, "--out", out, "--threads", "1")
    assert "images are finished" in err
    names = [Path(json.loads(line)["source"]).name for line in out.read_text().splitlines()]
    assert names == [f"{number:03d}.jpg" for number in range(300)]


def test_from_a_cold_start_it_is_light(small_bundle, photos):
    code = (
        "import sys\nfrom lesionlens.cli.commands import application\n"
        f"words = {['predict', str(small_bundle), str(photos / '0.jpg'), '--json']!r}\n"
        "application('predict')(words, standalone_mode=False)\n"
        f"print(*(name for name in {(*HEAVY, *OURS)!r} if name in sys.modules), file=sys.stderr)\n"
        "status = open('/proc/self/status').read() if sys.platform == 'linux' else 'VmHWM: 0'\n"
        "print(status.split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, peak_kb = done.stderr.splitlines()
    assert heavy == ""
    assert int(peak_kb) * 1024 < MOST_BYTES
    assert json.loads(done.stdout)["bundle"]


def test_garbage_is_collected_from_the_first_image_on(small_bundle, photos):
    """The program starts without; an error of a broken image holds its pixels until then."""
    gc.disable()
    try:
        call(small_bundle, photos / "0.jpg")
        assert gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.slow
def test_the_program_writes_everything_before_it_leaves(small_bundle, photos, tmp_path):
    """Its process ends at once, without taking the graph apart: nothing may be left in a buffer by then."""
    program = [sys.executable, "-m", "lesionlens", "predict", str(small_bundle)]
    images = [str(photos / "0.jpg")] * 40
    done = subprocess.run([*program, *images, "--json", "--overlays", str(tmp_path / "maps")], capture_output=True, check=True)
    assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == images
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    failed = subprocess.run([*program, str(tmp_path / "broken.jpg")], capture_output=True, text=True)
    assert (failed.returncode, "broken.jpg" in failed.stderr) == (3, True)
    with subprocess.Popen([*program, images[0], "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as cut:
        cut.stdout.close()
        assert "Traceback" not in cut.stderr.read()


def test_bad_arguments(small_bundle, photos, tmp_path):
    with pytest.raises(DataError, match="no image in -"):
        call(small_bundle, "-", listed="")
    with pytest.raises(RecipeError, match="format 'xml'"):
        call(small_bundle, photos, "--format", "xml")
    with pytest.raises(RecipeError, match="a table cannot be gone on with"):
        call(small_bundle, photos, "--format", "table", "--out", tmp_path / "x")
    with pytest.raises(DataError, match="unknown diagnosis 'xyz'"):
        call(small_bundle, photos, "--overlays", tmp_path / "maps", "--overlay-class", "xyz")
    with pytest.raises(DataError, match="no image is named after the bundle"):
        call(small_bundle)
    (tmp_path / "thesis.jsonl").write_text("years of work")
    with pytest.raises(ArtifactError, match="holds no results"):
        call(small_bundle, photos, "--out", tmp_path / "thesis.jsonl", "--format", "csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name it with --out"),
        (["--out", "x", "--json"], "writes Parquet only"),
        (["--out", "x", "--format", "csv"], "writes Parquet only"),
        (["--out", "x", "--overlays", "maps"], "draws no heat maps"),
    ],
)
def test_what_a_cluster_does_not_do_is_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        call("a.jpg", "--on", "ray", *options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images_failed": 2}, "2 of 5 images could not be used; the column `error` says why"),
        ({"shards_lost": {"b.tar": "b.tar is no complete tar"}}, r"1 shards are not done, the first begins with b\.tar"),
    ],
)
def test_what_a_cluster_could_not_do_is_exit_code_3(small_bundle, monkeypatch, changes, message):
    from lesionlens.cluster import archive

    asked = []

    def score(bundle, images, out, scoring, address, listed, reporter):
        asked.append((images, out, scoring.settings.threads, scoring.shard_size, scoring.processes, address))
        counts = {"images": 5, "images_failed": 0, "shards": 3, "shards_done": 3, "shards_lost": {}}
        return {**counts, "left_out": ["left out 1 file"], "notes_in_this_call": [], **changes}

    monkeypatch.setattr(archive, "score_archive", score)
    where = ["--out", "s3://bucket/out", "--on", "ray", "--address", "h:1", "--shard-size", "7", "--processes", "2"]
    with pytest.raises(DataError, match=message) as raised:
        call(small_bundle, "s3://bucket/in", *where)
    assert raised.value.exit_code == 3
    assert asked == [(["s3://bucket/in"], "s3://bucket/out", 1, 7, 2, "h:1")]
    assert "left out 1 file" in raised.value.printed[1]
    assert "wrote s3://bucket/out" in raised.value.printed[1]
