"""The routes of batches: many images in one request, and how far they are."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from lesionlens.serving import examples, openapi
from lesionlens.serving.callers import From, service_of
from lesionlens.serving.openapi import BATCHES, CALLERS, json_examples, responses
from lesionlens.serving.schemas import Batch

EVENTS_TYPE = "text/event-stream"

router = APIRouter()


@router.post(
    "/v1/batches",
    status_code=202,
    response_model=Batch,
    responses=responses(
        *(*CALLERS, *openapi.BODIES, "stopping"), status=202, headers=("Location",), content=json_examples(batch=examples.BATCH)
    ),
    openapi_extra=openapi.request_body(openapi.BATCH),
)
async def create_batch(request: Request, caller: From) -> Response:
    """Send up to 100 images at once; they are predicted one after the other, and each appears in the log."""
    service = service_of(request)
    service.check_running()
    batch = await service.batches.create(request, caller)
    return JSONResponse(batch.to_json(), 202, {"Location": f"batches/{batch.id}"})


@router.get(
    "/v1/batches/{id}",
    response_model=Batch,
    responses=responses(*(*CALLERS, *BATCHES), content=json_examples(batch=examples.BATCH)),
)
async def read_batch(request: Request, caller: From, id: str) -> Response:
    """Ask how far a batch is, and for the predictions of its images."""
    return JSONResponse(service_of(request).batches.get(id, caller).to_json())


@router.get(
    "/v1/batches/{id}/events",
    response_class=StreamingResponse,
    responses=responses(*(*CALLERS, *BATCHES), content={EVENTS_TYPE: {"schema": {"type": "string"}, "example": examples.EVENTS}}),
)
async def listen_to_batch(request: Request, caller: From, id: str) -> Response:
    """Listen to a batch: an event `item` for each image that is done or refused, then `end` (server-sent events)."""
    batches = service_of(request).batches
    return StreamingResponse(batches.events(batches.get(id, caller)), media_type=EVENTS_TYPE)
