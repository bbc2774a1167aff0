"""A loaded bundle, some photographs in several forms, and an S3 server on loopback."""

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.s3_server import S3Server

from lesionlens.bundle.runtime import Predictor
from lesionlens.cluster.files import filesystem
from lesionlens.data.index import read_index


@pytest.fixture(scope="module")
def predictor(small_bundle: Path) -> Predictor:
    return Predictor(small_bundle, threads=1)


@pytest.fixture
def photos(small_run: Path, tmp_path: Path) -> Path:
    """Five photographs, the second broken, and a text."""
    index = read_index(small_run / "index.csv")
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, record in enumerate(index.records[:5]):
        shutil.copyfile(index.image_path(record), folder / f"{number}.jpg")
    (folder / "1.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("text")
    return folder


def tar_of(folder: Path, path: Path, mode: str = "w") -> Path:
    """A tar of the files of a folder."""
    with tarfile.open(path, mode) as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    return path


def add_member(path: Path, name: str, content: bytes) -> None:
    """Add one more member to a tar."""
    with tarfile.open(path, "a") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An S3 server with a bucket called `bucket`, which this process finds by its environment."""
    pytest.importorskip("pyarrow.fs").S3FileSystem  # noqa: B018  it is missing where pyarrow was built without S3
    with S3Server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        filesystem("s3://bucket")  # once for this endpoint
        yield server
