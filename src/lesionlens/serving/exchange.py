"""Other systems of a running server: images that arrive over DICOM, and results on their way out."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lesionlens.bundle.runtime import NOTHING_KNOWN
from lesionlens.core.database import Connection
from lesionlens.core.errors import LesionLensError
from lesionlens.interop import deliveries as queue
from lesionlens.interop.deliveries import Deliveries, Delivery, Send
from lesionlens.interop.fhir import MEDIA_TYPE, Study, fhir_bundle
from lesionlens.interop.senders import SIGNATURE, send_dicom, send_json, signature
from lesionlens.interop.settings import ExchangeSettings, read_secret
from lesionlens.interop.source_image import read_source, require_libraries
from lesionlens.interop.storage_provider import FAILURE, SUCCESS, AssociationCounts, Received, StorageProvider
from lesionlens.serving.access import Caller
from lesionlens.serving.dicom_results import dicom_results, result_of
from lesionlens.serving.entries import Submission
from lesionlens.serving.idempotency import key_hash
from lesionlens.serving.identifiers import request_id as new_request_id
from lesionlens.serving.metrics import Read
from lesionlens.serving.prediction_log import LogEntry, timestamp
from lesionlens.serving.problems import Problem
from lesionlens.serving.refusals import Refusal

if TYPE_CHECKING:
    from lesionlens.serving.service import Service

OPERATION = "C-STORE"
AGAIN = ("busy", "decoder_killed", "record_unavailable")  # waited for here: a camera does not send again
WAIT_SECONDS = 20.0
TOTAL_SECONDS = 60.0
OUT_OF_RESOURCES, CANNOT_UNDERSTAND, DUPLICATE = 0xA700, 0xC000, 0x0111  # PS3.4 B.2.3, PS3.7 C.5
STATUSES = {
    **dict.fromkeys(("busy", "idempotency_key_in_use", "stopping", "decoder_killed"), OUT_OF_RESOURCES),
    **dict.fromkeys(("record_unwritable", "record_unavailable", "record_damaged"), OUT_OF_RESOURCES),
    **dict.fromkeys(("image_unreadable", "image_too_large", "upload_too_large", "decoding_too_slow"), CANNOT_UNDERSTAND),
    "idempotency_key_reused": DUPLICATE,
}


class Exchange:
    """Receives images over DICOM and sends results, if the server was told to.

    Args:
        service: that predicts and logs.

    Raises:
        LesionLensError: if a library is missing, or a secret cannot be read.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.settings: ExchangeSettings = service.settings.exchange
        self._loop: asyncio.AbstractEventLoop | None = None
        self.provider: StorageProvider | None = None
        self._associations = AssociationCounts()
        self._token = "" if self.settings.fhir_token is None else read_secret(self.settings.fhir_token)
        self._key = "" if self.settings.webhook_key is None else read_secret(self.settings.webhook_key)
        self._check_libraries()
        self.deliveries = Deliveries(service.log.submit, self._targets())
        self._kinds = tuple(kind for kind in ("fhir", "webhook") if kind in self.settings.sends)

    def listen(self) -> None:
        """Open the port for DICOM; images are taken once the server has started.

        Raises:
            RecipeError: if the port is taken.
        """
        if self.settings.dicom_port is not None:
            most_bytes = self._service.settings.upload_bytes
            self.provider = StorageProvider(self.settings, most_bytes, self.receive, self._associations)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to take images, and to send."""
        self._loop = loop
        self.deliveries.start()

    def close(self) -> None:
        """Stop listening and sending; what waits stays in the log."""
        provider, self.provider = self.provider, None
        if provider is not None:
            provider.close()
        self.deliveries.close()

    def notes(self) -> tuple[str, ...]:
        """What the operator should know at the start."""
        if self.provider is None:
            return ()
        whom = "everybody" if not self.settings.dicom_allow else f"{len(self.settings.dicom_allow)} known peers"
        return (f"DICOM: {self.settings.dicom_ae} listens on {self.settings.dicom_host}:{self.provider.port} to {whom}",)

    def counts(self) -> dict[str, Read]:
        """Counters for the metrics; see `Metrics`."""
        deliveries = self.deliveries
        return {
            "lesionlens_deliveries_sent": ("Results that other systems took.", lambda: deliveries.sent),
            "lesionlens_delivery_failures": ("Attempts to send results that failed.", lambda: deliveries.failures),
            "lesionlens_dicom_associations_accepted": ("DICOM associations.", lambda: self._associations.accepted),
            "lesionlens_dicom_associations_rejected": ("Associations of unknown peers.", lambda: self._associations.rejected),
            "lesionlens_dicom_associations_broken": ("Associations that were broken off.", lambda: self._associations.broken),
        }

    def gauges(self) -> dict[str, Read]:
        """Gauges for the metrics; see `Metrics`."""
        return {"lesionlens_deliveries_waiting": ("Results that wait to be sent.", lambda: self.deliveries.waiting)}

    def enqueue(self, connection: Connection, entry: LogEntry, submission: Submission) -> None:
        """Queue what every prediction sends, in the commit that stores it."""
        if self._kinds:
            queue.insert(connection, entry.id, {kind: submission.study if kind == "fhir" else None for kind in self._kinds})
            self.deliveries.wake()

    def receive(self, received: Received) -> int:
        """Predict one image that arrived over DICOM, in the thread of its association; on success all of it is on disk."""
        if self._loop is None:
            return OUT_OF_RESOURCES  # the server is starting
        future: Future[None] = asyncio.run_coroutine_threadsafe(self._predict(received), self._loop)
        try:
            future.result(TOTAL_SECONDS)
        except Problem as problem:
            return STATUSES.get(problem.code, FAILURE)
        except TimeoutError:
            future.cancel()
            return OUT_OF_RESOURCES
        return SUCCESS

    async def _predict(self, received: Received) -> None:
        service, request_id, caller = self._service, new_request_id(""), Caller(f"dicom:{received.ae_title}", "predict")
        try:
            id_ = await self._waited_for(received, request_id, caller)
            if self.settings.dicom_target is not None:
                await self._queue_results(id_, received.data)
        except Problem as problem:
            service.metrics.refusal(problem.code)
            refusal = Refusal(timestamp(), request_id, caller.name, OPERATION, problem.status, problem.code)
            await service.log_refusal(refusal)
            raise

    async def _waited_for(self, received: Received, request_id: str, caller: Caller) -> str:
        """The id of the prediction: an instance that is sent again gets its first one."""
        service, until = self._service, time.monotonic() + WAIT_SECONDS
        key = key_hash(received.instance_uid, caller.name)
        study = await asyncio.to_thread(self._study, received.data)
        with service.keys.used(key):
            if made := await service.made_with(key, received.data, 0, NOTHING_KNOWN):
                return made.id
            while True:
                try:
                    service.check_running()
                    submission = Submission(
                        id=service.ids.new(),
                        request_id=request_id,
                        token_name=caller.name,
                        file_name=None,
                        frame=0,
                        data=received.data,
                        received=datetime.now(UTC),
                        key=key,
                        study=study,
                    )
                    return (await service.predict_submission(submission)).id
                except Problem as problem:
                    if problem.code not in AGAIN or time.monotonic() > until:
                        raise
                    await asyncio.sleep(float(problem.headers["Retry-After"]))

    def _study(self, data: bytes) -> bytes | None:
        """What a FHIR target is told of the study, where there is one; and that results can refer to the image at all.

        Raises:
            Problem: `image_unreadable`.
        """
        if not self.settings.sends:
            return None
        try:
            return Study.of(read_source(data, "the image")).to_bytes()
        except LesionLensError as error:
            raise Problem("image_unreadable", str(error)) from error

    async def _queue_results(self, id_: str, data: bytes) -> None:
        """Queue report and heat map of a prediction, unless they were queued before."""
        service = self._service
        done: set[str] = await asyncio.wrap_future(service.log.submit(lambda connection: queue.queued(connection, id_)))
        if "sr" in done:
            return
        contents = await dicom_results(service, id_, data)
        await asyncio.wrap_future(service.log.submit(lambda connection: queue.insert(connection, id_, contents)))
        self.deliveries.wake()

    def _check_libraries(self) -> None:
        if self.settings.dicom_port is not None:
            require_libraries("pydicom", "pynetdicom", "highdicom")
        if self.settings.fhir_target:
            require_libraries("fhir.resources")

    def _targets(self) -> list[dict[str, Send]]:
        targets: list[dict[str, Send]] = []
        if self.settings.dicom_target is not None:
            targets.append(dict.fromkeys(("sr", "sc"), self._send_dicom))
        if self.settings.fhir_target:
            targets.append({"fhir": self._send_fhir})
        if self.settings.webhook:
            targets.append({"webhook": self._send_webhook})
        return targets

    def _send_dicom(self, delivery: Delivery) -> None:
        assert self.settings.dicom_target is not None
        assert delivery.content is not None
        send_dicom(self.settings.dicom_target, delivery.content, self.settings.dicom_ae)

    def _send_fhir(self, delivery: Delivery) -> None:
        study = None if delivery.content is None else Study.from_bytes(delivery.content)
        content = fhir_bundle(result_of(self._service.history.prediction(delivery.prediction)), study, transaction=True)
        token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        send_json(self.settings.fhir_target, content, {"Content-Type": MEDIA_TYPE, **token})

    def _send_webhook(self, delivery: Delivery) -> None:
        prediction = self._service.history.prediction(delivery.prediction)
        content = webhook_body(prediction)
        signed = {SIGNATURE: signature(content, self._key)} if self._key else {}
        send_json(self.settings.webhook, content, {"Content-Type": "application/json", **signed})


def webhook_body(prediction: dict[str, Any]) -> bytes:
    """What a webhook is told: that a prediction was made, and the prediction without the name of its file."""
    told = {name: value for name, value in prediction.items() if name != "file_name"}
    return json.dumps({"event": "prediction.created", "prediction": told}, ensure_ascii=False).encode()
