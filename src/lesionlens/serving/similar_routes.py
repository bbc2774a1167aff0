"""The routes of similar confirmed lesions, and of images to label next."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from lesionlens.serving.callers import From, checked_id, service_of, visible_to
from lesionlens.serving.examples import ID, PREDICTION
from lesionlens.serving.openapi import CALLERS, PREDICTIONS, SEARCHES, json_examples, responses
from lesionlens.serving.similar import label_next, similar
from lesionlens.serving.similar_schemas import LabelNext, Similar

SIMILAR: dict[str, Any] = {
    "prediction": ID,
    "searched": 120,
    "items": [{"prediction": PREDICTION, "histology": "mel", "similarity": 0.913}],
}
TO_LABEL: dict[str, Any] = {"searched": 80, "items": [{"prediction": PREDICTION, "margin": 0.012}]}

router = APIRouter()


@router.get(
    "/v1/predictions/{id}/similar",
    response_model=Similar,
    responses=responses(*CALLERS, *PREDICTIONS, content=json_examples(similar=SIMILAR)),
)
async def read_similar(request: Request, caller: From, id: str, limit: Annotated[int, Query(ge=1, le=50)] = 6) -> Response:
    """Read confirmed lesions of the log that look alike to the network, with their histology."""
    history = service_of(request).history
    return JSONResponse(await asyncio.to_thread(similar, history, checked_id(id), limit, visible_to(caller)))


@router.get(
    "/v1/label-next", response_model=LabelNext, responses=responses(*CALLERS, *SEARCHES, content=json_examples(next=TO_LABEL))
)
async def read_label_next(request: Request, caller: From, limit: Annotated[int, Query(ge=1, le=200)] = 20) -> Response:
    """Read which unreviewed images to label next: those that the model is least decided on, each unlike the others."""
    return JSONResponse(await asyncio.to_thread(label_next, service_of(request).history, limit, visible_to(caller)))
