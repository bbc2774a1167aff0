"""The way of an upload: decoded in a process, batched through the network by one thread, recorded, answered."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import NamedTuple, TypeVar

from lesionlens.bundle.prediction import Prediction
from lesionlens.bundle.runtime import Predictor, Prepared
from lesionlens.serving.decoding import Decoders, Reply, prepared
from lesionlens.serving.entries import Submission, log_entry
from lesionlens.serving.prediction_log import LogEntry, PredictionLog, insert_prediction

Done = TypeVar("Done")


class _Step(NamedTuple):
    image: Prepared
    future: Future[Prediction]


class Network:
    """The threads that run the network, one for each of its streams; each takes what waits, up to the batch size.

    Args:
        predictor: opened for that batch size and those streams.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._steps: queue.SimpleQueue[_Step | None] = queue.SimpleQueue()
        count = predictor.limits.streams
        self._threads = [threading.Thread(target=self._work, name=f"network-{number}", daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, image: Prepared) -> Future[Prediction]:
        """Predict one image."""
        future: Future[Prediction] = Future()
        self._steps.put(_Step(image, future))
        return future

    def close(self) -> None:
        """Finish what was submitted."""
        for _ in self._threads:
            self._steps.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            steps = [step, *self._more(self._predictor.limits.batch_size - 1)]
            self._run(steps)
            del step, steps

    def _more(self, most: int) -> Iterator[_Step]:
        for _ in range(most):
            try:
                step = self._steps.get_nowait()
            except queue.Empty:
                return
            if step is None:
                self._steps.put(None)
                return
            yield step

    def _run(self, steps: list[_Step]) -> None:
        try:
            found = self._predictor.answer([step.image for step in steps])
        except Exception as error:  # whatever it is, it belongs to those who wait for the answers
            for step in steps:
                step.future.set_exception(error)
            return
        for step, prediction in zip(steps, found, strict=True):
            step.future.set_result(prediction)


class Worker:
    """Decoders, network and record in a row; what is done in one wakes the next, and only the end wakes who waits.

    Args:
        predictor: the bundle.
        decoders: that decode for it.
        record: that keeps the answers.
    """

    def __init__(self, predictor: Predictor, decoders: Decoders, record: PredictionLog) -> None:
        self._predictor = predictor
        self._decoders = decoders
        self._record = record
        self._network = Network(predictor)

    def submit(self, submission: Submission, expires: str | None) -> Future[LogEntry]:
        """Predict one upload.

        Args:
            submission: the request.
            expires: when the image's overlay is gone; None: it stays.

        Returns:
            Done when the answer is on disk; fails with a Problem if the image cannot be used, or the record not written.
        """
        end: Future[LogEntry] = Future()
        end.set_running_or_notify_cancel()  # who stops waiting does not stop what was begun

        def keep(prediction: Prediction) -> None:
            def write(connection: sqlite3.Connection) -> LogEntry:
                entry = log_entry(submission, prediction, expires)
                insert_prediction(connection, entry)
                return entry

            _then(self._record.submit(write), end, lambda entry: self._done(end, entry))

        def predict(reply: Reply) -> None:
            _then(self._network.submit(replace(prepared(*reply), frame=submission.frame)), end, keep)

        _then(self._decoders.submit({"operation": "prepare", "frame": submission.frame}, submission.data), end, predict)
        return end

    def close(self) -> None:
        """Finish what was begun."""
        self._decoders.close()
        self._network.close()
        self._record.close()

    def _done(self, end: Future[LogEntry], entry: LogEntry) -> None:
        self._record.failure = ""
        end.set_result(entry)


def _then(step: Future[Done], end: Future[LogEntry], following: Callable[[Done], None]) -> None:
    """Go on with the result of a step where it was made; a fault ends the way."""

    def go_on(done: Future[Done]) -> None:
        fault = done.exception()
        if fault is not None:
            end.set_exception(fault)
            return
        try:
            following(done.result())
        except Exception as error:  # whatever it is, it belongs to who waits at the end
            end.set_exception(error)

    step.add_done_callback(go_on)
