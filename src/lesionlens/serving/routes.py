"""The routes of the API and the page."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from lesionlens.serving import examples, metrics, openapi
from lesionlens.serving.batch_routes import router as batch_router
from lesionlens.serving.callers import From, checked_id, service_of, visible_to
from lesionlens.serving.case_routes import router as case_router
from lesionlens.serving.exchange_routes import router as exchange_router
from lesionlens.serving.export import CSV_TYPE, csv_lines
from lesionlens.serving.history import Filter
from lesionlens.serving.identifiers import PATTERN
from lesionlens.serving.json_bodies import read_json_body
from lesionlens.serving.openapi import CALLERS, PREDICTIONS, SEARCHES, json_examples, responses
from lesionlens.serving.prediction_log import insert_review, timestamp
from lesionlens.serving.problems import NO_ADDRESS, Problem
from lesionlens.serving.schemas import Health, HeatMap, ModelInfo, Moment, Outcome, Prediction, PredictionPage, Review, ReviewIn
from lesionlens.serving.service import Service
from lesionlens.serving.shadow_routes import router as shadow_router
from lesionlens.serving.similar_routes import router as similar_router
from lesionlens.serving.upload import plain_text
from lesionlens.serving.worklist_routes import router as worklist_router

IMAGE_SIDE = 2048  # pixels; a zoom of five on most screens
PRINTABLE = "^[^\\x00-\\x1f]*$"  # SQLite ends a text at its first NUL
OTHER_CONCLUSIONS = ("other", "unusable")
NO_PREDICTION = "there is no prediction with that id"
ALIVE = {"status": "alive", "reason": ""}

router = APIRouter()
router.include_router(batch_router)
router.include_router(exchange_router)
router.include_router(shadow_router)
router.include_router(case_router)
router.include_router(similar_router)
router.include_router(worklist_router)


@router.post(
    "/v1/predictions",
    status_code=201,
    response_model=Prediction,
    responses=responses(
        *(*CALLERS, *openapi.BODIES, *openapi.IMAGES),
        status=201,
        headers=("Location",),
        content=json_examples(diagnosis=examples.PREDICTION, not_usable=examples.UNUSABLE),
    ),
    openapi_extra={**openapi.request_body(openapi.UPLOAD), "parameters": [openapi.IDEMPOTENCY_KEY]},
)
async def create_prediction(request: Request, caller: From, frame: Annotated[int, Query(ge=0, le=1_000_000)] = 0) -> Response:
    """Send one dermoscopic image and get its prediction."""
    made = await service_of(request).predict(request, caller, frame)
    headers = {"Location": f"predictions/{made.id}"} | ({"Idempotent-Replayed": "true"} if made.replayed else {})
    return Response(made.body.encode(), 201, headers, "application/json")


@router.get(
    "/v1/predictions",
    response_model=PredictionPage,
    responses=responses(
        *(*CALLERS, *SEARCHES),
        content={**json_examples(page=examples.PAGE), "text/csv": {"schema": {"type": "string"}, "example": examples.CSV}},
    ),
)
async def list_predictions(
    request: Request,
    caller: From,
    outcome: Outcome | None = None,
    diagnosis: Annotated[str | None, Query(pattern="^[A-Za-z0-9_-]{1,32}$")] = None,
    reviewed: bool | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    q: Annotated[str, Query(max_length=200, pattern=PRINTABLE)] = "",
    limit: Annotated[int | None, Query(ge=1, le=500)] = None,
    cursor: Annotated[str, Query(pattern=f"({PATTERN})|^$")] = "",
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format")] = None,
    bom: Annotated[bool, Query(description="Begin the CSV with a byte order mark, for Excel.")] = False,
) -> Response:
    """List predictions, newest first: all of them for the role review, a token's own for the role predict."""
    service = service_of(request)
    conditions = Filter(outcome, diagnosis, reviewed, since, until, q, visible_to(caller))
    if form == "csv" or (form is None and _prefers_csv(request)):
        rows = (
            service.history.pages(conditions, before=cursor)
            if limit is None
            else iter(await asyncio.to_thread(service.history.page, conditions, limit, cursor))
        )
        headers = {"Content-Disposition": 'attachment; filename="lesionlens.csv"'}
        return StreamingResponse(csv_lines(rows, service.labels.codes, bom), headers=headers, media_type=CSV_TYPE)
    limit = limit or 50
    items = await asyncio.to_thread(service.history.page, conditions, limit + 1, cursor)
    following = items[limit - 1]["id"] if len(items) > limit else None
    return JSONResponse({"items": items[:limit], "next": following})


@router.get(
    "/v1/predictions/{id}",
    response_model=Prediction,
    responses=responses(*(*CALLERS, *PREDICTIONS), content=json_examples(reviewed=examples.PAGE["items"][0])),
)
async def read_prediction(request: Request, caller: From, id: str) -> Response:
    """Read one prediction with its newest review."""
    history = service_of(request).history
    return JSONResponse(await asyncio.to_thread(history.prediction, checked_id(id), visible_to(caller)))


