"""From a prediction to its entry in the prediction log and the response."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from lesionlens.bundle.overlay import seen_part
from lesionlens.bundle.prediction import Prediction
from lesionlens.bundle.runtime import NOTHING_KNOWN
from lesionlens.core.metadata import Metadata
from lesionlens.serving.messages import Buffer
from lesionlens.serving.prediction_log import LogEntry, timestamp
from lesionlens.serving.subjects import Subject

SCHEMA = "1"
NO_SUBJECT = Subject()
FEATURE_TYPE = "<f2"  # half floats of features of length 1: three digits of a cosine
MAP_TYPE = "<f2"  # half floats: three digits, more than a colour shows


@dataclass(frozen=True)
class Submission:
    """An uploaded image and its request.

    Attributes:
        id: of the prediction to make.
        request_id: of the request.
        token_name: of the caller.
        file_name: as sent, or None.
        frame: which frame of the file to read.
        data: the uploaded bytes.
        received: when they had arrived, UTC.
        metadata: what is known of the patient.
        key: hash of the request's Idempotency-Key; empty without one.
        study: what a FHIR target is told of study and patient, of an image that arrived over DICOM; stored until it is told.
        subject: what the image shows.
        sees_all: whether the caller may see the predictions of others.
    """

    id: str
    request_id: str
    token_name: str
    file_name: str | None
    frame: int
    data: Buffer
    received: datetime
    metadata: Metadata = NOTHING_KNOWN
    key: str = ""
    study: bytes | None = None
    subject: Subject = NO_SUBJECT
    sees_all: bool = False


def _maps_info(prediction: Prediction, expires: str | None) -> dict[str, Any]:
    if prediction.maps is None:
        return {"codes": [], "available": False, "expires": expires, "part": None}
    part = seen_part(prediction.spec, (prediction.image.width, prediction.image.height))
    return {"codes": list(prediction.labels.codes), "available": True, "expires": expires, "part": part}


def log_entry(
    submission: Submission,
    prediction: Prediction,
    expires: str | None,
    same_image: Callable[[str], str | None] = lambda sha256: None,
) -> LogEntry:
    """The log entry of a prediction; its `body` is what the client receives, byte for byte.

    Args:
        submission: the image.
        prediction: of that image.
        expires: when the image is no longer here for overlays; None: it stays.
        same_image: finds the first prediction of the same image by its SHA-256.
    """
    sha256 = hashlib.sha256(submission.data).hexdigest()
    common = prediction.to_json(total_ms=1000 * (datetime.now(UTC) - submission.received).total_seconds())
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "id": submission.id,
        "request_id": submission.request_id,
        "created": timestamp(submission.received),
        "file_name": submission.file_name,
        "input_sha256": sha256,
        "same_image": same_image(sha256),
        **submission.subject.to_json(),
        **common,
        "maps": _maps_info(prediction, expires),
        "review": None,
    }
    maps, shape = pack_maps(prediction.maps)
    return LogEntry(
        id=submission.id,
        created=body["created"],
        request_id=submission.request_id,
        token_name=submission.token_name,
        bundle_id=prediction.bundle.id,
        input_sha256=sha256,
        file_name=submission.file_name,
        outcome=common["outcome"],
        diagnosis=common["diagnosis"],
        body=json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")),
        maps=maps,
        map_shape=shape,
        timings_ms=common["timings_ms"],
        subject=submission.subject,
        frame=submission.frame,
        malignant_share=common["malignant_share"],
        features=pack_features(prediction.features),
    )


def expiry(received: datetime, minutes: float) -> str:
    """When an image that is only in memory is dropped."""
    return timestamp(received + timedelta(minutes=minutes))


def pack_features(features: np.ndarray) -> bytes | None:
    """Features, float32 (C,), made length 1 and stored in 2 C bytes; None where they are all 0 or not finite."""
    wide = features.astype(np.float64)
    length = float(np.linalg.norm(wide))
    return (wide / length).astype(FEATURE_TYPE).tobytes() if math.isfinite(length) and length > 0 else None


def pack_maps(maps: np.ndarray | None) -> tuple[bytes | None, str | None]:
    """Heat maps, float32 (K, h, w), compressed, and their shape as text."""
    if maps is None:
        return None, None
    halves = np.clip(maps, 0, np.finfo(np.float16).max).astype(MAP_TYPE)
    return zlib.compress(halves.tobytes(), 1), ",".join(str(side) for side in maps.shape)


def unpack_maps(data: bytes, shape: str) -> np.ndarray:
    """The maps that `pack_maps` compressed, float32 (K, h, w)."""
    sides = [int(side) for side in shape.split(",")]
    values = np.frombuffer(zlib.decompress(data, bufsize=2 * math.prod(sides)), dtype=MAP_TYPE)
    return values.reshape(sides).astype(np.float32)
