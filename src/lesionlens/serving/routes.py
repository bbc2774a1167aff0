"""The addresses of the API; what OpenAPI says of them stands in `openapi`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response, StreamingResponse

from lesionlens.serving.access import Caller
from lesionlens.serving.facts import gauges, model_facts
from lesionlens.serving.history import Filter
from lesionlens.serving.identifiers import PATTERN, is_identifier
from lesionlens.serving.metrics import MEDIA_TYPE as METRICS_TYPE
from lesionlens.serving.prediction_log import insert_review, timestamp
from lesionlens.serving.problems import Problem
from lesionlens.serving.schemas import Moment, Outcome, ReviewIn
from lesionlens.serving.service import Service
from lesionlens.serving.sheet import MEDIA_TYPE as CSV_TYPE
from lesionlens.serving.sheet import csv_lines
from lesionlens.serving.upload import media_type, plain_text, read_body

REVIEW_BYTES = 64 * 1024
PRINTABLE = "^[^\\x00-\\x1f]*$"  # SQLite ends a text at its first NUL
OTHER_CONCLUSIONS = ("other", "unusable")
NO_SUCH = "there is no prediction of that id"

router = APIRouter()


def service_of(request: Request) -> Service:
    """The running service."""
    service: Service = request.app.state.service
    return service


@router.post("/v1/predictions", status_code=201)
async def create_prediction(request: Request, frame: Annotated[int, Query(ge=0, le=1_000_000)] = 0) -> Response:
    """Send one dermoscopic image and get an answer."""
    entry = await service_of(request).predict(request, frame)
    return Response(entry.answer.encode(), 201, {"Location": f"/v1/predictions/{entry.id}"}, "application/json")


@router.get("/v1/predictions")
async def list_predictions(
    request: Request,
    outcome: Outcome | None = None,
    diagnosis: Annotated[str | None, Query(pattern="^[A-Za-z0-9_-]{1,32}$")] = None,
    reviewed: bool | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    q: Annotated[str, Query(max_length=200, pattern=PRINTABLE)] = "",
    limit: Annotated[int | None, Query(ge=1, le=500)] = None,
    cursor: Annotated[str, Query(pattern=f"({PATTERN})|^$")] = "",
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format")] = None,
) -> Response:
    """List answers, newest first: all of them for the role review, a token's own for the role predict."""
    service = service_of(request)
    caller = service.caller(request)
    wanted = Filter(outcome, diagnosis, reviewed, since, until, q, _only(caller))
    if form == "csv" or (form is None and _prefers_csv(request)):
        rows = (
            service.history.pages(wanted, before=cursor)
            if limit is None
            else iter(await asyncio.to_thread(service.history.page, wanted, limit, cursor))
        )
        lines = csv_lines(rows, service.predictor.bundle.labels.codes)
        headers = {"Content-Disposition": 'attachment; filename="lesionlens.csv"'}
        return StreamingResponse(lines, headers=headers, media_type=CSV_TYPE)
    limit = limit or 50
    items = await asyncio.to_thread(service.history.page, wanted, limit + 1, cursor)
    following = items[limit - 1]["id"] if len(items) > limit else None
    return JSONResponse({"items": items[:limit], "next": following})


@router.get("/v1/predictions/{id}")
async def read_prediction(request: Request, id: str) -> Response:
    """Read one answer with its newest review."""
    service = service_of(request)
    caller = service.caller(request)
    return JSONResponse(await asyncio.to_thread(service.history.answer, _checked(id), _only(caller)))


@router.get("/v1/predictions/{id}/maps/{code}.png")
async def read_map(request: Request, id: str, code: str, style: Literal["map", "overlay"] = "map") -> Response:
    """Draw where the evidence for one diagnosis lies: alone and transparent, or over the image."""
    service = service_of(request)
    caller = service.caller(request)
    found = await asyncio.to_thread(service.history.maps, _checked(id), _only(caller))
    picture, limit = await service.draw(found, code, style)
    return Response(bytes(picture), headers={"X-Map-Limit": f"{limit:.6g}"}, media_type="image/png")


@router.post("/v1/predictions/{id}/review", status_code=201)
async def review_prediction(request: Request, id: str) -> Response:
    """Record what a person concluded; the newest review is shown, all are kept."""
    service = service_of(request)
    caller = service.caller(request)
    caller.require_review()
    review = await _review(request, service)
    await asyncio.to_thread(service.history.answer, _checked(id))
    kept = {"conclusion": review.conclusion, "note": review.note, "reviewer": caller.name, "created": timestamp()}
    request_id = request.state.request_id
    done = service.record.submit(lambda connection: insert_review(connection, id, request_id, kept))
    if not await asyncio.wrap_future(done):
        raise Problem("prediction_not_found", NO_SUCH)
    return JSONResponse(kept, 201, {"Location": f"/v1/predictions/{id}"})


@router.get("/v1/model")
async def read_model(request: Request) -> Response:
    """What answers here: bundle, card, scores, limits."""
    service = service_of(request)
    return JSONResponse(model_facts(service, service.caller(request)))


@router.get("/healthz")
async def healthz() -> Response:
    """The process is alive."""
    return JSONResponse({"status": "alive", "reason": ""})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """The server takes predictions; 503 with the reason while it does not."""
    reason = await service_of(request).not_ready()
    return JSONResponse({"status": "not ready" if reason else "ready", "reason": reason}, 503 if reason else 200)


@router.get("/metrics")
async def read_metrics(request: Request) -> Response:
    """Counters in Prometheus' text format."""
    service = service_of(request)
    service.caller(request)
    bundle = service.predictor.bundle
    build = {"bundle": bundle.id, "name": bundle.name, "variant": service.predictor.variant.name}
    return Response(service.metrics.text(gauges(service), build), media_type=METRICS_TYPE)


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """The page."""
    return _page_file(request, "index.html")


@router.get("/{name}", include_in_schema=False)
async def page_file(request: Request, name: str) -> Response:
    """A file of the page."""
    return _page_file(request, name)


def _page_file(request: Request, name: str) -> Response:
    found = request.app.state.page.get(name)
    if found is None:
        raise Problem("not_found", "there is nothing at this address; GET /openapi.json says what there is")
    headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=headers)
    return Response(found.data, headers=headers, media_type=found.media_type)


async def _review(request: Request, service: Service) -> ReviewIn:
    if media_type(request.headers.get("content-type", ""))[0] != "application/json":
        raise Problem("unsupported_media_type", "send the review as application/json")
    with service.budget.share() as share:
        body = await read_body(request, REVIEW_BYTES, service.settings.upload_seconds, share)
        try:
            review = ReviewIn.model_validate_json(bytes(body))
        except ValidationError as error:
            raise Problem("invalid_parameter", validation_detail(error.errors())) from error
    known = (*service.predictor.bundle.labels.codes, *OTHER_CONCLUSIONS)
    if review.conclusion not in known:
        raise Problem("invalid_parameter", f"conclusion must be one of {', '.join(known)}")
    return ReviewIn(conclusion=review.conclusion, note=plain_text(review.note, keep="\n\t"))


def validation_detail(errors: Any) -> str:
    """What is wrong with parameters, without their values: those may speak of patients."""
    texts = (f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors)
    return "; ".join(texts)[:500]


def _checked(id_: str) -> str:
    if not is_identifier(id_):
        raise Problem("prediction_not_found", NO_SUCH)
    return id_


def _only(caller: Caller) -> str | None:
    return None if caller.may_review else caller.name


def _prefers_csv(request: Request) -> bool:
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return "text/csv" in accepted and "application/json" not in accepted
