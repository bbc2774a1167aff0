"""The path of an upload: decoded in a process, batched through the network by a thread, logged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

from lesionlens.bundle.prediction import Prediction
from lesionlens.bundle.runtime import Predictor, Prepared
from lesionlens.core.database import Connection
from lesionlens.serving.batches import Batches
from lesionlens.serving.decoding import Decoders, Reply, prepared
from lesionlens.serving.entries import Submission, log_entry
from lesionlens.serving.idempotency import check_key, insert_key
from lesionlens.serving.prediction_log import LogEntry, PredictionLog, insert_prediction
from lesionlens.serving.subjects import check_subject, same_image

Result = TypeVar("Result")
Enqueue = Callable[[Connection, LogEntry, Submission], None]


class _Job(NamedTuple):
    image: Prepared
    future: Future[Prediction]


class Network:
    """Threads that run the network, one per stream; each takes what waits, up to the batch size.

    Args:
        predictor: opened for that batch size and those streams.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._jobs: Batches[_Job] = Batches()
        names = [f"network-{number}" for number in range(predictor.limits.streams)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def submit(self, image: Prepared) -> Future[Prediction]:
        """Predict one image."""
        future: Future[Prediction] = Future()
        self._jobs.put(_Job(image, future))
        return future

    def close(self) -> None:
        """Finish what was submitted."""
        self._jobs.close(len(self._threads))
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while jobs := self._jobs.take(self._predictor.limits.batch_size):
            self._run(jobs)
            jobs.clear()  # keep no image in memory while waiting for the next

    def _run(self, jobs: list[_Job]) -> None:
        try:
            predictions = self._predictor.predict_prepared([job.image for job in jobs])
        except Exception as error:  # raised again where the results are awaited
            for job in jobs:
                job.future.set_exception(error)
            return
        for job, prediction in zip(jobs, predictions, strict=True):
            job.future.set_result(prediction)


class Worker:
    """Decoders, network and log in a row; each step starts the next, and only the last wakes the event loop.

    Args:
        predictor: the bundle.
        decoders: that decode for it.
        log: that stores the predictions.
        enqueue: called in the commit that stores one, with its entry and submission.
        case_key: makes a case of the patient's id in a DICOM object; empty: none is made.
    """

    def __init__(
        self, predictor: Predictor, decoders: Decoders, log: PredictionLog, enqueue: Enqueue, case_key: bytes = b""
    ) -> None:
        self._case_key = case_key
        self._decoders = decoders
        self._log = log
        self._enqueue = enqueue
        self._network = Network(predictor)

    def submit(self, submission: Submission, expires: str | None) -> Future[LogEntry]:
        """Predict one upload.

        Args:
            submission: the upload.
            expires: when the image is no longer here for overlays; None: it stays.

        Returns:
            Done when the prediction is on disk; fails with a Problem if the image cannot be used, or the log not written.
        """
        end: Future[LogEntry] = Future()
        end.set_running_or_notify_cancel()  # a client that leaves does not stop what has begun

        def predict(reply: Reply) -> None:
            known = _with_case(submission, reply[0].get("case", ""))
            image = replace(prepared(*reply), frame=submission.frame, metadata=submission.metadata)
            _then(self._network.submit(image), end, partial(store, known))

        def store(known: Submission, prediction: Prediction) -> None:
            def write(connection: Connection) -> LogEntry:
                entry = _write(connection, known, prediction, expires)
                self._enqueue(connection, entry, known)
                return entry

            _then(self._log.submit(write), end, finish)

        def finish(entry: LogEntry) -> None:
            self._log.failure = ""
            end.set_result(entry)

        head = {"operation": "prepare", "frame": submission.frame}
        if self._case_key and not submission.subject.case:
            head["case_key"] = self._case_key.hex()
        _then(self._decoders.submit(head, submission.data), end, predict)
        return end

    def close(self) -> None:
        """Finish what has begun."""
        self._decoders.close()
        self._network.close()


def _with_case(submission: Submission, case: str) -> Submission:
    return replace(submission, subject=replace(submission.subject, case=case)) if case else submission


def _write(connection: Connection, submission: Submission, prediction: Prediction, expires: str | None) -> LogEntry:
    check_key(connection, submission.key)
    check_subject(connection, submission.subject)
    who = None if submission.sees_all else submission.token_name
    known = partial(same_image, connection, frame=submission.frame, token_name=who)
    entry = log_entry(submission, prediction, expires, known)
    insert_prediction(connection, entry)
    if submission.key:
        insert_key(connection, submission.key, submission.frame, entry.id)
    return entry


def _then(step: Future[Result], end: Future[LogEntry], following: Callable[[Result], None]) -> None:
    """Continue with the result of a step, in the thread that finished it; an exception ends the whole path."""

    def proceed(done: Future[Result]) -> None:
        try:
            following(done.result())
        except Exception as error:  # raised again where the end is awaited
            end.set_exception(error)

    step.add_done_callback(proceed)
