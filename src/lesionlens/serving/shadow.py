"""A second bundle that sees every image too: its predictions are stored and compared, and never shown as the response.

The shadow runs after the response, in a thread of its own with decoders of its own. What it has no time for is left out and
counted; it never makes a response wait for more than the processor that it uses.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

from lesionlens.bundle.prediction import Prediction
from lesionlens.bundle.runtime import NOTHING_KNOWN, Predictor
from lesionlens.core.database import Connection
from lesionlens.core.errors import DataError
from lesionlens.core.metadata import Metadata
from lesionlens.serving.decoding import Decoders, prepared
from lesionlens.serving.entries import Submission
from lesionlens.serving.metrics import Read
from lesionlens.serving.model_parts import decode_limits
from lesionlens.serving.prediction_log import PredictionLog
from lesionlens.serving.problems import Problem
from lesionlens.serving.settings import MIB, ServingSettings

LOG = logging.getLogger("lesionlens.serving")
TABLE = """
CREATE TABLE IF NOT EXISTS shadow_predictions (
    prediction TEXT NOT NULL REFERENCES answers (id) ON DELETE CASCADE,
    bundle_id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (prediction, bundle_id)
) WITHOUT ROWID
"""
INSERT = "INSERT INTO shadow_predictions SELECT id, ?, ? FROM answers WHERE id = ? ON CONFLICT DO NOTHING"
PAIRS = """SELECT a.id, p.answer, s.body FROM shadow_predictions s JOIN answers a ON a.id = s.prediction
    JOIN payloads p ON p.id = a.id WHERE s.bundle_id = ? AND a.bundle_id = ? ORDER BY a.id DESC LIMIT ?"""
WAITING_BYTES = 64 * MIB
MOST_PAIRS = 20_000
NAMED = 50


class _Job(NamedTuple):
    id: str
    data: bytes
    frame: int
    metadata: Metadata


class Shadow:
    """Predicts with another bundle what the server has predicted.

    Args:
        settings: of the server; `shadow` is the other bundle.
        log: where the predictions of both are.

    Attributes:
        compared: images since the start.
        left_out: images that it had no time for, or could not use.

    Raises:
        ModelError: if the bundle cannot be used.
    """

    def __init__(self, settings: ServingSettings, log: PredictionLog) -> None:
        assert settings.shadow is not None
        threads = settings.threads or 1  # of its own; the champion keeps the others
        self.predictor = Predictor(settings.shadow.resolve(), runtime=settings.runtime, threads=threads)
        self._decoders = Decoders(self.predictor.bundle.spec, decode_limits(settings), 1)
        self._log = log
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._held, self._lock = 0, threading.Lock()
        self.compared = self.left_out = 0
        log.submit(lambda connection: connection.execute(TABLE)).result()
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    def observe(self, id_: str, submission: Submission) -> None:
        """Predict an image that was predicted, when there is time."""
        data = bytes(submission.data)
        with self._lock:
            if self._held + len(data) > WAITING_BYTES:
                self.left_out += 1
                return
            self._held += len(data)
        self._jobs.put(_Job(id_, data, submission.frame, submission.metadata))

    def counts(self) -> dict[str, Read]:
        """Counters for the metrics; see `Metrics`."""
        return {
            "lesionlens_shadow_predictions": ("Images that the shadow predicted too.", lambda: self.compared),
            "lesionlens_shadow_left_out": ("Images that the shadow had no time for.", lambda: self.left_out),
        }

    def close(self) -> None:
        """Finish what waits."""
        self._jobs.put(None)
        self._thread.join()
        self._decoders.close()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._store(job.id, self._predict(job))
                self.compared += 1
            except Exception as error:  # it must never matter to the server
                self.left_out += 1
                LOG.warning(json.dumps({"shadow": "an image was left out", "error": type(error).__name__}))
            with self._lock:
                self._held -= len(job.data)

    def _predict(self, job: _Job) -> Prediction:
        reply = self._decoders.submit({"operation": "prepare", "frame": job.frame}, job.data).result()
        image = replace(prepared(*reply), frame=job.frame, metadata=self._known(job.metadata))
        return self.predictor.predict_prepared([image])[0]

    def _known(self, metadata: Metadata) -> Metadata:
        """What is known of the patient, if this bundle takes it."""
        try:
            self.predictor.check_metadata(metadata)
        except DataError:
            return NOTHING_KNOWN
        return metadata

    def _store(self, id_: str, prediction: Prediction) -> None:
        body = json.dumps(prediction.to_json(), ensure_ascii=False, allow_nan=False)
        self._log.submit(lambda connection: connection.execute(INSERT, (prediction.bundle.id, body, id_))).result()


def comparison(connection: Connection, champion_id: str, shadow_id: str) -> dict[str, Any]:
    """How far two bundles agree on the newest images that both predicted.

    Args:
        connection: to the log.
        champion_id: of the bundle that responds.
        shadow_id: of the other.

    Returns:
        `compared` images; `same_outcome`; `same_diagnosis` of those where both name one; `outcomes` by champion and shadow;
        `malignant_share_difference`, the mean of shadow minus champion and of its absolute value, or null; and the newest
        images on which they disagree.
    """
    pairs = [
        (id_, json.loads(one), json.loads(other))
        for id_, one, other in connection.execute(PAIRS, (shadow_id, champion_id, MOST_PAIRS))
    ]
    outcomes = Counter((one["outcome"], other["outcome"]) for _, one, other in pairs)
    both = [(one, other) for _, one, other in pairs if one["diagnosis"] and other["diagnosis"]]
    shares = [(one["malignant_share"], other["malignant_share"]) for _, one, other in pairs]
    differences = [other - one for one, other in shares if one is not None and other is not None]
    apart = [pair for pair in pairs if (pair[1]["outcome"], pair[1]["diagnosis"]) != (pair[2]["outcome"], pair[2]["diagnosis"])]
    return {
        "compared": len(pairs),
        "same_outcome": sum(count for (one, other), count in outcomes.items() if one == other),
        "same_diagnosis": sum(one["diagnosis"] == other["diagnosis"] for one, other in both),
        "both_diagnosed": len(both),
        "outcomes": [{"champion": one, "shadow": other, "count": count} for (one, other), count in sorted(outcomes.items())],
        "malignant_share_difference": _difference(differences),
        "disagreements": [_disagreement(*pair) for pair in apart[:NAMED]],
    }


def no_shadow() -> Problem:
    """The refusal of a server without a shadow."""
    return Problem("not_found", "this server has no shadow; start it with --shadow BUNDLE")


def _difference(differences: list[float]) -> dict[str, float] | None:
    if not differences:
        return None
    count = len(differences)
    return {"mean": round(sum(differences) / count, 6), "mean_absolute": round(sum(map(abs, differences)) / count, 6)}


def _disagreement(id_: str, one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    names = ("outcome", "diagnosis", "malignant_share")
    return {"prediction": id_, "champion": {name: one[name] for name in names}, "shadow": {name: other[name] for name in names}}
