"""Servers that are killed, stopped, overloaded, starved of disk, or asked by slow and strange clients."""

import json
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from lesionlens.serving.access import create_token, revoke_token
from lesionlens.serving.boundary import REQUESTS
from lesionlens.serving.guard import HEAD_BYTES
from lesionlens.serving.image_key import create_key

pytestmark = pytest.mark.slow  # servers in processes of their own; test_app.py is the quick one


def count(record, table="answers"):
    with closing(sqlite3.connect(record)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def ids_of(record):
    with closing(sqlite3.connect(record)) as connection:
        return {row[0] for row in connection.execute("SELECT a.id FROM answers a JOIN payloads p ON p.id = a.id")}


def raw(server, *pieces, pause=0.0, timeout=20.0):
    """Everything that a server says to some bytes."""
    host, port = re.match(r"http://(.+):(\d+)", server.url).groups()
    with socket.create_connection((host.strip("[]"), int(port)), timeout) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
        except OSError:
            pass
        said = b""
        try:
            while block := connection.recv(65536):
                said += block
        except OSError:
            pass
    return said


def test_nothing_acknowledged_is_lost_by_kill_9(start_server, lesion_image):
    server = start_server()
    acknowledged, images = [], [lesion_image(seed) for seed in range(4)]

    def send(number):
        with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
            for turn in range(1000):
                try:
                    done = client.post(
                        "/v1/predictions", content=images[(number + turn) % 4], headers={"Content-Type": "image/jpeg"}
                    )
                except httpx.HTTPError:
                    return
                if done.status_code == 201:
                    acknowledged.append(done.json()["id"])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 40:
        time.sleep(0.01)
    server.process.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert len(acknowledged) >= 40
    again = start_server(record=server.record)
    assert set(acknowledged) <= ids_of(server.record)
    for id_ in acknowledged[-3:]:
        assert again.client.get(f"/v1/predictions/{id_}").status_code == 200
    again.stop()
    family = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in family.splitlines() if line.split()[0] == str(server.process.pid)]


