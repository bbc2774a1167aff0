"""The command `predict` as a process among others: pipes, Ctrl-C, two at once, permissions, absent runtimes, many files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lesionlens.bundle.archive import Overlays
from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.engines import computes_in, installed
from lesionlens.bundle.outputs import Tolerance
from lesionlens.bundle.prediction import Failure
from lesionlens.bundle.results import JsonLines, ResultFile
from lesionlens.bundle.runtime import Predictor
from lesionlens.bundle.sources import image_paths
from lesionlens.bundle.variants import NewVariant, add_variant
from lesionlens.core.errors import DataError, StorageError
from lesionlens.core.machine import peak_memory_bytes
from lesionlens.data.files import walk
from lesionlens.data.index import read_index

pytestmark = pytest.mark.slow  # processes; test_predict.py is the quick one

# A shell may start its background jobs deaf to Ctrl-C.
START = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
COMMAND = START + "from lesionlens.cli.main import main\nmain()"
PEAK = """
import sys
from lesionlens.cli.main import main
from lesionlens.core.machine import peak_memory_bytes
try:
    main()
except SystemExit as end:
    print(peak_memory_bytes(), file=sys.stderr)
    raise
"""
NOBODY, CLOSED = 65534, "closed"


def words(bundle: Path, *arguments: object, code: str = COMMAND) -> list[str]:
    return [sys.executable, "-c", code, "predict", str(bundle), *map(str, arguments), "--threads", "1"]


def run(bundle: Path, *arguments: object, code: str = COMMAND) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words(bundle, *arguments, code=code), capture_output=True, text=True, check=False)


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A `predict` that reads a list step by step, and so runs until the list ends."""
    pipe = subprocess.PIPE
    with subprocess.Popen(words(*arguments), stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_lines(path: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (path.is_file() and path.read_bytes().count(b"\n") >= count):
        time.sleep(0.01)
    assert path.read_bytes().count(b"\n") >= count


@pytest.fixture(scope="module")
def photo(small_run: Path) -> Path:
    index = read_index(small_run / "index.csv")
    return index.image_path(index.records[0])


@pytest.fixture
def many(photo, tmp_path) -> Path:
    """A folder of 400 files, of which every hundredth is broken."""
    folder = tmp_path / "many"
    folder.mkdir()
    whole, cut = tmp_path / "whole.bin", tmp_path / "cut.bin"
    shutil.copyfile(photo, whole)
    cut.write_bytes(photo.read_bytes()[:200])
    for number in range(400):
        os.link(cut if number % 100 == 50 else whole, folder / f"{number:03d}.jpg")
    return folder


def test_broken_files_among_many(small_bundle, many, tmp_path):
    done = run(small_bundle, many, "--out", tmp_path / "out.jsonl", "--batch-size", 8, "--workers", 2)
    assert done.returncode == 3
    named = [line for line in done.stderr.splitlines() if "damaged or cut short" in line]
    assert [line.split(".jpg")[0][-3:] for line in named] == ["050", "150", "250", "350"]
    assert done.stderr.splitlines()[-1] == "lesionlens: 4 of 400 images could not be used and are named above; the rest is done"
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [Path(row["source"]).name for row in rows] == sorted(path.name for path in many.iterdir())
    assert [n for n, row in enumerate(rows) if "error" in row] == [50, 150, 250, 350]


@pytest.mark.alone
def test_memory_does_not_grow_with_the_folder(small_bundle, many, tmp_path):
    if peak_memory_bytes() is None:
        pytest.skip("this system does not tell the memory of a process")
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(many.iterdir())[:30]:
        os.link(path, few / path.name)
    peaks = []
    for folders in ([few], [many] * 4):
        said = run(small_bundle, *folders, "--out", tmp_path / f"{len(folders)}.csv", code=PEAK).stderr
        peaks.append(next(int(line) for line in said.splitlines() if line.isdigit()))
    assert peaks[1] < peaks[0] + 8e6


@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_a_reader_that_has_seen_enough(small_bundle, many, form):
    command = words(small_bundle, many, "--format", form)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 141
    assert "Traceback" not in said
    assert "Broken" not in said


def test_a_reader_of_messages_that_leaves(small_bundle, many, tmp_path):
    """`predict ... 2>&1 | head`: the run ends, and what was written stays whole."""
    out = tmp_path / "out.jsonl"
    command = words(small_bundle, many, "--out", out)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        process.stderr.close()
        assert process.wait(60) == 141
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert 0 < len(rows) < 400


def test_two_may_not_write_one_file(small_bundle, photo, tmp_path):
    out = tmp_path / "out.jsonl"
    with started(small_bundle, "-", "--out", out) as first:
        first.stdin.write(f"{photo}\n{photo.parent}/none.jpg\n" * 3)
        wait_for_lines(out, 1)
        second = run(small_bundle, photo, "--out", out)
        assert second.returncode == 1
        assert second.stderr == f"lesionlens: {out} is being written by another process; wait for it, or choose another --out\n"
        first.stdin.close()
        assert first.wait(60) == 3
    assert out.read_bytes().count(b"\n") == 6
    assert run(small_bundle, photo, "--out", out).returncode == 0  # and now it may go on with it


def test_interrupted_nothing_is_lost(small_bundle, many, photo, tmp_path):
    out = tmp_path / "out.csv"
    with started(small_bundle, "-", "--out", out) as process:
        process.stdin.write("".join(f"{path}\n" for path in sorted(many.iterdir())[:20]))
        wait_for_lines(out, 10)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 130
    assert said.splitlines()[-1] == "lesionlens: interrupted; what was finished is kept; run the same command again to resume"
    assert "Traceback" not in said
    assert "going on with" in run(small_bundle, many, "--out", out).stderr
    assert out.read_bytes().count(b"\n") == 401


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A folder that may only be read, with one in it that may not, and this process as someone who is no exception."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system knows no users")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / CLOSED).mkdir(mode=0)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
            (folder / CLOSED).chmod(0o755)


