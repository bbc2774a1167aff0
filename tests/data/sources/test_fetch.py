"""Fetching from a server on this machine that breaks off, refuses, ignores Range and sends wrong bytes."""

import errno
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lesionlens.core.errors import DownloadError, StorageError
from lesionlens.data.sources import fetch as fetch_module
from lesionlens.data.sources.fetch import MissingFileError, Patience, fetch

CONTENT = bytes(range(256)) * 300
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
QUICK = Patience(attempts=3, wait_s=0.0, timeout_s=5.0)


class Server:
    """Answers each request with the next of `script`, then well; remembers what it was asked."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content, self.script, self.ranges, self.agents = content, [], [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.ranges.append(self.headers.get("Range"))
                outer.agents.append(self.headers.get("User-Agent"))
                answer = outer.script.pop(0) if outer.script else {}
                outer.answer(self, **answer)

            def log_message(self, *arguments) -> None:
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def answer(self, handler, status=0, headers=(), break_at=None, body=None, ignore_range=False, wrong_range=False) -> None:
        content = self.content if body is None else body
        asked = handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and not ignore_range else 0
        if status:
            handler.send_response(status)
        elif start and start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            content, status = b"", 416
        elif start:
            first = start + 1 if wrong_range else start
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            handler.send_response(200)
        for name, value in headers:
            handler.send_header(name, value)
        sent = b"" if status else content[start:]
        handler.send_header("Content-Length", str(len(sent)))
        handler.end_headers()
        handler.wfile.write(sent if break_at is None else sent[: max(0, break_at - start)])

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    yield running
    running.close()


def test_a_whole_file_with_our_name_and_progress(server, tmp_path):
    seen = []
    fetch(server.url, tmp_path / "deep" / "file.zip", MD5, len(CONTENT), lambda *state: seen.append(state), QUICK)
    assert (tmp_path / "deep" / "file.zip").read_bytes() == CONTENT
    assert seen[-1] == ("file.zip", len(CONTENT), len(CONTENT))
    assert server.agents[0].startswith("lesionlens/")
    assert not list(tmp_path.rglob("*.part"))


def test_a_complete_file_is_not_asked_for_again(server, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "file", MD5, len(CONTENT))
    assert server.ranges == []


def test_a_wrong_file_in_place_is_replaced(server, tmp_path):
    (tmp_path / "file").write_bytes(b"cut short")
    fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_breaking_off_is_resumed_where_it_stopped(server, tmp_path):
    server.script = [{"break_at": 1000}, {"break_at": 5000}]
    fetch(server.url, tmp_path / "file", MD5, len(CONTENT), patience=QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", "bytes=5000-"]


@given(cuts=st.lists(st.integers(0, len(CONTENT)), max_size=6), ignore=st.lists(st.booleans(), min_size=6, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_break_gives_the_same_file(server, tmp_path_factory, cuts, ignore):
    path = tmp_path_factory.mktemp("cuts") / "file"
    server.script = [{"break_at": cut, "ignore_range": skip} for cut, skip in zip(cuts, ignore, strict=False)]
    fetch(server.url, path, MD5, len(CONTENT), patience=Patience(attempts=10, wait_s=0.0))
    assert path.read_bytes() == CONTENT
    server.script = []


def test_a_part_of_an_earlier_call_is_continued(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:777])
    fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == ["bytes=777-"]


def test_a_whole_part_is_taken_without_more_bytes(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_started_afresh(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_ignores_range_sends_it_all_again(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * 777)
    server.script = [{"ignore_range": True}]
    fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_another_range_than_asked_for_is_an_error(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:777])
    server.script = [{"wrong_range": True}]
    with pytest.raises(DownloadError, match="another range than asked for"):
        fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:777]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(server, tmp_path, status):
    server.script = [{"status": status, "headers": [("Retry-After", "0")]}, {"status": status}]
    fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert len(server.ranges) == 3


def test_waiting_grows_and_obeys_retry_after(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(fetch_module.time, "sleep", waits.append)
    later = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.script = [
        {"status": 503},
        {"status": 503, "headers": [("Retry-After", "7")]},
        {"status": 503},
        {"status": 503, "headers": [("Retry-After", "9999")]},
        {"status": 503, "headers": [("Retry-After", later)]},
    ]
    fetch(server.url, tmp_path / "file", MD5, patience=Patience(attempts=6, wait_s=1, longest_wait_s=30))
    assert waits == [1, 7, 4, 30, 0]


def test_a_server_that_stays_down_is_an_error_that_keeps_the_part(server, tmp_path):
    server.script = [{"break_at": 1000}] + [{"status": 503}] * 9
    with pytest.raises(DownloadError, match=r"3 times without a new byte \(HTTP 503\); 1000 bytes are kept.*resume"):
        fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:1000]
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(("status", "remedy"), [(403, "browser"), (404, "new address"), (401, "login"), (410, "new address")])
def test_a_refusal_is_not_tried_again_and_says_what_to_do(server, tmp_path, status, remedy):
    server.script = [{"status": status}]
    with pytest.raises(MissingFileError, match=f"HTTP {status}; .*{remedy}"):
        fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert len(server.ranges) == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_bytes_are_deleted_and_tried_once_more(server, tmp_path):
    server.script = [{"body": CONTENT[::-1]}]
    fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_wrong_bytes_twice_are_an_error_and_leave_nothing(server, tmp_path):
    server.script = [{"body": CONTENT[::-1]}] * 2
    with pytest.raises(DownloadError, match="wrong bytes twice .*MD5"):
        fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_an_error(server, tmp_path):
    with pytest.raises(DownloadError, match=f"{len(CONTENT)} bytes, not 5"):
        fetch(server.url, tmp_path / "file", size_bytes=5, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(server, tmp_path):
    server.close()
    with pytest.raises(DownloadError, match="broke off 3 times"):
        fetch(server.url, tmp_path / "file", patience=QUICK)
    server.close = lambda: None


def test_a_full_disk_is_a_storage_error_that_is_not_tried_again(server, tmp_path, monkeypatch):
    def full(*arguments) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch_module, "_append", full)
    with pytest.raises(StorageError, match="no space left"):
        fetch(server.url, tmp_path / "file", MD5, patience=QUICK)
    assert len(server.ranges) == 1


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="a file is in its way"):
        fetch(server.url, Path(tmp_path / "taken" / "file"), patience=QUICK)
