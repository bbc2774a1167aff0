"""A second bundle that sees every image: stored and compared, never the response."""

import shutil
import sqlite3
import time
from contextlib import closing

import pytest

from lesionlens.serving.record import open_record
from lesionlens.serving.shadow import comparison
from lesionlens.serving.shadow_routes import ShadowComparison

pytestmark = pytest.mark.slow


def wait_for(server, count):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = ShadowComparison.model_validate_json(server.client.get("/v1/shadow").content)
        if found.compared >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(f"the shadow saw {found.compared} of {count} images")


@pytest.fixture(scope="module")
def shadowed(start_server, new_record, small_bundle, metadata_bundle):
    return start_server("--shadow", str(metadata_bundle), bundle=small_bundle, record=new_record())


def test_the_response_is_the_champions_and_both_are_compared(shadowed, server, lesion_image):
    made = [shadowed.predict(lesion_image(seed)).json() for seed in range(5)]
    alone = [server.predict(lesion_image(seed)).json() for seed in range(5)]
    assert [each["probabilities"] for each in made] == [each["probabilities"] for each in alone]
    found = wait_for(shadowed, 5)
    assert found.champion.id == made[0]["bundle"]["id"] != found.shadow.id
    assert sum(pair.count for pair in found.outcomes) == found.compared == 5
    for each in made:
        assert shadowed.client.get(f"/v1/predictions/{each['id']}").json()["bundle"]["id"] == found.champion.id
    assert "lesionlens_shadow_predictions_total 5.0" in shadowed.client.get("/metrics").text


def test_what_the_shadow_said_goes_with_its_prediction(shadowed, lesion_image):
    id_ = shadowed.predict(lesion_image(9)).json()["id"]
    wait_for(shadowed, 1)
    with closing(open_record(shadowed.record)) as connection:
        until = time.monotonic() + 30
        query = "SELECT count(*) FROM shadow_predictions WHERE prediction = ?"
        while not connection.execute(query, (id_,)).fetchone()[0]:
            assert time.monotonic() < until
            time.sleep(0.1)
        connection.execute("DELETE FROM answers WHERE id = ?", (id_,))
        assert connection.execute(query, (id_,)).fetchone()[0] == 0


def test_a_server_without_a_shadow_says_so(server):
    assert server.client.get("/v1/shadow").json()["detail"].startswith("this server has no shadow")


def test_counts_by_hand():
    def body(outcome, diagnosis, share):
        return f'{{"outcome": "{outcome}", "diagnosis": {diagnosis}, "malignant_share": {share}}}'

    pairs = {
        "1": (body("diagnosis", '"nv"', 0.25), body("diagnosis", '"nv"', 0.5)),
        "2": (body("diagnosis", '"nv"', 0.25), body("diagnosis", '"mel"', 0.75)),
        "3": (body("not_sure", "null", 0.5), body("diagnosis", '"mel"', 0.25)),
        "4": (body("not_usable", "null", "null"), body("not_sure", "null", 0.5)),
    }
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("""CREATE TABLE answers (id, bundle_id); CREATE TABLE payloads (id, answer);
            CREATE TABLE shadow_predictions (prediction, bundle_id, body)""")
        for id_, (one, other) in pairs.items():
            connection.execute("INSERT INTO answers VALUES (?, 'c')", (id_,))
            connection.execute("INSERT INTO payloads VALUES (?, ?)", (id_, one))
            connection.execute("INSERT INTO shadow_predictions VALUES (?, 's', ?)", (id_, other))
        connection.execute("INSERT INTO shadow_predictions VALUES ('1', 'another', '{}')")
        found = comparison(connection, "c", "s")
    assert (found["compared"], found["same_outcome"], found["both_diagnosed"], found["same_diagnosis"]) == (4, 2, 2, 1)
    assert found["malignant_share_difference"] == {"mean": 0.166667, "mean_absolute": 0.333333}
    assert [each["prediction"] for each in found["disagreements"]] == ["4", "3", "2"]


def test_a_damaged_shadow_is_refused_at_start(start_server, small_bundle, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(small_bundle, damaged)
    (damaged / "model.onnx").write_bytes(b"")
    with pytest.raises(AssertionError, match="did not start"):
        start_server("--shadow", str(damaged))