def test_no_permission_to_write(small_bundle):
    bundle = open_bundle(small_bundle)
    lines = JsonLines(bundle.labels)
    with as_nobody() as folder:
        for path in (folder / "out.jsonl", folder / "new" / "out.jsonl"):
            with pytest.raises(StorageError, match=r"may not write .*out\.jsonl \(Permission denied\); choose another place"):
                ResultFile(path, lines, bundle.id)
        with pytest.raises(StorageError, match="may not write"):
            Overlays(folder / "maps").check(bundle)


def test_a_folder_that_may_not_be_read(small_bundle, photo, tmp_path):
    predictor = Predictor(small_bundle, threads=1)
    with as_nobody() as folder:
        closed = folder / CLOSED
        (failure,) = predictor.attempt(image_paths([str(closed)]))
        assert isinstance(failure, Failure)
        assert f"{closed} is a folder, not an image; give the images in it, and check that it can be read" in str(failure.error)
        (failure,) = predictor.attempt(image_paths([str(closed / "a.jpg")]))
        assert "a.jpg cannot be read (Permission denied)" in str(failure.error)
        with pytest.raises(DataError, match=r"cannot be read \(Permission denied\); check its permissions"):
            list(walk(closed))


def test_a_place_that_is_no_file(small_bundle, photo, tmp_path):
    assert "is a device or a pipe" in run(small_bundle, photo, "--out", os.devnull).stderr
    assert not Path(os.devnull).is_file()
    done = run(small_bundle, photo, "--out", tmp_path)
    assert (done.returncode, done.stderr) == (1, f"lesionlens: {tmp_path} is a folder; give the file to write with --out\n")


ABSENT = "import sys; sys.modules['openvino'] = None  # makes it impossible to find\n" + COMMAND
BROKEN = (
    "import sys, importlib.machinery\n"
    "class Finder:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        return importlib.machinery.ModuleSpec(name, self) if name == 'openvino' else None\n"
    "    def create_module(self, spec): raise ImportError('libtbb.so.12: cannot open shared object file')\n"
    "    def exec_module(self, module): pass\n"
    "sys.meta_path.insert(0, Finder())\n"
) + COMMAND


def test_without_openvino(small_bundle, photo, tmp_path):
    done = run(small_bundle, photo, "--json", code=ABSENT)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(small_bundle, photo, "--runtime", "openvino", code=ABSENT)
    assert done.returncode == 4
    assert "openvino was asked for and installed here is onnxruntime" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not installed("openvino"), reason="openvino is not installed")
def test_an_openvino_that_does_not_fit_the_machine(small_bundle, photo):
    done = run(small_bundle, photo, code=BROKEN)
    assert done.returncode == 4
    expected = "lesionlens: openvino is installed and cannot be imported (libtbb.so.12: cannot open shared object file); "
    assert done.stderr == expected + "install it again, or choose another --runtime\n"
    assert run(small_bundle, photo, "--runtime", "onnxruntime", code=BROKEN).returncode == 0


LITTLE = """
import sys
from lesionlens.bundle import engines, runtime, selection
selection.computes_in = engines.computes_in = lambda runtime, precision: precision == "fp32"
selection.fast_int8 = runtime.fast_int8 = lambda: False
"""


@pytest.mark.skipif(
    not installed("openvino") or not computes_in("openvino", "bf16"), reason="there is no bf16 here to make such a bundle with"
)
def test_a_processor_that_can_do_little(small_bundle, photo, tmp_path):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    loose = Tolerance(0.5, 1.0, 1.0)
    add_variant(copy, NewVariant("int8", [], {"openvino": "model.onnx", "onnxruntime": "model.onnx"}))
    add_variant(copy, NewVariant("bf16", [], {"openvino": "model.onnx"}, "bf16", loose, default=True))
    done = run(copy, photo, code=LITTLE + COMMAND)
    assert done.returncode == 0
    assert done.stderr == "variant 'bf16' needs openvino on a processor with bf16, which is not here; running fp32 instead\n"
    done = run(copy, photo, "--variant", "bf16", code=LITTLE + COMMAND)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "this processor has no bf16 arithmetic" in done.stderr
    done = run(copy, photo, "--variant", "int8", code=LITTLE + COMMAND)
    assert done.returncode == 0
    assert "this processor has no int8 products (VNNI)" in done.stderr
