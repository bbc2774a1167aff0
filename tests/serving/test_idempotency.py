"""A request that is sent again after a lost response makes no second prediction."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from lesionlens.serving.idempotency import KeysInUse, key_hash
from lesionlens.serving.problems import Problem
from lesionlens.serving.record import open_record
from lesionlens.serving.retention import retain


@pytest.fixture(scope="module")
def server(either_server):
    """With either record."""
    return either_server


def send(server, image, key, **options):
    return server.predict(image, headers={"Idempotency-Key": key}, **options)


def logged(server, sha256):
    return len(server.client.get("/v1/predictions", params={"q": sha256}).json()["items"])


def test_the_same_key_gives_the_same_prediction(server, lesion_image):
    image = lesion_image(201)
    first = send(server, image, "9f0c-1")
    again = send(server, image, '"9f0c-1"')  # as a structured-field string
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert again.headers["location"] == first.headers["location"]
    assert logged(server, first.json()["input_sha256"]) == 1


def test_other_keys_and_none_make_predictions_of_their_own(server, lesion_image):
    image = lesion_image(202)
    made = [send(server, image, "a1"), send(server, image, "a2"), server.predict(image), server.predict(image)]
    assert len({response.json()["id"] for response in made}) == 4


def test_a_key_belongs_to_one_image_and_frame(server, lesion_image):
    assert send(server, lesion_image(203), "b1").status_code == 201
    refused = send(server, lesion_image(204), "b1")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert send(server, lesion_image(203), "b1", params={"frame": 1}).json()["code"] == "idempotency_key_reused"


def test_a_refused_image_leaves_its_key_free(server, lesion_image):
    assert send(server, b"no image", "c1").status_code == 422
    assert send(server, lesion_image(205), "c1").status_code == 201


@pytest.mark.parametrize("key", ["x" * 300, "a b", 'a"b'])
def test_what_is_no_key(server, lesion_image, key):
    refused = send(server, lesion_image(206), key)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_parameter")


def test_many_at_once_with_one_key_make_one_prediction(server, lesion_image):
    image = lesion_image(207)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: send(server, image, "d1"), range(8)))
    assert {response.status_code for response in found} <= {201, 409}
    assert len({response.json()["id"] for response in found if response.status_code == 201}) == 1
    assert all(response.headers["retry-after"] == "1" for response in found if response.status_code == 409)
    assert logged(server, next(each for each in found if each.status_code == 201).json()["input_sha256"]) == 1


@pytest.mark.slow
def test_a_key_outlives_the_server_and_goes_with_its_prediction(start_server, new_record, lesion_image):
    server, image = start_server(record=new_record()), lesion_image(208)
    first = send(server, image, "e1").json()
    server.stop()
    server = start_server(record=server.record)
    assert send(server, image, "e1").json() == first
    with closing(open_record(server.record, read_only=True)) as connection:
        assert connection.execute("SELECT hash FROM keys").fetchall() == [(key_hash("e1", "local"),)]
    assert retain(server.record, 1, datetime.now(UTC) + timedelta(days=2)).predictions == 1
    assert send(server, image, "e1").json()["id"] != first["id"]


def test_keys_of_two_tokens_are_two_keys():
    assert key_hash("k", "ann") != key_hash("k", "bob")
    assert key_hash("", "ann") == ""


def test_a_key_is_free_again_after_a_failure():
    keys = KeysInUse()
    with pytest.raises(KeyError), keys.used("h"):
        with pytest.raises(Problem) as found, keys.used("h"):
            pass
        assert found.value.code == "idempotency_key_in_use"
        raise KeyError
    with keys.used("h"), keys.used(""), keys.used(""):
        pass
