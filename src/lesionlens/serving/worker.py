"""The way of an upload: decoded in a process, batched through the network by one thread, recorded, answered."""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from typing import NamedTuple

from lesionlens.deployment.runtime import Prediction, Predictor
from lesionlens.serving.answers import Asked, entry_of
from lesionlens.serving.decoding import Decoded, Decoders, Reply, decoded
from lesionlens.serving.record import Entry, Record, insert_answer


class _Step(NamedTuple):
    image: Decoded
    future: Future[Prediction]


class Network:
    """The one thread that runs the network: whatever waits goes through it together, up to the batch size.

    Args:
        predictor: opened for that batch size.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._steps: queue.SimpleQueue[_Step | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="network", daemon=True)
        self._thread.start()

    def submit(self, image: Decoded) -> Future[Prediction]:
        """Predict one image."""
        future: Future[Prediction] = Future()
        self._steps.put(_Step(image, future))
        return future

    def close(self) -> None:
        """Finish what was submitted."""
        self._steps.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            steps = [step]
            while len(steps) < self._predictor.limits.batch_size and not self._steps.empty():
                following = self._steps.get()
                if following is None:
                    self._steps.put(None)
                    break
                steps.append(following)
            self._run(steps)
            del step, steps

    def _run(self, steps: list[_Step]) -> None:
        try:
            found = self._predictor.answer([step.image.prepared for step in steps])
        except Exception as error:  # whatever it is, it belongs to those who wait for the answers
            for step in steps:
                step.future.set_exception(error)
            return
        for step, prediction in zip(steps, found, strict=True):
            step.future.set_result(prediction)


class Worker:
    """Decoders, network and record in a row.

    Args:
        predictor: the bundle.
        decoders: that decode for it.
        record: that keeps the answers.
    """

    def __init__(self, predictor: Predictor, decoders: Decoders, record: Record) -> None:
        self._predictor = predictor
        self._decoders = decoders
        self._record = record
        self._network = Network(predictor)

    async def answer(self, asked: Asked, expires: str | None) -> Entry:
        """Predict one upload; when this returns, the answer is on disk.

        Raises:
            Problem: if the image cannot be used, or the record cannot be written.
        """
        reply: Reply = await asyncio.wrap_future(
            self._decoders.submit({"operation": "prepare", "frame": asked.frame}, asked.data)
        )
        image = decoded(*reply)
        prediction = await asyncio.wrap_future(self._network.submit(image))
        bundle, variant = self._predictor.bundle, self._predictor.variant.name
        entry = entry_of(asked, image, prediction, bundle, variant, expires)
        await asyncio.wrap_future(self._record.submit(lambda connection: insert_answer(connection, entry)))
        self._record.failure = ""
        return entry

    def close(self) -> None:
        """Finish what was begun."""
        self._decoders.close()
        self._network.close()
        self._record.close()
