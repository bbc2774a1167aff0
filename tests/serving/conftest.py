"""Real servers on loopback, each in a process of its own."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.serving.clinic_log import ClinicLog
from tests.slow_values import RECORDS

from lesionlens.serving.database_url import DatabaseUrl, Place, read_record

START_SECONDS = 60
ADDRESS = re.compile(r"listening on (http://\S+)")


@dataclass
class RunningServer:
    """A server in a child process.

    Attributes:
        url: its address, without a slash at the end.
        record: its record, a path or a URL.
        process: itself; its log goes to `log`.
        log: file of its standard error.
        client: speaks with it.
    """

    url: str
    record: Any
    process: subprocess.Popen[str]
    log: Path
    client: httpx.Client

    def predict(self, data: bytes, name: str = "lesion.jpg", **options: Any) -> httpx.Response:
        """Send one image as a form."""
        return self.client.post("/v1/predictions", files={"file": (name, data)}, **options)

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """End it and say its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(sign)
        return self.process.wait(30)


def option(record: Place) -> str:
    """A place as `--record` takes it."""
    return record.full if isinstance(record, DatabaseUrl) else str(record)


def _lesion_image(seed: int = 0, size: tuple[int, int] = (96, 72), form: str = "JPEG") -> bytes:
    """A picture of a dark spot on skin, as a file's bytes."""
    random = np.random.default_rng(seed)
    height, width = size[1], size[0]
    y, x = np.mgrid[:height, :width]
    spot = np.exp(-(((x - width / 2) / (width / 5)) ** 2 + ((y - height / 2) / (height / 5)) ** 2))
    pixels = np.array([210, 160, 140]) - spot[..., None] * np.array([110, 100, 90]) + random.normal(0, 4, (height, width, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, form, **({"quality": 95} if form == "JPEG" else {}))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def lesion_image() -> Callable[..., bytes]:
    """Makes pictures: `lesion_image(seed, size=(96, 72), form="JPEG")`."""
    return _lesion_image


@pytest.fixture(scope="session")
def start_server(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RunningServer]]:
    """Start servers: `start_server("--queue", "2", record=path, bundle=path, tokens=..., preexec=...)`."""
    running: list[RunningServer] = []

    def start(
        *options: str,
        bundle: Path = small_bundle,
        record: Place | None = None,
        host: str = "127.0.0.1",
        preexec: Callable[[], None] | None = None,
    ) -> RunningServer:
        record = record or tmp_path_factory.mktemp("record") / "record.sqlite"
        folder = record.parent if isinstance(record, Path) else tmp_path_factory.mktemp("server")
        log = folder / f"server-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "lesionlens", "serve", str(bundle), "--record", option(record), "--host", host]
        command += ["--port", "0", "--threads", "1", *options]
        with log.open("w") as stream:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stderr=stream,
                text=True,
                preexec_fn=preexec,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        url = _address(process, log)
        server = RunningServer(url, record, process, log, httpx.Client(base_url=url, timeout=30, trust_env=False))
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop(signal.SIGKILL)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        found = ADDRESS.search(log.read_text())
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")


@pytest.fixture(scope="session")
def sqlite_server(start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server()


@pytest.fixture(scope="session")
def server(sqlite_server: RunningServer) -> RunningServer:
    """One server for all tests that leave it as they found it."""
    return sqlite_server


@pytest.fixture(scope="session", params=RECORDS)
def new_record(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Makes places of prediction logs that are not there yet; tests that need it run again with PostgreSQL, as slow ones."""
    if request.param == "sqlite":
        return lambda: tmp_path_factory.mktemp("record") / "record.sqlite"
    cluster = request.getfixturevalue("postgresql")
    return lambda: read_record(cluster.database())


@pytest.fixture(scope="session", params=RECORDS)
def either_server(request: pytest.FixtureRequest, start_server: Callable[..., RunningServer]) -> RunningServer:
    """`server`, and as a slow one its like with PostgreSQL."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_server")
    return start_server(record=read_record(request.getfixturevalue("postgresql").database()))


@pytest.fixture
def clinic(record: Place) -> Iterator[ClinicLog]:
    """A log of predictions of one noon, to be filled."""
    clinic = ClinicLog(record, datetime(2026, 11, 22, 12, tzinfo=UTC))
    yield clinic
    clinic.log.close()
