"""Many images in one request."""

import json
import time

import pytest

from lesionlens.serving.access import create_token
from lesionlens.serving.schemas import Batch


@pytest.fixture(scope="module")
def server(either_server):
    """With either record."""
    return either_server


def send(server, *files, **options):
    return server.client.post("/v1/batches", files=[("file", file) for file in files], **options)


def finished(server, address, **options):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        batch = Batch.model_validate_json(server.client.get(address, **options).content)
        if batch.finished:
            return batch
        time.sleep(0.05)
    raise AssertionError(f"the batch did not end: {batch}")


def events(server, address):
    """Kind and data of each event, until the server closes the stream."""
    found = []
    with server.client.stream("GET", f"{address}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((kind, json.loads(line.removeprefix("data: "))))
    return found


def test_every_image_gets_its_prediction_or_its_reason(server, lesion_image):
    images = [(f"lesion-{number}.jpg", lesion_image(300 + number)) for number in range(5)]
    made = send(server, *images, ("broken.jpg", b"no image"))
    assert made.status_code == 202
    address = made.url.join(made.headers["location"]).path
    batch = finished(server, address)
    assert (batch.done, batch.refused, batch.waiting) == (5, 1, 0)
    assert [item.file_name for item in batch.items] == [*(name for name, _ in images), "broken.jpg"]
    assert batch.items[5].problem.code == "image_unreadable"
    for item, (name, _) in zip(batch.items, images, strict=False):
        prediction = server.client.get(f"/v1/predictions/{item.prediction}").json()
        assert (prediction["file_name"], prediction["request_id"]) == (name, made.headers["x-request-id"])
        assert server.client.get(f"/v1/predictions/{item.prediction}/image.png").status_code == 200


def test_progress_can_be_listened_to(server, lesion_image):
    made = send(server, *((f"{number}.jpg", lesion_image(310 + number)) for number in range(4)))
    found = events(server, made.url.join(made.headers["location"]).path)
    assert [kind for kind, _ in found] == ["item"] * 4 + ["end"]
    assert {data["number"] for kind, data in found if kind == "item"} == {0, 1, 2, 3}
    assert all(data["prediction"] for kind, data in found if kind == "item")
    assert found[-1][1] == {"finished": True}


def test_the_memory_of_a_batch_is_given_back(server, lesion_image):
    made = send(server, ("a.jpg", lesion_image(320)), ("b.jpg", b"no image"))
    finished(server, made.url.join(made.headers["location"]).path)
    until = time.monotonic() + 10
    while "lesionlens_upload_bytes 0.0" not in server.client.get("/metrics").text:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("count", [0, 101])
def test_forms_that_are_none(server, count):
    files = [("file", (f"{number}.jpg", b"x")) for number in range(count)] or [("other", ("a.jpg", b"x"))]
    refused = server.client.post("/v1/batches", files=files)
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed_upload")
    empty = send(server, ("a.jpg", b"x"), ("b.jpg", b""))
    assert "file number 2 is empty" in empty.json()["detail"]
    assert server.client.post("/v1/batches", content=b"x").status_code == 415


def test_a_batch_that_is_not_there(server):
    for path in ("/v1/batches/none", "/v1/batches/none/events"):
        assert server.client.get(path).json()["code"] == "batch_not_found"


@pytest.mark.slow
def test_a_batch_belongs_to_its_token_and_obeys_the_rate(start_server, lesion_image, tmp_path):
    tokens = {name: create_token(tmp_path / "tokens.json", name, role) for name, role in (("ann", "predict"), ("eve", "predict"))}
    options = ("--rate", "60", "--queue", "0", "--max-active", "1", "--max-upload-mb", "0.1")
    server = start_server("--tokens", str(tmp_path / "tokens.json"), *options)
    headers = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
    images = [(f"{number}.jpg", lesion_image(330 + number)) for number in range(12)]
    made = send(server, *images, ("large.jpg", bytes(200_000)), headers=headers["ann"])
    address = made.url.join(made.headers["location"]).path
    assert server.client.get(address, headers=headers["eve"]).json()["code"] == "batch_not_found"
    batch = finished(server, address, headers=headers["ann"])
    assert (batch.done, batch.refused) == (12, 1)  # what is busy or beyond the rate was waited for
    assert batch.items[12].problem.code == "upload_too_large"