@router.get(
    "/v1/predictions/{id}/maps/{code}.png",
    response_class=Response,
    responses=responses(
        *(*CALLERS, *PREDICTIONS, "map_not_found", "image_gone"),
        headers=("X-Map-Limit",),
        content={"image/png": openapi.BINARY},
    ),
)
async def read_map(request: Request, caller: From, id: str, code: str, style: Literal["map", "overlay"] = "map") -> Response:
    """Draw where the evidence for one diagnosis lies: alone and transparent, or over the image."""
    service = service_of(request)
    maps = await asyncio.to_thread(service.history.maps, checked_id(id), visible_to(caller))
    picture, limit = await service.drawings.map(maps, code, style)
    return Response(bytes(picture), headers={"X-Map-Limit": f"{limit:.6g}"}, media_type="image/png")


@router.get(
    "/v1/predictions/{id}/maps/{code}.json",
    response_model=HeatMap,
    responses=responses(*(*CALLERS, *PREDICTIONS, "map_not_found"), content=json_examples(map=examples.HEAT_MAP)),
)
async def read_map_values(request: Request, caller: From, id: str, code: str) -> Response:
    """Read the values of a heat map, and which part of the image they cover."""
    service = service_of(request)
    maps = await asyncio.to_thread(service.history.maps, checked_id(id), visible_to(caller))
    return JSONResponse(service.drawings.map_values(maps, code))


@router.get(
    "/v1/predictions/{id}/image.png",
    response_class=Response,
    responses=responses(*(*CALLERS, *PREDICTIONS, "image_gone"), content={"image/png": openapi.BINARY}),
)
async def read_image(
    request: Request, caller: From, id: str, side: Annotated[int, Query(ge=16, le=IMAGE_SIDE)] = IMAGE_SIDE
) -> Response:
    """Draw the image alone, upright and in sRGB, while the server has it: the lesion as it is."""
    service = service_of(request)
    prediction = await asyncio.to_thread(service.history.prediction, checked_id(id), visible_to(caller))
    return Response(bytes(await service.drawings.image(prediction, side)), media_type="image/png")


@router.post(
    "/v1/predictions/{id}/review",
    status_code=201,
    response_model=Review,
    responses=responses(
        *(*CALLERS, *openapi.BODIES, *PREDICTIONS, "role_missing"),
        status=201,
        headers=("Location",),
        content=json_examples(review=examples.REVIEW),
    ),
    openapi_extra=openapi.request_body(openapi.REVIEW),
)
async def review_prediction(request: Request, caller: From, id: str) -> Response:
    """Record what a person concluded; the newest review is shown, all are kept."""
    service = service_of(request)
    caller.require_review()
    review = await _review(request, service)
    await asyncio.to_thread(service.history.prediction, checked_id(id))
    stored = {"conclusion": review.conclusion, "note": review.note, "reviewer": caller.name, "created": timestamp()}
    request_id = request.state.request_id
    written = service.log.submit(lambda connection: insert_review(connection, id, request_id, stored))
    if not await asyncio.wrap_future(written):
        raise Problem("prediction_not_found", NO_PREDICTION)
    return JSONResponse(stored, 201, {"Location": f"../{id}"})


@router.get(
    "/v1/model",
    response_model=ModelInfo,
    responses=responses(*CALLERS, content=json_examples(model=examples.MODEL)),
)
async def read_model(request: Request, caller: From) -> Response:
    """Describe the model: bundle, card, scores, limits."""
    return JSONResponse(service_of(request).model_info(caller))


@router.get(
    "/healthz", response_model=Health, responses=responses(content=json_examples(alive=ALIVE)), openapi_extra=openapi.OPEN
)
async def healthz() -> Response:
    """The process is alive."""
    return JSONResponse(ALIVE)


READYZ = responses(content=json_examples(ready={"status": "ready", "reason": ""}))
READYZ[503] |= {"model": Health}
READYZ[503]["content"] |= json_examples(stopping={"status": "not ready", "reason": "stopping"})


@router.get("/readyz", response_model=Health, responses=READYZ, openapi_extra=openapi.OPEN)
async def readyz(request: Request) -> Response:
    """The server takes predictions; 503 with the reason while it does not."""
    reason = await service_of(request).not_ready()
    return JSONResponse({"status": "not ready" if reason else "ready", "reason": reason}, 503 if reason else 200)


@router.get(
    "/metrics",
    response_class=Response,
    responses=responses(*CALLERS, content={metrics.MEDIA_TYPE: {"schema": {"type": "string"}, "example": examples.METRICS}}),
)
async def read_metrics(request: Request, caller: From) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(service_of(request).metrics.text(), media_type=metrics.MEDIA_TYPE)


@router.get("/", include_in_schema=False)
@router.get("/{name}", include_in_schema=False)
async def page_file(request: Request, name: str = "index.html") -> Response:
    """The page, or one of its files."""
    file = request.app.state.page.get(name)
    if file is None:
        raise Problem("not_found", NO_ADDRESS)
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.data, headers=headers, media_type=file.media_type)


async def _review(request: Request, service: Service) -> ReviewIn:
    review = await read_json_body(request, service, ReviewIn)
    known = (*service.labels.codes, *OTHER_CONCLUSIONS)
    if review.conclusion not in known:
        raise Problem("invalid_parameter", f"conclusion must be one of {', '.join(known)}")
    return ReviewIn(conclusion=review.conclusion, note=plain_text(review.note, keep="\n\t"))


def _prefers_csv(request: Request) -> bool:
    accepted = [entry.partition(";")[0].strip().lower() for entry in request.headers.get("accept", "").split(",")]
    return "text/csv" in accepted and "application/json" not in accepted
