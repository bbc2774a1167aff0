"""The queue of results: kept, claimed once, tried again, emptied of patients."""

import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from lesionlens.interop import deliveries as queue
from lesionlens.interop.deliveries import Deliveries, Delivery
from lesionlens.interop.senders import DeliveryError
from lesionlens.serving.prediction_log import PredictionLog

ANSWER = "INSERT INTO answers (id, created, request_id, who, bundle_id, input_sha256, outcome) VALUES (?, '', '', '', '', '', '')"


class Log:
    """A prediction log that can break."""

    def __init__(self, record):
        self.log = PredictionLog(record)
        self.broken = False
        self.add("a", "b")

    def submit(self, operation):
        if not self.broken:
            return self.log.submit(operation)
        future = Future()
        future.set_exception(RuntimeError("the disk is full"))
        return future

    def add(self, *ids):
        self.log.submit(lambda connection: connection.executemany(ANSWER, [(id_,) for id_ in ids])).result()

    def read(self, sql):
        return self.log.submit(lambda connection: connection.execute(sql).fetchall()).result()


class Target:
    """Takes deliveries, unless it is down."""

    def __init__(self):
        self.down = False
        self.taken = []
        self.attempts = 0

    def send(self, delivery: Delivery) -> None:
        self.attempts += 1
        if self.down:
            raise DeliveryError("the target is down")
        self.taken.append((delivery.prediction, delivery.kind, delivery.content))


@pytest.fixture
def log(record):
    log = Log(record)
    yield log
    log.log.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(queue, "wait_seconds", lambda attempts: 0.02)


@pytest.fixture
def started(log):
    running = []

    def start(*targets):
        each = Deliveries(log.submit, targets)
        each.start()
        running.append(each)
        return each

    yield start
    for each in running:
        each.close()


def rows(log, waiting=None):
    return log.submit(lambda connection: queue.read_deliveries(connection, waiting, 50, None)).result()


def put(log, prediction="a", **contents):
    log.submit(lambda connection: queue.insert(connection, prediction, contents)).result()


def wait_until(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
def test_what_is_queued_is_taken_once_and_its_content_forgotten(log, started):
    target = Target()
    deliveries = started({"sr": target.send})
    put(log, sr=b"of Anna")
    deliveries.wake()
    wait_until(lambda: not rows(log, waiting=True))
    put(log, sr=b"of Anna, again")
    time.sleep(0.1)
    assert target.taken == [("a", "sr", b"of Anna")]
    assert log.read("SELECT content FROM deliveries") == [(None,)]
    assert (deliveries.sent, deliveries.failures, deliveries.waiting) == (1, 0, 0)


def test_content_is_overwritten_on_disk(log, record, started):
    if not isinstance(record, Path):
        pytest.skip("PostgreSQL overwrites in `record retain`")
    started({"sr": Target().send})
    put(log, sr=b"Zwetschkenknoedel" * 100)
    wait_until(lambda: not rows(log, waiting=True))
    assert log.log.store.forget_deleted()
    assert b"Zwetschkenknoedel" not in record.read_bytes()


def test_it_waits_for_a_target_that_is_down(log, started):
    target = Target()
    target.down = True
    deliveries = started({"sr": target.send})
    put(log, sr=b"x")
    wait_until(lambda: deliveries.failures >= 3)
    (row,) = rows(log, waiting=True)
    assert (row["error"], row["delivered"]) == ("the target is down", None)
    assert row["attempts"] >= 2
    target.down = False
    wait_until(lambda: target.taken)
    wait_until(lambda: rows(log)[0]["delivered"])
    assert rows(log)[0]["error"] == ""


def test_a_target_that_is_down_does_not_hold_up_another(log, started):
    stuck, good = threading.Event(), Target()
    started({"sr": lambda delivery: stuck.wait(10)}, {"fhir": good.send})
    put(log, sr=b"x", fhir=None)
    wait_until(lambda: good.taken)
    assert good.taken == [("a", "fhir", None)]
    stuck.set()


def test_two_servers_send_each_only_once(log, started):
    target = Target()
    started({"sr": target.send})
    started({"sr": target.send})
    log.add(*(f"p{number}" for number in range(40)))
    for number in range(40):
        put(log, f"p{number}", sr=b"x")
    wait_until(lambda: not rows(log, waiting=True))
    assert sorted(taken[0] for taken in target.taken) == sorted(f"p{number}" for number in range(40))


def test_a_fault_of_ours_does_not_stop_the_others(log, started):
    taken = []

    def send(delivery):
        if delivery.prediction == "a":
            raise KeyError("Anna Müller")
        taken.append(delivery.prediction)

    started({"sr": send})
    put(log, "a", sr=b"x")
    put(log, "b", sr=b"y")
    wait_until(lambda: taken)
    wait_until(lambda: rows(log, waiting=True)[0]["error"])
    assert rows(log, waiting=True)[0]["error"] == "it cannot be sent (KeyError)"


def test_what_a_stopped_server_claimed_is_given_back(log, started):
    entered, leave = threading.Event(), threading.Event()

    def send(delivery):
        entered.set()
        leave.wait(10)

    for prediction in ("a", "b"):
        log.submit(queue.create_table).result()
        put(log, prediction, sr=b"x")
    deliveries = started({"sr": send})
    assert entered.wait(10)
    threading.Timer(0.1, leave.set).start()
    deliveries.close()
    target = Target()
    started({"sr": target.send})
    wait_until(lambda: target.taken)
    assert target.taken == [("b", "sr", b"x")]


def test_a_log_that_cannot_be_written_is_survived(log, started):
    target = Target()
    started({"sr": target.send})
    put(log, sr=b"x")
    log.broken = True
    time.sleep(0.1)
    log.broken = False
    wait_until(lambda: target.taken)


def test_deliveries_go_with_their_prediction(log, started):
    started()
    put(log, sr=b"x")
    log.submit(lambda connection: connection.execute("DELETE FROM answers WHERE id = 'a'")).result()
    assert rows(log) == []


def test_pages(log, started):
    started()
    put(log, "a", sr=b"x", sc=b"y", fhir=None)
    page = log.submit(lambda connection: queue.read_deliveries(connection, None, 2, None)).result()
    assert [row["kind"] for row in page] == ["fhir", "sc"]
    rest = log.submit(lambda connection: queue.read_deliveries(connection, True, 2, page[-1]["number"])).result()
    assert [row["kind"] for row in rest] == ["sr"]
    assert log.submit(lambda connection: queue.queued(connection, "a")).result() == {"sr", "sc", "fhir"}
