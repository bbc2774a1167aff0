"""Many images in one request, predicted one after the other; how far they are can be asked, or listened to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from lesionlens.serving.access import Caller
from lesionlens.serving.entries import Submission
from lesionlens.serving.prediction_log import timestamp
from lesionlens.serving.problems import Problem, problem_json
from lesionlens.serving.refusals import Refusal
from lesionlens.serving.subjects import read_subject
from lesionlens.serving.upload import Upload, check_size, read_uploads

if TYPE_CHECKING:
    from lesionlens.serving.service import Service

MOST_IMAGES = 100
MOST_BATCHES = 100
KEPT = timedelta(hours=1)  # after the last image; the predictions stay in the log
AT_ONCE = 2  # of one batch, so that others are served meanwhile
UPLOAD_FACTOR = 3  # of the time that one image may take to arrive
AGAIN = ("busy", "rate_limited", "record_unavailable")  # waited for, not refused
LISTEN_SECONDS = 1.0
ROUTE = "POST /v1/batches"


@dataclass
class Item:
    """One image of a batch.

    Attributes:
        number: in the order of the form, from 0.
        file_name: as sent, or None.
        state: `waiting`, `done` or `refused`.
        prediction: its id, once it is done.
        problem: RFC 9457 problem details, once it is refused.
    """

    number: int
    file_name: str | None
    state: str = "waiting"
    prediction: str | None = None
    problem: dict[str, Any] | None = None


@dataclass
class ImageBatch:
    """The images of one request and how far they are.

    Attributes:
        id: of the batch.
        token_name: of the caller.
        request_id: of the request; the predictions carry it too.
        sees_all: whether the caller may see the predictions of others.
        created: UTC.
        items: in the order of the form.
        ended: the items that are done or refused, in that order.
        changed: notified whenever one is.
    """

    id: str
    token_name: str
    request_id: str
    sees_all: bool
    created: datetime
    items: list[Item]
    ended: list[Item] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def finished(self) -> bool:
        """Whether every image is done or refused."""
        return len(self.ended) == len(self.items)

    def to_json(self) -> dict[str, Any]:
        """As `Batch` in `schemas`."""
        counts = {state: sum(item.state == state for item in self.items) for state in ("waiting", "done", "refused")}
        items = [vars(item) for item in self.items]
        return {"id": self.id, "created": timestamp(self.created), "finished": self.finished, **counts, "items": items}


class ImageBatches:
    """The batches of one server; they are in memory, and end with it.

    Args:
        service: whose limits, decoders and log they use.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._batches: dict[str, ImageBatch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def create(self, request: Request, caller: Caller) -> ImageBatch:
        """Take the images of a form, and begin to predict them.

        Raises:
            Problem: if the form cannot be used, or there is no room for it.
        """
        service, settings = self._service, self._service.settings
        self._forget_old()
        with ExitStack() as stack:
            share = stack.enter_context(service.budget.share())
            most, seconds = service.budget.most, UPLOAD_FACTOR * settings.upload_seconds
            uploads = await read_uploads(request, most, seconds, share, MOST_IMAGES)
            names = [upload.name if settings.file_names and upload.name else None for upload in uploads]
            batch = ImageBatch(
                id=service.ids.new(),
                token_name=caller.name,
                request_id=request.state.request_id,
                sees_all=caller.may_review,
                created=datetime.now(UTC),
                items=[Item(number, name) for number, name in enumerate(names)],
            )
            self._batches[batch.id] = batch
            task = asyncio.create_task(self._run(batch, uploads, stack.pop_all()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return batch

    def get(self, id_: str, caller: Caller) -> ImageBatch:
        """A batch of this caller; of anybody for the role review.

        Raises:
            Problem: `batch_not_found`.
        """
        batch = self._batches.get(id_)
        if batch is None or not (caller.may_review or batch.token_name == caller.name):
            raise Problem("batch_not_found", "there is no batch with that id; batches are forgotten an hour after they were sent")
        return batch

    async def events(self, batch: ImageBatch) -> AsyncIterator[str]:
        """Server-sent events: `item` for each image that is done or refused, then `end`."""
        sent = 0
        while True:
            for item in batch.ended[sent:]:
                sent += 1
                yield _event("item", vars(item))
            if batch.finished or self._service.stopping:
                yield _event("end", {"finished": batch.finished})
                return
            try:
                async with batch.changed:
                    await asyncio.wait_for(batch.changed.wait(), LISTEN_SECONDS)
            except TimeoutError:
                yield ": waiting\n\n"

    async def finish(self) -> None:
        """Wait until the running batches have ended; once the server stops, their waiting images are refused."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, batch: ImageBatch, uploads: list[Upload], stack: ExitStack) -> None:
        """Predict all images, few at a time; `stack` gives their memory back at the end."""
        with stack:
            slots = asyncio.Semaphore(AT_ONCE)

            async def one(item: Item, upload: Upload) -> None:
                async with slots:
                    await self._predict(batch, item, upload)
                batch.ended.append(item)
                async with batch.changed:
                    batch.changed.notify_all()

            await asyncio.gather(*(one(item, upload) for item, upload in zip(batch.items, uploads, strict=True)))

    async def _predict(self, batch: ImageBatch, item: Item, upload: Upload) -> None:
        try:
            item.prediction, item.state = (await self._waited_for(batch, item, upload)), "done"
        except Problem as problem:
            item.problem, item.state = problem_json(problem.code, problem.detail, batch.request_id), "refused"
            refusal = Refusal(timestamp(), batch.request_id, batch.token_name, ROUTE, problem.status, problem.code)
            await self._service.log_refusal(refusal)

    async def _waited_for(self, batch: ImageBatch, item: Item, upload: Upload) -> str:
        service = self._service
        check_size(upload.data, service.settings.upload_bytes)
        while True:
            try:
                service.check_running()
                service.rate.take(batch.token_name)
                submission = Submission(
                    id=service.ids.new(),
                    request_id=batch.request_id,
                    token_name=batch.token_name,
                    file_name=item.file_name,
                    frame=0,
                    data=upload.data,
                    received=datetime.now(UTC),
                    metadata=service.metadata_of(upload),
                    subject=read_subject(upload.metadata),
                    sees_all=batch.sees_all,
                )
                return (await service.predict_submission(submission)).id
            except Problem as problem:
                if problem.code not in AGAIN:
                    raise
                await asyncio.sleep(float(problem.headers["Retry-After"]))

    def _forget_old(self) -> None:
        before = datetime.now(UTC) - KEPT
        for batch in [*self._batches.values()]:
            if batch.finished and (batch.created < before or len(self._batches) >= MOST_BATCHES):
                del self._batches[batch.id]
        if len(self._batches) >= MOST_BATCHES:
            raise Problem("busy", f"{MOST_BATCHES} batches are running; try again soon", {"Retry-After": "5"})


def _event(kind: str, data: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
