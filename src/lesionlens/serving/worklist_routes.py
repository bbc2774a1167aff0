"""The routes of the worklist, of the clinic's own statistics, and of two photographs compared."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from lesionlens.serving import worklist_examples as examples
from lesionlens.serving.callers import From, checked_id, service_of, visible_to
from lesionlens.serving.clinic_statistics import clinic_statistics
from lesionlens.serving.drift import drift
from lesionlens.serving.identifiers import PATTERN
from lesionlens.serving.openapi import CALLERS, PREDICTIONS, SEARCHES, json_examples, responses
from lesionlens.serving.problems import Problem
from lesionlens.serving.worklist import Worklist as Reader
from lesionlens.serving.worklist_schemas import ClinicStatistics, Comparison, Worklist

Id = Annotated[str, Query(pattern=PATTERN)]

router = APIRouter()


@router.get(
    "/v1/worklist",
    response_model=Worklist,
    responses=responses(*CALLERS, *SEARCHES, content=json_examples(list=examples.WORKLIST)),
)
async def read_worklist(request: Request, caller: From, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
    """Read what waits: unreviewed predictions by malignant share, and diagnoses with which a person or histology disagrees."""
    reader = Reader(service_of(request).history)
    return JSONResponse(await asyncio.to_thread(reader.read, limit, visible_to(caller)))


@router.get(
    "/v1/statistics",
    response_model=ClinicStatistics,
    responses=responses(*CALLERS, *SEARCHES, "role_missing", content=json_examples(statistics=examples.STATISTICS)),
)
async def read_statistics(request: Request, caller: From) -> Response:
    """Read how the model does here: agreement with reviewers, sensitivity and calibration on histology, drift with alarms."""
    service = service_of(request)
    caller.require_review()
    bundle = service.predictor.bundle_variant.id
    statistics = await asyncio.to_thread(clinic_statistics, service.history, bundle)
    return JSONResponse({**statistics, "drift": await asyncio.to_thread(drift, service.history, bundle)})


@router.get(
    "/v1/comparison",
    response_model=Comparison,
    responses=responses(
        *(*CALLERS, *PREDICTIONS, "image_gone", "decoding_too_slow"), content=json_examples(comparison=examples.COMPARISON)
    ),
)
async def compare_predictions(request: Request, caller: From, first: Id, second: Id) -> Response:
    """Compare two photographs of one lesion: how they lie over each other, change of size and colour; or why that is not sure."""
    service = service_of(request)
    ids = (checked_id(first), checked_id(second))
    pair = [await asyncio.to_thread(service.history.prediction, id_, visible_to(caller)) for id_ in ids]
    lesions = {(each["case"], each["lesion"]) for each in pair}
    if len(lesions) > 1 or not pair[0]["lesion"]:
        raise Problem("invalid_parameter", "the images are not of one lesion; assign them to the same case and lesion first")
    found = await service.drawings.comparison(*pair)
    return JSONResponse({"first": first, "second": second, **found})
