"""The routes of other systems: a prediction as DICOM objects and as FHIR resources, and what is on its way."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from lesionlens.core.errors import RecipeError
from lesionlens.interop.deliveries import read_deliveries
from lesionlens.interop.fhir import MEDIA_TYPE, Study, fhir_bundle
from lesionlens.interop.result import Result
from lesionlens.serving import examples, openapi
from lesionlens.serving.access import Caller
from lesionlens.serving.callers import From, service_of
from lesionlens.serving.dicom_results import capture_of, report_of, result_of, source_of
from lesionlens.serving.identifiers import is_identifier
from lesionlens.serving.openapi import CALLERS, PREDICTIONS, json_examples, responses
from lesionlens.serving.problems import Problem

DICOM_TYPE = "application/dicom"
DICOM = ("dicom_result_not_found", "image_gone", "extra_missing")
LARGEST = (1 << 63) - 1  # whole number of SQLite
DICOM_CONTENT = {DICOM_TYPE: openapi.BINARY}

router = APIRouter()


class Delivery(BaseModel):
    """A result for another system: `sr` and `sc` over DICOM, `fhir`, or `webhook`; when it was taken, or the last error."""

    model_config = ConfigDict(extra="forbid")

    number: int
    prediction: str
    kind: Literal["sr", "sc", "fhir", "webhook"]
    created: str
    attempts: int
    delivered: str | None
    error: str


class DeliveryPage(BaseModel):
    """Deliveries, newest first; `next` is the cursor of the following page, or null."""

    model_config = ConfigDict(extra="forbid")

    items: list[Delivery]
    next: int | None


@router.get(
    "/v1/predictions/{id}/sr.dcm",
    response_class=Response,
    responses=responses(*(*CALLERS, *PREDICTIONS, *DICOM), content=DICOM_CONTENT),
)
async def read_report(request: Request, caller: From, id: str) -> Response:
    """Get the DICOM Structured Report (TID 1500) of a DICOM image, while the server has the image."""
    result, data = await _result_and_image(request, caller, id)
    return Response(await report_of(result, data), media_type=DICOM_TYPE)


@router.get(
    "/v1/predictions/{id}/sc.dcm",
    response_class=Response,
    responses=responses(*(*CALLERS, *PREDICTIONS, *DICOM, "map_not_found"), content=DICOM_CONTENT),
)
async def read_capture(request: Request, caller: From, id: str) -> Response:
    """Get the heat map of the most probable diagnosis over a DICOM image as a Secondary Capture."""
    result, data = await _result_and_image(request, caller, id)
    return Response(await capture_of(service_of(request), result, data), media_type=DICOM_TYPE)


@router.get(
    "/v1/predictions/{id}/fhir",
    response_class=Response,
    responses=responses(
        *(*CALLERS, *PREDICTIONS, *DICOM), content={MEDIA_TYPE: {"schema": {"type": "object"}, "example": examples.FHIR}}
    ),
)
async def read_fhir(
    request: Request,
    caller: From,
    id: str,
    study: Annotated[bool, Query(description="Name patient id and study of the DICOM image, while the server has it.")] = False,
) -> Response:
    """Get a prediction as a FHIR R4 Bundle: DiagnosticReport, Observations, Device, ImagingStudy."""
    if study:
        result, data = await _result_and_image(request, caller, id)
        told = Study.of(await asyncio.to_thread(source_of, data, result))
    else:
        result, told = await _result(request, caller, id), None
    try:
        content = await asyncio.to_thread(fhir_bundle, result, told)
    except RecipeError as error:
        raise Problem("extra_missing", str(error)) from error
    return Response(content, media_type=MEDIA_TYPE)


@router.get(
    "/v1/deliveries",
    response_model=DeliveryPage,
    responses=responses(
        *(*CALLERS, "role_missing", "invalid_parameter", "record_damaged"), content=json_examples(page=examples.DELIVERIES)
    ),
)
async def list_deliveries(
    request: Request,
    caller: From,
    waiting: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> Response:
    """List results for other systems, newest first: what waits, since when, and why it was not taken."""
    caller.require_review()
    log = service_of(request).log
    rows = await asyncio.wrap_future(log.submit(lambda connection: read_deliveries(connection, waiting, limit + 1, cursor)))
    following = rows[limit - 1]["number"] if len(rows) > limit else None
    return JSONResponse({"items": rows[:limit], "next": following})


async def _result(request: Request, caller: Caller, id_: str) -> Result:
    if not is_identifier(id_):
        raise Problem("prediction_not_found", "there is no prediction with that id")
    token_name = None if caller.may_review else caller.name
    return result_of(await asyncio.to_thread(service_of(request).history.prediction, id_, token_name))


async def _result_and_image(request: Request, caller: Caller, id_: str) -> tuple[Result, bytes]:
    result = await _result(request, caller, id_)
    return result, await service_of(request).images.get(result.id, result.body["input_sha256"])
