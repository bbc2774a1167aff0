"""The routes of cases and lesions, of histology, and of the deletion of one prediction."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from lesionlens.serving import case_examples as examples
from lesionlens.serving import openapi
from lesionlens.serving.callers import From, checked_id, service_of, visible_to
from lesionlens.serving.case_schemas import Case, CasePage, Deleted, Histology, HistologyIn, Lesion, SubjectIn
from lesionlens.serving.deletion import delete_prediction
from lesionlens.serving.examples import PREDICTION
from lesionlens.serving.histology import OTHER, insert_histology
from lesionlens.serving.identifiers import PATTERN
from lesionlens.serving.json_bodies import read_json_body
from lesionlens.serving.openapi import CALLERS, CASES, LESIONS, PREDICTIONS, SEARCHES, json_body, json_examples, responses
from lesionlens.serving.prediction_log import timestamp
from lesionlens.serving.problems import Problem
from lesionlens.serving.schemas import Prediction
from lesionlens.serving.subjects import move, read_subject
from lesionlens.serving.upload import plain_text

NOT_FOUND = "there is no prediction with that id"
REASON = Query(max_length=200, description="Why, for the record; no names.")

router = APIRouter()


@router.get(
    "/v1/cases", response_model=CasePage, responses=responses(*CALLERS, *SEARCHES, content=json_examples(page=examples.CASES))
)
async def list_cases(
    request: Request,
    caller: From,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str, Query(pattern=f"({PATTERN})|^$")] = "",
) -> Response:
    """List cases, the one with the newest image first."""
    cases = service_of(request).cases
    items = await asyncio.to_thread(cases.page, limit + 1, cursor, visible_to(caller))
    following = items[limit - 1]["newest"] if len(items) > limit else None
    return JSONResponse({"items": items[:limit], "next": following})


@router.get(
    "/v1/cases/{case}", response_model=Case, responses=responses(*CALLERS, *CASES, content=json_examples(case=examples.CASE))
)
async def read_case(request: Request, caller: From, case: str) -> Response:
    """Read one case: its lesions over time, and images of no lesion."""
    return JSONResponse(await asyncio.to_thread(service_of(request).cases.case, case, visible_to(caller)))


@router.get(
    "/v1/lesions/{case}/{lesion}",
    response_model=Lesion,
    responses=responses(*CALLERS, *LESIONS, content=json_examples(lesion=examples.LESION)),
)
async def read_lesion(request: Request, caller: From, case: str, lesion: str) -> Response:
    """Read one lesion over time: images, visits, the spread of their predictions, histology."""
    return JSONResponse(await asyncio.to_thread(service_of(request).cases.lesion, case, lesion, visible_to(caller)))


@router.post(
    "/v1/lesions/{case}/{lesion}/histology",
    status_code=201,
    response_model=Histology,
    responses=responses(
        *(*CALLERS, *openapi.BODIES, *LESIONS, "role_missing", "histology_contradicts"),
        status=201,
        content=json_examples(histology=examples.HISTOLOGY),
    ),
    openapi_extra=openapi.request_body(json_body("HistologyIn", examples.HISTOLOGY_IN)),
)
async def enter_histology(request: Request, caller: From, case: str, lesion: str) -> Response:
    """Enter the histological diagnosis of a lesion; all entries are kept, the last one counts."""
    service = service_of(request)
    caller.require_review()
    sent = await read_json_body(request, service, HistologyIn)
    known = (*service.labels.codes, OTHER)
    if sent.dx not in known:
        raise Problem("invalid_parameter", f"dx must be one of {', '.join(known)}")
    if sent.correction and not sent.note.strip():
        raise Problem("invalid_parameter", "a correction needs its reason as `note`")
    note, request_id = plain_text(sent.note, keep="\n\t"), request.state.request_id
    entry = {"dx": sent.dx, "note": note, "correction": sent.correction, "created": timestamp(), "who": caller.name}
    written = service.log.submit(lambda connection: insert_histology(connection, case, lesion, request_id, entry))
    await asyncio.wrap_future(written)
    return JSONResponse(entry, 201)


@router.put(
    "/v1/predictions/{id}/subject",
    response_model=Prediction,
    responses=responses(
        *(*CALLERS, *openapi.BODIES, *PREDICTIONS, "role_missing", "lesion_contradicts"),
        content=json_examples(prediction=PREDICTION),
    ),
    openapi_extra=openapi.request_body(json_body("SubjectIn", examples.SUBJECT)),
)
async def assign_prediction(request: Request, caller: From, id: str) -> Response:
    """Say which case, lesion, site and day an image belongs to; what was said before is kept."""
    service = service_of(request)
    caller.require_review()
    sent = await read_json_body(request, service, SubjectIn)
    subject = read_subject({name: value or "" for name, value in sent.model_dump().items()}, "the body")
    change = {"created": timestamp(), "request_id": request.state.request_id, "who": caller.name}
    known = checked_id(id)
    if not await asyncio.wrap_future(service.log.submit(lambda connection: move(connection, known, subject, change))):
        raise Problem("prediction_not_found", NOT_FOUND)
    return JSONResponse(await asyncio.to_thread(service.history.prediction, known))


@router.delete(
    "/v1/predictions/{id}",
    response_model=Deleted,
    responses=responses(
        *(*CALLERS, *PREDICTIONS, "role_missing", "record_unwritable"), content=json_examples(deleted=examples.DELETED)
    ),
)
async def remove_prediction(request: Request, caller: From, id: str, reason: Annotated[str, REASON] = "") -> Response:
    """Delete one prediction with all that belongs to it, a kept image too; the record says that it was deleted."""
    service = service_of(request)
    caller.require_review()
    known = checked_id(id)
    await asyncio.to_thread(service.history.prediction, known)
    change = {
        "created": timestamp(),
        "request_id": request.state.request_id,
        "who": caller.name,
        "reason": plain_text(reason),
    }
    deletion = await asyncio.wrap_future(service.log.submit(lambda connection: delete_prediction(connection, known, change)))
    if deletion is None:
        raise Problem("prediction_not_found", NOT_FOUND)
    image = await service.images.remove(known, deletion.input_sha256 if deletion.is_last else "")
    overwritten = await asyncio.to_thread(service.log.store.forget_deleted)
    body = {"prediction": known, "created": change["created"], "who": caller.name, "image": image, "overwritten": overwritten}
    return JSONResponse(body)
