import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from tests.slow_values import slow_but

from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import BundleError
from lesionlens.serving.decoding import DecodeLimits, Decoders
from lesionlens.serving.entries import Submission
from lesionlens.serving.identifiers import Identifiers
from lesionlens.serving.prediction_log import PredictionLog
from lesionlens.serving.problems import Problem
from lesionlens.serving.worker import Worker

IDS = Identifiers()


def submission(data):
    return Submission(IDS.new(), "q", "local", None, 0, data, datetime.now(UTC))


def worker_of(bundle, path, **options):
    predictor = Predictor(bundle, threads=2, **options)
    decoders = Decoders(predictor.bundle.spec, DecodeLimits(24_000_000, 256 << 20, 5.0), 1)
    log = PredictionLog(path)
    worker = Worker(predictor, decoders, log, lambda connection, entry, submission: None)
    return worker, predictor, log


@pytest.mark.parametrize(
    "options", slow_but([{"streams": 3}, {"batch_size": 4}, {"runtime": "onnxruntime", "streams": 2}], {"streams": 3}), ids=str
)
def test_streams_and_batches_give_what_one_image_at_a_time_gives(small_bundle, tmp_path, lesion_image, options):
    images = [lesion_image(seed) for seed in range(10)]
    alone = Predictor(small_bundle, threads=1, runtime=options.get("runtime", "auto"))
    wanted = [prediction.to_json() for prediction in alone.predict(images)]
    worker, _, log = worker_of(small_bundle, tmp_path / "r", **options)
    entries = [end.result(60) for end in [worker.submit(submission(image), None) for image in images]]
    worker.close()
    log.close()
    for entry, prediction in zip(entries, wanted, strict=True):
        assert (entry.outcome, entry.diagnosis) == (prediction["outcome"], prediction["diagnosis"])
    with closing(sqlite3.connect(tmp_path / "r")) as connection:
        assert connection.execute("SELECT count(*) FROM payloads").fetchone()[0] == 10


def test_a_fault_reaches_who_waits_and_nobody_else(small_bundle, tmp_path, lesion_image, monkeypatch):
    worker, predictor, log = worker_of(small_bundle, tmp_path / "r")
    original, calls = predictor.predict_prepared, []

    def sometimes(images):
        calls.append(1)
        if len(calls) == 2:
            raise BundleError("NaN")
        return original(images)

    monkeypatch.setattr(predictor, "predict_prepared", sometimes)
    ends = []
    for seed in range(3):
        ends.append(worker.submit(submission(lesion_image(seed)), None))
        ends[-1].exception(60)
    broken = worker.submit(submission(b"no image"), None)
    assert [type(end.exception(60)) for end in ends] == [type(None), BundleError, type(None)]
    assert isinstance(broken.exception(60), Problem)
    worker.close()
    log.close()


def test_what_was_begun_is_finished_on_closing(small_bundle, tmp_path, lesion_image):
    worker, _, log = worker_of(small_bundle, tmp_path / "r")
    ends = [worker.submit(submission(lesion_image(seed)), None) for seed in range(8)]
    worker.close()
    log.close()
    assert all(end.done() and end.exception() is None for end in ends)
