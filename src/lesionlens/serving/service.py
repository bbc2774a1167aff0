"""The parts of one running server: bundle, decoders, prediction log, access control, limits."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from lesionlens.bundle.bundle import CARD_FILE
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import DataError, LesionLensError
from lesionlens.core.labels import LabelSet
from lesionlens.core.metadata import Metadata, read_metadata
from lesionlens.serving.access import Access, Caller
from lesionlens.serving.cases import Cases
from lesionlens.serving.drawings import Drawings
from lesionlens.serving.entries import Submission, expiry
from lesionlens.serving.exchange import Exchange
from lesionlens.serving.guard import Guard
from lesionlens.serving.history import History
from lesionlens.serving.idempotency import HEADER as IDEMPOTENCY_KEY
from lesionlens.serving.idempotency import KeysInUse, StoredPrediction, key_hash
from lesionlens.serving.identifiers import Identifiers
from lesionlens.serving.image_batches import ImageBatches
from lesionlens.serving.limits import Admission, Budget, RateLimit
from lesionlens.serving.messages import Buffer
from lesionlens.serving.metrics import Metrics
from lesionlens.serving.model_parts import open_parts
from lesionlens.serving.prediction_log import PredictionLog, probe, reach, timestamp
from lesionlens.serving.problems import Problem
from lesionlens.serving.record import DAMAGED, RESTORE
from lesionlens.serving.refusals import Refusal, RefusalLog
from lesionlens.serving.settings import ServingSettings
from lesionlens.serving.shadow import Shadow
from lesionlens.serving.subjects import FIELDS as SUBJECT_FIELDS
from lesionlens.serving.subjects import Subject, read_subject
from lesionlens.serving.upload import Upload, read_upload
from lesionlens.serving.uploaded_images import UploadedImages

LOG = logging.getLogger("lesionlens.serving")
WRITING = ("POST", "PUT", "DELETE")
LOGGED_OF_READERS = (401, 403, 429)
RELOAD_SECONDS = 5.0
UPLOADS_IN_MEMORY = 4  # of the largest size; small ones are many more


class Service:
    """Everything that the routes use.

    Args:
        settings: how the server runs.

    Raises:
        LesionLensError: if the bundle, the prediction log or the tokens cannot be used.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self.settings = settings
        self.access = Access(settings.tokens)
        self.images = UploadedImages(settings)
        self.log = PredictionLog(settings.record)
        self.history = History(settings.record)
        self.exchange = Exchange(self)
        self.parts = open_parts(settings, self.images, self.log, self.exchange.enqueue)
        self.shadow = None if settings.shadow is None else Shadow(settings, self.log)
        self._former_deaths = 0
        self.cases = Cases(self.history)
        self.guard = Guard(settings.hosts, not self.access.required)
        self.admission = Admission(settings.max_active, settings.queue)
        self.budget = Budget(UPLOADS_IN_MEMORY * settings.upload_bytes)
        self.rate = RateLimit(settings.rate if self.access.required else 0)
        self.ids = Identifiers()
        self.keys = KeysInUse()
        self.batches = ImageBatches(self)
        self.refusals = RefusalLog()
        self.stopping = False
        self.metrics = Metrics(self.parts.labels, self._gauges(), self._counts())
        self.exchange.listen()

    @property
    def predictor(self) -> Predictor:
        """The bundle that responds."""
        return self.parts.predictor

    @property
    def drawings(self) -> Drawings:
        """What draws its heat maps."""
        return self.parts.drawings

    @property
    def labels(self) -> LabelSet:
        """The diagnoses of the bundle."""
        return self.predictor.bundle.labels

    def caller(self, request: Request) -> Caller:
        """The sender of a request, which from here on is logged under that name.

        Raises:
            Problem: if the token is missing or not valid.
        """
        caller = self.access.caller(request.headers.get("authorization", ""))
        request.state.token_name = caller.name
        return caller

    async def predict(self, request: Request, caller: Caller, frame: int) -> StoredPrediction:
        """Predict one upload. On return, the prediction is on disk.

        Raises:
            Problem: if it is refused.
        """
        key = key_hash(request.headers.get(IDEMPOTENCY_KEY, ""), caller.name)
        self.rate.take(caller.name)
        self.check_running()
        self.admission.check()
        with self.budget.share() as share:
            limit = self.settings.upload_bytes
            upload = await read_upload(request, limit, self.settings.upload_seconds, share)
            metadata, subject = self.metadata_of(upload), read_subject(upload.metadata)
            with self.keys.used(key):
                if key and (made := await self.made_with(key, upload.data, frame, metadata, subject)):
                    return made
                submission = Submission(
                    id=self.ids.new(),
                    request_id=request.state.request_id,
                    token_name=caller.name,
                    file_name=upload.name if self.settings.file_names and upload.name else None,
                    frame=frame,
                    data=upload.data,
                    received=datetime.now(UTC),
                    metadata=metadata,
                    key=key,
                    subject=subject,
                    sees_all=caller.may_review,
                )
                return await self.predict_submission(submission)

    def check_running(self) -> None:
        """Refuse new work while the server stops.

        Raises:
            Problem: `stopping`.
        """
        if self.stopping:
            raise Problem("stopping", "the server is stopping; send the image again in a moment", {"Retry-After": "5"})

    async def made_with(
        self, key: str, data: Buffer, frame: int, metadata: Metadata, subject: Subject | None = None
    ) -> StoredPrediction | None:
        """The prediction that a key made of this image; see `find_key`."""
        sha256, fusion = hashlib.sha256(data).hexdigest(), self.predictor.metadata
        told = None if fusion is None else fusion.used(metadata)
        return await asyncio.to_thread(self.history.by_key, key, sha256, frame, told, subject)

    async def predict_submission(self, submission: Submission) -> StoredPrediction:
        """Predict one upload in its turn. On return, the prediction is on disk.

        Raises:
            Problem: if it is refused.
        """
        async with self.admission:
            await self.images.keep(submission.data)
            expires = None if self.images.kept else expiry(submission.received, self.settings.image_minutes)
            entry = await asyncio.wrap_future(self.parts.worker.submit(submission, expires))
        self.images.recent.put(entry.id, submission.data)
        self.metrics.prediction(entry.outcome, entry.timings_ms)
        if self.shadow is not None:
            self.shadow.observe(entry.id, submission)
        return StoredPrediction(entry.id, entry.body)

    def notes(self) -> tuple[str, ...]:
        """What the operator should know at the start: about the bundle, the images, other systems, and the log."""
        return (*self.predictor.notes, self.images.note, *self.exchange.notes(), *self.log.store.notes())

    async def reload(self) -> None:
        """Open the bundle again, as it is now on disk, and let it take over; if it cannot be used, the old one stays.

        Requests that run keep the bundle that they began with.
        """
        try:
            parts = await asyncio.to_thread(open_parts, self.settings, self.images, self.log, self.exchange.enqueue)
        except LesionLensError as error:
            LOG.error(json.dumps({"reload": "refused", "bundle": self.predictor.bundle.id, "error": str(error)}))
            return
        former, self.parts = self.parts, parts
        self.metrics.build(parts.labels)
        LOG.warning(json.dumps({"reload": "done", "bundle": parts.predictor.bundle.id, "former": former.predictor.bundle.id}))
        await asyncio.sleep(RELOAD_SECONDS)  # until no request is between two steps of the former parts
        await asyncio.to_thread(former.close)
        self._former_deaths += former.decoders.deaths

    async def not_ready(self) -> str:
        """Why the server takes no predictions; empty if it does."""
        if self.stopping:
            return "stopping"
        if self.log.damaged:
            return f"{DAMAGED}; {RESTORE}"
        if self.log.failure or self.log.store.is_remote:
            try:
                await asyncio.wrap_future(self.log.submit(probe if self.log.failure else reach))
            except Problem as problem:
                return f"the prediction log cannot be {'reached' if problem.code == 'record_unavailable' else 'written'}"
            self.log.failure = ""
        return ""

    async def record_refusal(self, scope: MutableMapping[str, Any], problem: Problem) -> None:
        """Count a refusal; log it, on disk, if the request was about predictions and wrote or lacked permission.

        If the log cannot be written, the refusal is sent all the same: it tells nothing.
        """
        self.metrics.refusal(problem.code)
        if not scope["path"].startswith("/v1/") or (scope["method"] not in WRITING and problem.status not in LOGGED_OF_READERS):
            return
        state = scope["state"]
        operation = f"{scope['method']} {getattr(scope.get('route'), 'path', '')}"[:100].strip()
        await self.log_refusal(
            Refusal(timestamp(), state["request_id"], state["token_name"], operation, problem.status, problem.code)
        )

    async def log_refusal(self, refusal: Refusal) -> None:
        """Log a refusal, on disk; if that cannot be, it is counted."""
        try:
            await asyncio.wrap_future(self.log.submit(lambda connection: self.refusals.insert(connection, refusal)))
        except Problem:
            self.metrics.refusal("refusal_unrecorded")

    def model_info(self, caller: Caller) -> dict[str, Any]:
        """The response of GET /v1/model."""
        bundle, facts = self.predictor.bundle, self.predictor.bundle.facts
        return {
            "bundle": {
                **vars(self.predictor.bundle_variant),
                "runtime": self.predictor.runtime,
                "why": self.predictor.why,
            },
            "labels": facts["labels"]["diagnoses"],
            **{name: facts[name] for name in ("input", "scores", "intended_use")},
            "limits": {"upload_bytes": self.settings.upload_bytes, "pixels": self.settings.pixels},
            "card": (bundle.path / CARD_FILE).read_text(encoding="utf-8"),
            "card_html": self.parts.card_html,
            **{name: facts.get(name) for name in ("decision", "gate", "metadata")},
            "access": {"tokens_required": self.access.required, "role": caller.role, "name": caller.name},
        }

    def close(self) -> None:
        """Finish what has begun, and close everything."""
        self.exchange.close()
        self.parts.close()
        if self.shadow is not None:
            self.shadow.close()
        self.log.close()
        self.history.close()

    def _counts(self) -> dict[str, tuple[str, Callable[[], float]]]:
        return {
            "lesionlens_decoder_deaths": ("Decoders that a limit, a crash or the system ended.", self._deaths),
            **self.exchange.counts(),
            **({} if self.shadow is None else self.shadow.counts()),
        }

    def _deaths(self) -> int:
        return self._former_deaths + self.parts.decoders.deaths

    def _gauges(self) -> dict[str, tuple[str, Callable[[], float]]]:
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "lesionlens_predictions_active": ("Running predictions.", lambda: self.admission.active),
            "lesionlens_predictions_waiting": ("Waiting predictions.", lambda: self.admission.waiting),
            "lesionlens_upload_bytes": ("Bytes of uploads in memory.", lambda: self.budget.used),
            "lesionlens_recent_image_bytes": ("Bytes of images in memory, to be seen again.", lambda: self.images.recent.held),
            "lesionlens_record_writable": ("1 while the prediction log can be written.", lambda: not self.log.failure),
            "lesionlens_ready": ("1 while predictions are taken.", lambda: not self.stopping),
            **self.exchange.gauges(),
        }
        if not self.log.store.is_remote:
            gauges["lesionlens_record_bytes"] = ("Size of the prediction log.", self.log.store.size_bytes)
        return gauges

    def metadata_of(self, upload: Upload) -> Metadata:
        """What a form says of the patient; the site of the lesion only where the bundle takes it.

        Raises:
            Problem: `invalid_parameter`, if a value is not known, or the bundle does not take it.
        """
        used = self.predictor.metadata.fields if self.predictor.metadata else ()
        texts = {name: text for name, text in upload.metadata.items() if name in used or name not in SUBJECT_FIELDS}
        try:
            metadata = read_metadata(texts, "the form")
            self.predictor.check_metadata(metadata)
        except DataError as error:
            raise Problem("invalid_parameter", str(error)) from error
        return metadata
