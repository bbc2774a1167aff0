"""The parts of one running server: bundle, decoders, prediction log, access control, limits."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from lesionlens.bundle.bundle import CARD_FILE
from lesionlens.bundle.card_html import read_card_html
from lesionlens.bundle.runtime import Predictor
from lesionlens.core.errors import StorageError
from lesionlens.core.labels import LabelSet
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

LOGGED_OF_READERS = (401, 403, 429)
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
        self.log = PredictionLog(settings.record)
        self.predictor = Predictor(
            settings.bundle,
            runtime=settings.runtime,
            variant=settings.variant,
            threads=settings.threads,
            batch_size=settings.batch_size,
            streams=settings.streams,
        )
        self.card_html = read_card_html(self.predictor.bundle)
        limits = DecodeLimits(settings.pixels, settings.decode_bytes, settings.decode_seconds)
        self.decoders = Decoders(self.predictor.bundle.spec, limits, settings.decoders)
        self.worker = Worker(self.predictor, self.decoders, self.log)
        self.history = History(settings.record)
        self.guard = Guard(settings.hosts, not self.access.required)
        self.admission = Admission(settings.max_active, settings.queue)
        self.budget = Budget(UPLOADS_IN_MEMORY * settings.upload_bytes)
        self.rate = RateLimit(settings.rate if self.access.required else 0)
        self.ids = Identifiers()
        self.refusals = RefusalLog()
        self.recent = RecentImages(settings.image_bytes, 60 * settings.image_minutes)
        self.kept = KeptImages(images_folder(settings.record)) if settings.keep_images else None
        self.stopping = False
        bundle = self.predictor.bundle_variant
        self.metrics = Metrics({"bundle": bundle.id, "name": bundle.name, "variant": bundle.variant}, self._gauges())

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

    async def predict(self, request: Request, caller: Caller, frame: int) -> LogEntry:
        """Predict one upload. On return, the prediction is on disk.

        Raises:
            Problem: if it is refused.
        """
        self.rate.take(caller.name)
        if self.stopping:
            raise Problem("stopping", "the server is stopping; send the image again in a moment", {"Retry-After": "5"})
        self.admission.check()
        with self.budget.share() as share:
            limit = self.settings.upload_bytes
            upload = await read_upload(request, limit, self.settings.upload_seconds, share)
            async with self.admission:
                submission = Submission(
                    id=self.ids.new(),
                    request_id=request.state.request_id,
                    token_name=caller.name,
                    file_name=upload.name if self.settings.file_names and upload.name else None,
                    frame=frame,
                    data=upload.data,
                    received=datetime.now(UTC),
                )
                await self._keep(submission)
                expires = None if self.kept else expiry(submission.received, self.settings.image_minutes)
                entry = await asyncio.wrap_future(self.worker.submit(submission, expires))
            self.recent.put(entry.id, upload.data)
        self.metrics.prediction(entry.outcome, entry.timings_ms)
        return entry

    async def draw(self, maps: Maps, code: str, style: str) -> tuple[Buffer, float]:
        """A heat map as PNG, and the raw value of its highest colour: one scale for all maps of a prediction.

        Args:
            maps: the maps and their prediction.
            code: the diagnosis.
            style: `map` or `overlay`.

        Raises:
            Problem: `map_not_found`, or `image_gone` for an overlay.
        """
        prediction, limit = maps.prediction, float(maps.maps.max(initial=0.0))
        codes, image = prediction["maps"]["codes"], prediction["image"]
        if code not in codes:
            raise Problem("map_not_found", f"heat maps are of {', '.join(codes)}")
        map_ = maps.maps[codes.index(code)]
        data = map_.tobytes()
        head = {"operation": style, "shape": map_.shape, "map_bytes": len(data), "limit": limit}
        if style == "overlay":
            data += await self.image(prediction["id"], prediction["input_sha256"])
            head |= {"title": _title(prediction, code), "frame": image["frame"]}
        else:
            head["size"] = [image["width"], image["height"]]
        _, picture = await asyncio.wrap_future(self.decoders.submit(head, data))
        return picture, limit

    async def not_ready(self) -> str:
        """Why the server takes no predictions; empty if it does."""
        if self.stopping:
            return "stopping"
        if self.log.failure:
            try:
                await asyncio.wrap_future(self.log.submit(probe))
            except Problem:
                return "the prediction log cannot be written"
            self.log.failure = ""
        return ""

    async def image(self, id_: str, sha256: str) -> bytes:
        """The upload of a prediction.

        Raises:
            Problem: `image_gone`.
        """
        image = self.recent.get(id_)
        if image is None and self.kept is not None:
            image = await asyncio.to_thread(self.kept.get, sha256)
        if image is None:
            raise Problem("image_gone", "images stay in memory for some minutes only; lay style=map over your own copy")
        return image

    async def record_refusal(self, scope: MutableMapping[str, Any], problem: Problem) -> None:
        """Count a refusal; log it, on disk, if the request was about predictions and wrote or lacked permission.

        If the log cannot be written, the refusal is sent all the same: it tells nothing.
        """
        self.metrics.refusal(problem.code)
        if not scope["path"].startswith("/v1/") or (scope["method"] != "POST" and problem.status not in LOGGED_OF_READERS):
            return
        state = scope["state"]
        operation = f"{scope['method']} {getattr(scope.get('route'), 'path', '')}"[:100].strip()
        refusal = Refusal(timestamp(), state["request_id"], state["token_name"], operation, problem.status, problem.code)
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
            "card_html": self.card_html,
            **{name: facts.get(name) for name in ("decision", "gate")},
            "access": {"tokens_required": self.access.required, "role": caller.role, "name": caller.name},
        }

    def close(self) -> None:
        """Finish what has begun, and close everything."""
        self.worker.close()
        self.history.close()

    def _gauges(self) -> dict[str, tuple[str, Callable[[], float]]]:
        return {
            "lesionlens_predictions_active": ("Running predictions.", lambda: self.admission.active),
            "lesionlens_predictions_waiting": ("Waiting predictions.", lambda: self.admission.waiting),
            "lesionlens_upload_bytes": ("Bytes of uploads in memory.", lambda: self.budget.used),
            "lesionlens_recent_image_bytes": ("Bytes of images in memory for overlays.", lambda: self.recent.held),
            "lesionlens_record_bytes": ("Size of the prediction log.", self.log.size_bytes),
            "lesionlens_record_writable": ("1 while the prediction log can be written.", lambda: not self.log.failure),
            "lesionlens_decoder_deaths": ("Decoders replaced after a limit or a crash.", lambda: self.decoders.deaths),
            "lesionlens_ready": ("1 while predictions are taken.", lambda: not self.stopping),
        }

    async def _keep(self, submission: Submission) -> None:
        if self.kept is None:
            return
        sha256 = hashlib.sha256(submission.data).hexdigest()
        try:
            await asyncio.to_thread(self.kept.put, sha256, submission.data)
        except (StorageError, OSError) as error:
            raise Problem("record_unwritable", "the image cannot be kept, and without it there is no prediction") from error


def _title(prediction: dict[str, Any], code: str) -> str:
    row = next((row for row in prediction["probabilities"] if row["code"] == code), None)
    return code if row is None else f"{row['name']} ({code}), probability {row['probability']:.2f}"
