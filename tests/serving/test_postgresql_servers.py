"""Servers on one database of PostgreSQL: one of them killed, and PostgreSQL itself gone for a while, under load."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import httpx
import pytest
from benchmarks.postgresql_cluster import Cluster
from tests.serving.test_exchange import wait_until
from tests.serving.test_prediction_log import entry
from typer.testing import CliRunner

from lesionlens.cli.main import app
from lesionlens.core.errors import StorageError
from lesionlens.serving.database_url import read_database_url, read_record
from lesionlens.serving.history import Filter, History
from lesionlens.serving.prediction_log import PredictionLog, insert_prediction, probe, reach
from lesionlens.serving.problems import Problem
from lesionlens.serving.record import open_record

pytestmark = pytest.mark.slow
IMAGE = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def cluster(postgresql):
    """A cluster that waits for the disk, and that a test may stop."""
    cluster = Cluster()
    yield cluster
    cluster.remove()


class Load:
    """What clients were told: ids of predictions, and other responses."""

    def __init__(self):
        self.acknowledged, self.refused, self.broken = [], [], 0
        self.stopping = threading.Event()

    def send(self, url, images):
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            for turn in range(100_000):
                if self.stopping.is_set():
                    return
                try:
                    done = client.post("/v1/predictions", content=images[turn % len(images)], headers=IMAGE)
                except httpx.HTTPError:
                    self.broken += 1
                    return
                if done.status_code == 201:
                    self.acknowledged.append(done.json()["id"])
                else:
                    self.refused.append(done)
                    time.sleep(0.05)


@contextmanager
def load_on(servers, images, clients=3):
    load = Load()
    threads = [threading.Thread(target=load.send, args=(server.url, images)) for server in servers for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join()


def ids_of(record):
    with closing(open_record(record, read_only=True)) as connection:
        rows = connection.execute("SELECT a.id FROM answers a JOIN payloads p ON p.id = a.id").fetchall()
    return {row[0] for row in rows}


@pytest.fixture
def images(lesion_image):
    return [lesion_image(seed) for seed in range(4)]


def test_nothing_acknowledged_is_lost_when_one_of_two_servers_is_killed(start_server, cluster, images):
    record = read_record(cluster.database())
    first, second = start_server(record=record), start_server(record=record)
    with load_on((first, second), images) as load:
        wait_until(lambda: len(load.acknowledged) >= 60, 120)
        first.process.send_signal(signal.SIGKILL)
        until = len(load.acknowledged) + 40
        wait_until(lambda: len(load.acknowledged) >= until, 120)  # the other goes on
    assert load.broken == 3  # the clients of the one that was killed
    assert not load.refused
    assert len(load.acknowledged) == len(set(load.acknowledged))
    assert set(load.acknowledged) <= ids_of(record)
    again = start_server(record=record)
    for id_ in (load.acknowledged[0], load.acknowledged[-1]):
        assert again.client.get(f"/v1/predictions/{id_}").status_code == 200
    assert (again.stop(), second.stop()) == (0, 0)


def test_postgresql_gone_under_load(start_server, cluster, images):
    url = cluster.database()
    record = read_record(url)
    server = start_server(record=record)
    with load_on((server,), images, clients=6) as load:
        wait_until(lambda: len(load.acknowledged) >= 30, 120)
        assert server.client.get("/readyz").status_code == 200
        for _ in range(2):
            cluster.stop()
            seen = len(load.refused)
            wait_until(lambda seen=seen: len(load.refused) >= seen + 10, 120)
            ready = server.client.get("/readyz")
            assert (ready.status_code, ready.json()["reason"]) == (503, "the prediction log cannot be reached")
            gone = server.client.get("/v1/predictions")
            assert (gone.status_code, gone.json()["code"], gone.headers["retry-after"]) == (503, "record_unavailable", "5")
            before = len(load.acknowledged)
            time.sleep(1)
            assert len(load.acknowledged) == before
            cluster.start()
            wait_until(lambda before=before: len(load.acknowledged) >= before + 30, 120)
            assert server.client.get("/readyz").status_code == 200
    told = {(done.status_code, done.json()["code"], done.headers["retry-after"]) for done in load.refused}
    assert told == {(503, "record_unavailable", "5")}
    assert "probabilities" not in "".join(done.text for done in load.refused)
    assert load.broken == 0
    assert set(load.acknowledged) <= ids_of(record)
    assert server.process.poll() is None
    assert "Traceback" not in server.log.read_text()
    assert server.stop() == 0


def test_one_key_at_two_servers_makes_one_prediction(start_server, cluster, images):
    record = read_record(cluster.database())
    servers = [start_server(record=record) for _ in range(2)]
    for turn in range(5):
        headers = {**IMAGE, "Idempotency-Key": f"k{turn}"}

        def post(server, headers=headers):
            return httpx.post(f"{server.url}/v1/predictions", content=images[0], headers=headers, timeout=60, trust_env=False)

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(post, servers))
        assert {done.status_code for done in found} <= {201, 409}
        assert {done.json().get("code") for done in found if done.status_code == 409} <= {"idempotency_key_in_use"}
        asked_again = {post(server).json()["id"] for server in servers}
        assert len(asked_again | {done.json()["id"] for done in found if done.status_code == 201}) == 1
    assert len(ids_of(record)) == 5
    assert [server.stop() for server in servers] == [0, 0]


def test_a_password_is_in_no_log(start_server, cluster):
    url = cluster.database().replace("postgres@/", "postgres:pa55wort@/")
    server = start_server(record=read_record(url))
    cluster.stop()
    try:
        assert server.client.get("/readyz").status_code == 503
        assert server.client.get("/v1/predictions").json()["code"] == "record_unavailable"
        assert server.stop() == 0
        with pytest.raises(AssertionError, match="see that PostgreSQL runs") as found:
            start_server(record=read_record(url))
    finally:
        cluster.start()
    assert "pa55wort" not in server.log.read_text() + str(found.value)


def test_a_log_whose_cluster_was_gone_goes_on(cluster):
    url = read_database_url(cluster.database())
    with closing(PredictionLog(url)) as log, closing(History(url)) as history:
        log.submit(reach).result()
        with history.reading(), history.reading():  # two connections that will be idle
            pass
        cluster.stop()
        try:
            for operation in (reach, probe, lambda connection: insert_prediction(connection, entry())):
                with pytest.raises(Problem) as found:
                    log.submit(operation).result()
                assert found.value.code == "record_unavailable"
                assert log.failure == "OperationalError"
            with pytest.raises(Problem) as found:
                history.page(Filter(), 10)
            assert (found.value.code, found.value.status, found.value.headers["Retry-After"]) == ("record_unavailable", 503, "5")
            done = CliRunner().invoke(app, ["record", "export", "--record", url.full])
            assert isinstance(done.exception, StorageError)
            assert "see that PostgreSQL runs" in str(done.exception)
        finally:
            cluster.start()
        log.submit(lambda connection: insert_prediction(connection, entry())).result()
        assert len(history.page(Filter(), 10)) == 1


def test_connections_that_were_idle_during_a_restart(start_server, cluster, images):
    """A restart at night costs nobody a refused request in the morning."""
    server = start_server(record=read_record(cluster.database()))
    assert server.predict(images[0]).status_code == 201
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: server.client.get("/v1/predictions"), range(20)))
    cluster.stop("fast")
    cluster.start()
    assert [server.client.get("/v1/predictions").status_code for _ in range(8)] == [200] * 8
    assert server.predict(images[1]).status_code == 201
    assert server.stop() == 0