def test_a_full_disk_gives_no_answer_that_is_not_recorded(start_server, lesion_image):
    limit = 400_000  # bytes that a file of this process may have: SQLite finds the disk full, really
    server = start_server(preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)))
    image, acknowledged = lesion_image(1), []
    for _ in range(400):
        done = server.predict(image)
        if done.status_code != 201:
            break
        acknowledged.append(done.json()["id"])
    assert (done.status_code, done.json()["code"]) == (507, "record_unwritable")
    assert "probabilities" not in done.text
    assert acknowledged
    assert ids_of(server.record) == set(acknowledged)
    ready = server.client.get("/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "the prediction log cannot be written")
    assert "lesionlens_record_writable 0" in server.client.get("/metrics").text
    assert server.client.get(f"/v1/predictions/{acknowledged[0]}").status_code == 200
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert server.client.get("/readyz").status_code == 200
    assert server.predict(image).status_code == 201
    server.stop()


def test_a_stopping_server_finishes_what_it_has_begun(start_server, lesion_image):
    server = start_server("--drain-seconds", "1.5", "--max-active", "2")
    images = [lesion_image(seed, size=(1400, 1000)) for seed in range(3)]
    with ThreadPoolExecutor(12) as pool:
        running = [pool.submit(server.predict, images[number % 3]) for number in range(12)]
        while "lesionlens_predictions_active 0" in server.client.get("/metrics").text:
            time.sleep(0.005)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        ready = server.client.get("/readyz")
        late = server.predict(images[0])
        answers = [task.result() for task in running]
    assert (ready.status_code, ready.json()["reason"]) == (503, "stopping")
    assert (late.status_code, late.json()["code"]) == (503, "stopping")
    assert int(late.headers["retry-after"]) > 0
    assert {answer.status_code for answer in answers} <= {201, 503}
    finished = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(finished) >= 2
    assert server.process.wait(20) == 0
    assert finished == ids_of(server.record)
    assert not server.record.with_name(server.record.name + "-wal").exists()  # it closed its record


def test_more_than_it_can_hold_is_refused_with_a_time_to_come_again(start_server, lesion_image):
    server = start_server("--max-active", "1", "--queue", "1")
    image = lesion_image(1, size=(1600, 1200))
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: server.predict(image), range(20)))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {201, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert (answer.json()["code"], answer.headers["retry-after"]) == ("busy", "1")
    assert server.predict(image).status_code == 201
    server.stop()


@pytest.fixture(scope="module")
def guarded(start_server, tmp_path_factory):
    """A server that asks for tokens, and its tokens."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.json"
    roles = {"reviewer": "review", "machine": "predict", "other": "predict", "greedy": "predict", "lost": "review"}
    tokens = {name: create_token(path, name, role) for name, role in roles.items()}
    tokens["old"] = create_token(path, "old", "review", "1m", now=datetime(2020, 1, 1, tzinfo=UTC))
    server = start_server("--tokens", str(path), "--rate", "60")
    return server, tokens, path


def asked(guarded, name, method="GET", path="/v1/predictions", **options):
    server, tokens, _ = guarded
    headers = {"Authorization": f"Bearer {tokens.get(name, name)}"} if name else {}
    return server.client.request(method, path, headers=headers, **options)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/predictions"),
        ("GET", "/v1/predictions"),
        ("GET", "/v1/predictions?format=csv"),
        ("GET", "/v1/predictions/01M82VDBJZ10K4N0HN98RYPJT5"),
        ("GET", "/v1/predictions/01M82VDBJZ10K4N0HN98RYPJT5/maps/mel.png"),
        ("POST", "/v1/predictions/01M82VDBJZ10K4N0HN98RYPJT5/review"),
        ("GET", "/v1/model"),
        ("GET", "/metrics"),
    ],
)
def test_nothing_is_told_without_a_token(guarded, method, path):
    for name, code in (("", "token_missing"), ("ll_wrong", "token_invalid"), ("old", "token_expired")):
        done = asked(guarded, name, method, path)
        assert (done.status_code, done.json()["code"]) == (401, code)
        assert done.headers["www-authenticate"].startswith("Bearer")


def test_a_token_is_revoked_while_the_server_runs(guarded):
    assert asked(guarded, "lost", path="/v1/model").status_code == 200
    revoke_token(guarded[2], "lost")
    done = asked(guarded, "lost", path="/v1/model")
    assert (done.status_code, done.json()["code"]) == (401, "token_revoked")


def test_what_is_open_to_all(guarded):
    for path in ("/", "/healthz", "/readyz", "/openapi.json"):
        assert asked(guarded, "", path=path).status_code == 200


def test_a_token_is_asked_for_before_anything_else_is_said(guarded):
    for path in ("/v1/predictions?limit=x", "/v1/predictions/none", "/v1/predictions/none/maps/x.png?style=none"):
        assert asked(guarded, "", path=path).json()["code"] == "token_missing"


def test_roles(guarded, lesion_image):
    files = {"file": ("a.jpg", lesion_image(1))}
    made = asked(guarded, "machine", "POST", files=files)
    assert made.status_code == 201
    address = made.url.join(made.headers["location"]).path
    assert asked(guarded, "machine", path=address).status_code == 200
    assert asked(guarded, "other", path=address).json()["code"] == "prediction_not_found"
    assert asked(guarded, "other").json()["items"] == []
    assert asked(guarded, "reviewer", path=address).status_code == 200
    refused = asked(guarded, "machine", "POST", f"{address}/review", json={"conclusion": "other"})
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")
    done = asked(guarded, "reviewer", "POST", f"{address}/review", json={"conclusion": "other"})
    assert (done.status_code, done.json()["reviewer"]) == (201, "reviewer")
    assert asked(guarded, "machine", path="/v1/model").json()["access"] == {
        "tokens_required": True,
        "role": "predict",
        "name": "machine",
    }


def test_a_token_has_a_rate(guarded, lesion_image):
    files = {"file": ("a.jpg", lesion_image(1))}
    answers = [asked(guarded, "greedy", "POST", files=files) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert answers[0].status_code == 201
    assert refused
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert int(answer.headers["retry-after"]) >= 1
    assert asked(guarded, "reviewer", "POST", files=files).status_code == 201


def test_secrets_and_refusals_in_log_and_record(guarded):
    server, tokens, _ = guarded
    asked(guarded, "ll_a-guess")
    content = server.log.read_bytes() + b"".join(file.read_bytes() for file in server.record.parent.iterdir() if file.is_file())
    for secret in (*tokens.values(), "ll_a-guess"):
        assert secret.encode() not in content
    with closing(sqlite3.connect(server.record)) as connection:
        codes = {row[0] for row in connection.execute("SELECT code FROM refusals")}
    assert {"token_missing", "token_invalid", "token_revoked"} <= codes


def test_a_page_of_another_site_cannot_use_a_clinicians_server(server, lesion_image):
    files = {"file": ("a.jpg", lesion_image(1))}
    before = count(server.record)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert server.client.post("/v1/predictions", files=files, headers=headers).status_code == 403
        assert server.client.get("/v1/predictions", headers=headers).status_code == 403
    assert count(server.record) == before
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert server.client.post("/v1/predictions", files=files, headers=own).status_code == 201


def test_ipv6_kept_images_and_no_names(start_server, lesion_image):
    server = start_server("--keep-images", "--no-file-names", "--image-minutes", "0", host="::1")
    assert server.url.startswith("http://[::1]:")
    image = lesion_image(1)
    answer = server.predict(image, name="Hans_Meier.jpg").json()
    assert (answer["file_name"], answer["maps"]["expires"]) == (None, None)
    (kept,) = server.record.with_name(server.record.name + ".images").iterdir()
    assert (kept.name, kept.read_bytes(), oct(kept.stat().st_mode)[-3:]) == (answer["input_sha256"], image, "600")
    overlay = f"/v1/predictions/{answer['id']}/maps/{answer['maps']['codes'][0]}.png?style=overlay"
    assert server.client.get(overlay).status_code == 200
    kept.unlink()
    assert server.client.get(overlay).json()["code"] == "image_gone"
    server.stop()
    content = b"".join(file.read_bytes() for file in server.record.parent.iterdir() if file.is_file())
    assert b"Meier" not in content


def test_kept_images_are_encrypted_with_a_key(start_server, lesion_image, tmp_path):
    pytest.importorskip("cryptography")
    create_key(tmp_path / "key")
    options = ("--keep-images", "--image-minutes", "0")
    server = start_server(*options, "--image-key", str(tmp_path / "key"))
    assert "encrypted: until `lesionlens record retain` deletes them; without the key file" in server.log.read_text()
    image = lesion_image(1)
    address = f"/v1/predictions/{server.predict(image).json()['id']}/image.png"
    assert server.client.get(address).status_code == 200
    server.stop()
    assert not [file for file in server.record.parent.rglob("*") if file.is_file() and image[200:400] in file.read_bytes()]
    other = start_server(*options, record=server.record)
    assert "not encrypted: until" in other.log.read_text()
    refusal = other.client.get(address).json()
    assert (refusal["code"], refusal["detail"]) == (
        "image_gone",
        "a kept image is encrypted; start the server with its --image-key",
    )


def test_uploads_in_memory_go_by_the_clock(start_server, lesion_image):
    server = start_server("--image-minutes", "0.03")
    assert "images stay in memory for at most 0.03 minutes and are not kept: later reviews" in server.log.read_text()
    address = f"/v1/predictions/{server.predict(lesion_image(1)).json()['id']}/image.png"
    assert server.client.get(address).status_code == 200

    def held():  # reading the metrics drops nothing
        return float(re.search(r"^lesionlens_recent_image_bytes (\S+)", server.client.get("/metrics").text, re.M)[1])

    assert held() > 0
    until = time.monotonic() + 8
    while held() and time.monotonic() < until:
        time.sleep(0.2)
    assert held() == 0
    assert server.client.get(address).json()["code"] == "image_gone"


def test_images_are_not_kept_unless_asked_for(server, lesion_image):
    image = lesion_image(99)
    server.predict(image)
    files = [file for file in server.record.parent.rglob("*") if file.is_file()]
    assert not [file for file in files if image[200:400] in file.read_bytes()]


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (HEAD_BYTES + 1000),
        b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_heads_that_are_not_http(server, request_):
    head, _, body = raw(server, request_).partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert body == b"Invalid HTTP request received."
    assert server.client.get("/healthz").status_code == 200


def test_a_large_head_that_arrives_at_once_is_a_problem(server):
    for large in (b"GET / HTTP/1.1\r\nX: %s\r\n", b"GET /?%s HTTP/1.1\r\n"):
        said = raw(server, large % (b"a" * (HEAD_BYTES + 100)) + b"Host: localhost\r\nConnection: close\r\n\r\n")
        assert b" 431 " in said.split(b"\r\n")[0]
        assert json.loads(said.partition(b"\r\n\r\n")[2])["code"] == "headers_too_large"


def test_a_body_that_breaks_after_its_response_is_not_quoted_in_the_log(server):
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 200 " in raw(server, head, b"Erika_Mustermann\r\n", pause=0.3).split(b"\r\n")[0]
    log = server.log.read_text()
    assert "LocalProtocolError" in log
    assert "Mustermann" not in log
    assert "Traceback" not in log


def test_a_slow_body_is_not_waited_for(start_server):
    server = start_server("--upload-seconds", "1")
    head = b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n"
    started = time.monotonic()
    said = raw(server, head, b"abc")
    assert b" 408 " in said.split(b"\r\n")[0]
    assert b'"upload_too_slow"' in said
    assert time.monotonic() - started < 5
    assert server.predict(b"x").status_code == 422
    said = raw(
        server,
        b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nExpect: 100-continue\r\n"
        + b"Content-Length: 99999999999\r\n\r\n",
    )
    assert b" 413 " in said.split(b"\r\n")[0]
    server.stop()


def test_silent_connections_and_slow_heads_keep_nobody_out(start_server, lesion_image):
    """More of them than a process may usually have file descriptors; a proxy in front ends them."""
    server = start_server(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096)))
    host, port = re.match(r"http://(.+):(\d+)", server.url).groups()
    idle = [socket.create_connection((host, int(port)), 10) for _ in range(400)]
    try:
        for connection in idle[::2]:
            connection.sendall(b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\n")
        assert server.client.get("/readyz").status_code == 200
        assert server.predict(lesion_image(1)).status_code == 201
    finally:
        for connection in idle:
            connection.close()
    server.stop()


def test_more_requests_at_once_than_it_takes(start_server, lesion_image):
    server = start_server()
    host, port = re.match(r"http://(.+):(\d+)", server.url).groups()
    head = b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\n"
    waiting = [socket.create_connection((host, int(port)), 10) for _ in range(REQUESTS)]
    try:
        for connection in waiting:
            connection.sendall(head)
        time.sleep(1)
        done = server.client.get("/healthz")
        assert (done.status_code, done.json()["code"], done.headers["retry-after"]) == (503, "busy", "1")
    finally:
        for connection in waiting:
            connection.close()
    time.sleep(0.5)
    assert server.predict(lesion_image(4)).status_code == 201
    server.stop()


def test_pipelined_requests_are_answered_in_order(server):
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: %d\r\n%s\r\n"
    said = raw(server, request % (1, b"") + request % (2, b"") + request % (3, b"Connection: close\r\n"))
    assert re.findall(rb"x-request-id: (\d)", said) == [b"1", b"2", b"3"]


def test_a_decoder_that_dies_is_replaced(start_server, lesion_image):
    server = start_server("--decoders", "1")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    decoders = [child for child in children if b"decoder" in Path(f"/proc/{child}/cmdline").read_bytes()]
    assert len(decoders) == 1
    os.kill(int(decoders[0]), signal.SIGKILL)
    first = server.predict(lesion_image(1))
    assert first.status_code in (201, 422)
    assert server.predict(lesion_image(1)).status_code == 201
    server.stop()


def refused_start(bundle, *options):
    command = [sys.executable, "-m", "lesionlens", "serve", str(bundle), "--port", "0", *options]
    environment = {**os.environ, "XDG_STATE_HOME": "/nonexistent"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_it_does_not_start_for_others_without_tokens(small_bundle, host):
    done = refused_start(small_bundle, "--host", host)
    assert done.returncode == 2
    assert "lesionlens token create" in done.stderr
    assert done.stderr.count("\n") == 1


def test_tokens_that_all_ended_are_none(small_bundle, tmp_path):
    create_token(tmp_path / "t.json", "a", "predict")
    revoke_token(tmp_path / "t.json", "a")
    done = refused_start(small_bundle, "--host", "0.0.0.0", "--tokens", str(tmp_path / "t.json"))
    assert (done.returncode, "no usable access token" in done.stderr) == (2, True)


def test_what_cannot_be_started_is_one_line(small_bundle, tmp_path):
    (tmp_path / "text").write_text("no database, though long enough to be one" * 100)
    (tmp_path / "t.json").write_text("{}")
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cases = {
            ("--record", str(tmp_path / "text")): 3,
            ("--record", str(tmp_path / "r"), "--tokens", str(tmp_path / "t.json")): 3,
            ("--host", "no.such.host.invalid"): 2,
            ("--record", str(tmp_path / "r"), "--max-active", "0"): 2,
            ("--record", str(tmp_path / "r"), "--port", str(taken.getsockname()[1])): 2,
        }
        for options, status in cases.items():
            done = refused_start(small_bundle, *options)
            assert (done.returncode, done.stderr.count("\n")) == (status, 1), done.stderr
