"""From a prediction to the answer that the client gets and the record keeps."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from lesionlens.bundle.prediction import Prediction
from lesionlens.serving.messages import Buffer
from lesionlens.serving.prediction_log import LogEntry, timestamp

SCHEMA = "1"
MAP_TYPE = "<f2"  # half floats: three digits, more than a colour shows


@dataclass(frozen=True)
class Submission:
    """What is known of a request before it is answered.

    Attributes:
        id: of the prediction.
        request_id: of the request.
        who: name of the token.
        file_name: as sent, or None.
        frame: submission for.
        data: the uploaded bytes.
        received: when they were here, UTC.
    """

    id: str
    request_id: str
    who: str
    file_name: str | None
    frame: int
    data: Buffer
    received: datetime


def log_entry(submission: Submission, prediction: Prediction, expires: str | None) -> LogEntry:
    """What is recorded of a prediction; its `answer` is what the client gets, byte for byte.

    Args:
        submission: the request.
        prediction: of its image.
        expires: when the image's overlay is gone; None: it stays.
    """
    sha256 = hashlib.sha256(submission.data).hexdigest()
    created = timestamp(submission.received)
    has_maps = prediction.maps is not None
    body = prediction.to_json(total_ms=1000 * (datetime.now(UTC) - submission.received).total_seconds())
    answer = {
        "schema": SCHEMA,
        "id": submission.id,
        "request_id": submission.request_id,
        "created": created,
        "file_name": submission.file_name,
        "input_sha256": sha256,
        **body,
        "maps": {"codes": list(prediction.labels.codes) if has_maps else [], "available": has_maps, "expires": expires},
        "review": None,
    }
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    maps, shape = pack_maps(prediction.maps)
    return LogEntry(
        *(submission.id, created, submission.request_id, submission.who, prediction.bundle.id, sha256, submission.file_name),
        *(body["outcome"], body["diagnosis"], text, maps, shape, body["timings_ms"]),
    )


def expiry(received: datetime, minutes: float) -> str:
    """When an image that is in memory only is gone."""
    return timestamp(received + timedelta(minutes=minutes))


def pack_maps(maps: np.ndarray | None) -> tuple[bytes | None, str | None]:
    """Heat maps, float32 (K, h, w), as few bytes, and their shape as text."""
    if maps is None:
        return None, None
    halves = np.clip(maps, 0, np.finfo(np.float16).max).astype(MAP_TYPE)
    return zlib.compress(halves.tobytes(), 1), ",".join(str(side) for side in maps.shape)


def unpack_maps(data: bytes, shape: str) -> np.ndarray:
    """What `pack_maps` packed, float32 (K, h, w)."""
    sides = [int(side) for side in shape.split(",")]
    values = np.frombuffer(zlib.decompress(data, bufsize=2 * math.prod(sides)), dtype=MAP_TYPE)
    return values.reshape(sides).astype(np.float32)
