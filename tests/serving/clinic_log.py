"""Predictions with chosen probabilities in a log, for tests of what is counted over many."""

import json
from datetime import timedelta

import numpy as np

from lesionlens.serving.entries import pack_features
from lesionlens.serving.examples import PREDICTION, UNUSABLE
from lesionlens.serving.histology import insert_histology
from lesionlens.serving.identifiers import Identifiers
from lesionlens.serving.prediction_log import LogEntry, PredictionLog, insert_prediction, insert_review, timestamp
from lesionlens.serving.subjects import Subject

IDS = Identifiers()
BUNDLE = "b"
ROWS = {"mel": ("Melanoma", True), "bcc": ("Basal cell carcinoma", True), "nv": ("Melanocytic nevus", False)}


class ClinicLog:
    """A log that tests fill; `moment` is the time of the first prediction."""

    def __init__(self, record, moment):
        self.record, self.log, self.moment, self.count = record, PredictionLog(record), moment, 0

    def add(self, case="", lesion="", sha256=None, outcome=None, age=timedelta(), vector=None, **probabilities):
        """One prediction; returns its id. Without probabilities the image is not usable."""
        self.count += 1
        moment = self.moment - age
        rows = [{"code": c, "name": ROWS[c][0], "malignant": ROWS[c][1], "probability": p} for c, p in probabilities.items()]
        share = sum(row["probability"] for row in rows if row["malignant"]) if rows else None
        leading = max(probabilities, key=probabilities.get) if rows else None
        outcome = outcome or ("diagnosis" if rows else "not_usable")
        sha256 = sha256 or f"{self.count:064x}"
        id_ = IDS.new(int(moment.timestamp() * 1000) + self.count)
        told = {"id": id_, "created": timestamp(moment), "input_sha256": sha256, "outcome": outcome, "probabilities": rows}
        diagnosis = leading if outcome == "diagnosis" else None
        subject = Subject(case, lesion)
        features = None if vector is None else pack_features(np.array(vector, np.float32))
        changes = {**told, "diagnosis": diagnosis, "malignant_share": share, **subject.to_json()}
        body = json.dumps({**(PREDICTION if rows else UNUSABLE), **changes})
        head = (id_, timestamp(moment), "q", "local", BUNDLE, sha256, None, outcome, diagnosis)
        entry = LogEntry(*head, body, None, None, {}, subject, 0, share, features)
        self.log.submit(lambda connection: insert_prediction(connection, entry)).result()
        return id_

    def review(self, id_, conclusion):
        review = {"conclusion": conclusion, "note": "", "reviewer": "dr", "created": timestamp(self.moment)}
        assert self.log.submit(lambda connection: insert_review(connection, id_, "q", review)).result()

    def histology(self, case, lesion, dx):
        entry = {"dx": dx, "note": "", "correction": False, "created": timestamp(self.moment), "who": "dr"}
        self.log.submit(lambda connection: insert_histology(connection, case, lesion, "q", entry)).result()
