"""Everything that one server holds: bundle, decoders, record, access, limits."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import StorageError
from lesionlens.serving.access import Access, Caller
from lesionlens.serving.decoding import DecodeLimits, Decoders
from lesionlens.serving.entries import Submission, expiry
from lesionlens.serving.guard import Guard
from lesionlens.serving.history import History, Maps
from lesionlens.serving.identifiers import Identifiers
from lesionlens.serving.images import KeptImages, RecentImages, images_folder
from lesionlens.serving.limits import Admission, Budget, RateLimit
from lesionlens.serving.messages import Buffer
from lesionlens.serving.metrics import Metrics
from lesionlens.serving.prediction_log import LogEntry, PredictionLog, probe, timestamp
from lesionlens.serving.problems import Problem
from lesionlens.serving.refusals import Refusal, RefusalLog
from lesionlens.serving.settings import ServingSettings
from lesionlens.serving.upload import read_upload
from lesionlens.serving.worker import Worker

RECORDED_OF_READERS = (401, 403, 429)
UPLOADS_IN_MEMORY = 4  # of the largest size; small ones are many more


class Service:
    """A running server's parts.

    Args:
        settings: how it runs.

    Raises:
        LesionLensError: if the bundle, the record or the tokens cannot be used.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self.settings = settings
        self.access = Access(settings.tokens)
        self.record = PredictionLog(settings.record)
        self.predictor = Predictor(
            settings.bundle,
            runtime=settings.runtime,
            variant=settings.variant,
            threads=settings.threads,
            batch_size=settings.batch_size,
            streams=settings.streams,
        )
        limits = DecodeLimits(settings.pixels, settings.decode_bytes, settings.decode_seconds)
        self.decoders = Decoders(self.predictor.bundle.spec, limits, settings.decoders)
        self.worker = Worker(self.predictor, self.decoders, self.record)
        self.history = History(settings.record)
        self.guard = Guard(settings.hosts, not self.access.required)
        self.admission = Admission(settings.max_active, settings.queue)
        self.budget = Budget(UPLOADS_IN_MEMORY * settings.upload_bytes)
        self.rate = RateLimit(settings.rate if self.access.required else 0)
        self.metrics = Metrics()
        self.ids = Identifiers()
        self.refusals = RefusalLog()
        self.recent = RecentImages(settings.image_bytes, 60 * settings.image_minutes)
        self.kept = KeptImages(images_folder(settings.record)) if settings.keep_images else None
        self.stopping = False

    def caller(self, request: Request) -> Caller:
        """Who sends a request; from here on it counts as theirs.

        Raises:
            Problem: if the token is missing or not valid.
        """
        caller = self.access.caller(request.headers.get("authorization", ""))
        request.state.who = caller.name
        return caller

    async def predict(self, request: Request, frame: int) -> LogEntry:
        """Answer one upload. When this returns, the answer is on disk.

        Raises:
            Problem: if it is refused.
        """
        caller = self.caller(request)
        self.rate.take(caller.name)
        if self.stopping:
            raise Problem("stopping", "the server is stopping; send the image again in a moment", {"Retry-After": "5"})
        self.admission.check()
        with self.budget.share() as share:
            limit = self.settings.upload_bytes
            upload = await read_upload(request, limit, self.settings.upload_seconds, share)
            async with self.admission:
                name = upload.name if self.settings.file_names and upload.name else None
                asked = Submission(
                    *(self.ids.new(), request.state.request_id, caller.name, name, frame, upload.data, datetime.now(UTC))
                )
                await self._keep(asked)
                expires = None if self.kept else expiry(asked.received, self.settings.image_minutes)
                entry = await asyncio.wrap_future(self.worker.submit(asked, expires))
            self.recent.put(entry.id, upload.data)
        self.metrics.answer(entry.outcome, entry.timings_ms)
        return entry

    async def draw(self, found: Maps, code: str, style: str) -> tuple[Buffer, float]:
        """A heat map as PNG, and the raw value of its highest colour: one scale for all maps of an answer.

        Args:
            found: maps and answer.
            code: the diagnosis.
            style: `map` or `overlay`.

        Raises:
            Problem: `map_not_found`, or `image_gone` for an overlay.
        """
        answer, limit = found.answer, float(found.maps.max(initial=0.0))
        if code not in answer["maps"]["codes"]:
            raise Problem("map_not_found", f"heat maps are of {', '.join(answer['maps']['codes'])}")
        map_ = found.maps[answer["maps"]["codes"].index(code)]
        data = map_.tobytes()
        head = {"operation": style, "shape": map_.shape, "map_bytes": len(data), "limit": limit}
        if style == "overlay":
            data += await self.image(answer["id"], answer["input_sha256"])
            head |= {"title": _title(answer, code), "frame": answer["image"]["frame"]}
        else:
            head["size"] = [answer["image"]["width"], answer["image"]["height"]]
        _, picture = await asyncio.wrap_future(self.decoders.submit(head, data))
        return picture, limit

    async def not_ready(self) -> str:
        """Why no predictions are taken; empty if they are."""
        if self.stopping:
            return "stopping"
        if self.record.failure:
            try:
                await asyncio.wrap_future(self.record.submit(probe))
            except Problem:
                return "the record cannot be written"
            self.record.failure = ""
        return ""

    async def image(self, id_: str, sha256: str) -> bytes:
        """The upload of a prediction.

        Raises:
            Problem: `image_gone`.
        """
        found = self.recent.get(id_)
        if found is None and self.kept is not None:
            found = await asyncio.to_thread(self.kept.get, sha256)
        if found is None:
            raise Problem("image_gone", "images are kept in memory for some minutes only; lay style=map over your own copy")
        return found

    async def refused(self, scope: MutableMapping[str, Any], problem: Problem) -> None:
        """Count a refusal; record it if it is of a caller who wanted something of patients, and wait until it is on disk.

        While the record cannot be written the refusal is given all the same: nothing is answered by it.
        """
        self.metrics.refusal(problem.code)
        if not scope["path"].startswith("/v1/") or (scope["method"] != "POST" and problem.status not in RECORDED_OF_READERS):
            return
        state = scope["state"]
        operation = f"{scope['method']} {getattr(scope.get('route'), 'path', '')}"[:100].strip()
        refusal = Refusal(timestamp(), state["request_id"], state["who"], operation, problem.status, problem.code)
        try:
            await asyncio.wrap_future(self.record.submit(lambda connection: self.refusals.insert(connection, refusal)))
        except Problem:
            self.metrics.refusal("refusal_unrecorded")

    def close(self) -> None:
        """Finish what was begun, and close everything."""
        self.worker.close()
        self.history.close()

    async def _keep(self, asked: Submission) -> None:
        if self.kept is None:
            return
        sha256 = hashlib.sha256(asked.data).hexdigest()
        try:
            await asyncio.to_thread(self.kept.put, sha256, asked.data)
        except (StorageError, OSError) as error:
            raise Problem("record_unwritable", "the image cannot be kept, and without it nothing is answered") from error


def _title(answer: dict[str, Any], code: str) -> str:
    row = next((row for row in answer["probabilities"] if row["code"] == code), None)
    return code if row is None else f"{row['name']} ({code}), probability {row['probability']:.2f}"
