"""Bad uploads against a real server: each gets 4xx with a stable code, quickly, in little memory; it goes on serving."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("pydicom", reason="pydicom makes the bad DICOM files")

from tests.data.dicom_files import DERMOSCOPY, SECRET, plain
from tests.serving.bad_uploads import BadUpload, bad_uploads

from lesionlens.serving.problems import KINDS

SECONDS = 2.0
MEMORY_MIB = 300
UPLOAD_SECONDS = 3
NOT_HTTP = b"Invalid HTTP request received."
PROC = Path("/proc")


class Reply:
    """What a server sent before it closed the connection."""

    def __init__(self, raw: bytes, seconds: float) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3})", head)
        self.status = int(found[1]) if found else 0
        self.headers = head.decode("latin-1").lower()
        self.seconds = seconds

    @property
    def problem(self) -> dict[str, Any]:
        """The body, if it is a problem."""
        return json.loads(self.body) if "application/problem+json" in self.headers else {}


def exchange(host: str, data: bytes, timeout: float = 30.0) -> Reply:
    """Send bytes and read until the server closes."""
    name, port = host.split(":")
    started = time.perf_counter()
    received = b""
    with socket.create_connection((name, int(port)), timeout=timeout) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)  # it may say no, and close, before all was sent
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65_536):
                received += part
    return Reply(received, time.perf_counter() - started)


@pytest.fixture(scope="module")
def victim(start_server: Callable[..., Any]) -> Any:
    """A server that gets nothing but bad uploads."""
    return start_server("--upload-seconds", str(UPLOAD_SECONDS), "--max-active", "2", "--queue", "32")


def host_of(server: Any) -> str:
    return urlsplit(server.url).netloc


def family(process: int) -> Iterator[int]:
    """A process and its children."""
    yield process
    for task in (PROC / str(process) / "task").glob("*/children"):
        for child in task.read_text().split():
            yield from family(int(child))


def memory_mib(process: int) -> dict[int, float]:
    """The most memory that a server and each of its children held at once (VmHWM)."""
    found = {}
    for member in family(process):
        peak = re.search(r"VmHWM:\s+(\d+) kB", (PROC / str(member) / "status").read_text())
        if peak:
            found[member] = int(peak[1]) / 1024
    return found


def fault(upload: BadUpload, host: str) -> str:
    """What is wrong with how one bad upload is answered; empty if nothing."""
    reply = exchange(host, upload.request(host))
    if reply.seconds > SECONDS:  # a machine that pauses is not the server's fault
        reply = exchange(host, upload.request(host))
    if not upload.is_http and reply.status == 400 and NOT_HTTP in reply.body:
        return f"{upload.name}: {reply.seconds:.1f} s" if reply.seconds > SECONDS else ""
    code = reply.problem.get("code", "")
    if reply.status not in upload.statuses:
        return f"{upload.name}: {reply.status} {reply.body[:200]!r}"
    if code not in KINDS or KINDS[code].status != reply.status:
        return f"{upload.name}: {reply.status} with the code {code!r}"
    if SECRET in str(reply.problem) or not reply.problem.get("request_id"):
        return f"{upload.name}: {reply.problem}"
    return f"{upload.name}: {reply.seconds:.1f} s" if reply.seconds > SECONDS else ""


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.skipif(not (PROC / "self" / "task").is_dir(), reason="memory of other processes is told only on Linux")
def test_each_is_refused_with_a_code_in_time_and_in_little_memory(victim: Any, lesion_image: Callable[..., bytes]) -> None:
    assert len(bad_uploads()) >= 500
    assert victim.predict(lesion_image(1)).status_code == 201
    rest = memory_mib(victim.process.pid)
    peaks = dict(rest)
    faults = []
    for upload in bad_uploads():
        faults.append(fault(upload, host_of(victim)))
        peaks |= {member: max(peak, peaks.get(member, 0)) for member, peak in memory_mib(victim.process.pid).items()}
    assert [line for line in faults if line] == []
    largest_decoder = max(peak for member, peak in peaks.items() if member != victim.process.pid)
    rest_of_decoders = min(peak for member, peak in rest.items() if member != victim.process.pid)
    assert peaks[victim.process.pid] - rest[victim.process.pid] + largest_decoder - rest_of_decoders < MEMORY_MIB
    assert victim.predict(lesion_image(1)).status_code == 201
    assert victim.process.poll() is None


@pytest.mark.alone
@pytest.mark.slow
def test_slow_senders_are_let_go_and_keep_nobody_waiting(victim: Any, lesion_image: Callable[..., bytes]) -> None:
    host = host_of(victim)
    head = f"POST /v1/predictions HTTP/1.1\r\nHost: {host}\r\n".encode()
    body = head + b"Content-Type: image/jpeg\r\nContent-Length: 100000\r\n\r\n"
    with ThreadPoolExecutor(40) as pool:
        heads = [pool.submit(drip, host, head, b"X-A: b\r\n", 5) for _ in range(15)]
        bodies = [pool.submit(drip, host, body, b"\xff") for _ in range(15)]
        time.sleep(1)
        started = time.perf_counter()
        assert victim.predict(lesion_image(2)).status_code == 201
        assert time.perf_counter() - started < SECONDS
        for slow in (done.result() for done in bodies):
            assert (slow.status, slow.problem["code"]) == (408, "upload_too_slow")
            assert slow.seconds < UPLOAD_SECONDS + 4
        assert {done.result().status for done in heads} == {0}  # the proxy in front ends slow heads
    assert victim.predict(lesion_image(2)).status_code == 201


def drip(host: str, start: bytes, drop: bytes, seconds: float = 30) -> Reply:
    """Send `start`, then a drop each half second, until the server responds or the time is over."""
    name, port = host.split(":")
    started = time.perf_counter()
    received = b""
    with socket.create_connection((name, int(port)), timeout=0.5) as connection:
        connection.sendall(start)
        while time.perf_counter() - started < seconds:
            try:
                if not (part := connection.recv(65_536)):
                    break
                received += part
            except TimeoutError:
                connection.sendall(drop)
            except ConnectionError:
                break
    return Reply(received, time.perf_counter() - started)


@pytest.mark.slow
def test_half_closed_connections(victim: Any, lesion_image: Callable[..., bytes]) -> None:
    image = lesion_image(3)
    whole = BadUpload("", (("Content-Type", "image/jpeg"),), image).request(host_of(victim))
    assert half_closed(host_of(victim), whole).status in (0, 201)  # who has hung up gets no answer
    for length in (1, 40, len(whole) - len(image), len(whole) - 100):
        assert half_closed(host_of(victim), whole[:length]).status in (0, 400)
    assert victim.predict(image).status_code == 201


def half_closed(host: str, data: bytes) -> Reply:
    name, port = host.split(":")
    with socket.create_connection((name, int(port)), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return Reply(received, 0.0)


@pytest.mark.slow
def test_nothing_of_a_patient_is_logged_or_recorded(start_server: Callable[..., Any]) -> None:
    server = start_server("--no-file-names")
    done = server.predict(plain(), name=f"{SECRET}.dcm")
    assert done.status_code == 201
    for upload in bad_uploads():
        if upload.name.startswith("dicom") and len(upload.body) < 100_000:
            exchange(host_of(server), upload.request(host_of(server)))
    server.predict(plain(SOPClassUID="1.2.3"), name=f"{SECRET}.dcm")
    exchange(
        host_of(server), f"GET /v1/{SECRET}?q={SECRET} HTTP/1.1\r\nHost: {host_of(server)}\r\nConnection: close\r\n\r\n".encode()
    )
    assert SECRET not in done.text
    server.stop()
    written = [server.log.read_bytes(), *(path.read_bytes() for path in server.record.parent.iterdir() if path.is_file())]
    assert DERMOSCOPY.encode() not in b"".join(written)
    assert SECRET.encode() not in b"".join(written)
