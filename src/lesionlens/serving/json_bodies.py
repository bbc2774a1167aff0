"""Small JSON bodies of requests, in bounded memory and time."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from lesionlens.serving.problems import Problem
from lesionlens.serving.service import Service
from lesionlens.serving.upload import media_type, read_body

MOST_BYTES = 64 * 1024
Content = TypeVar("Content", bound=BaseModel)


async def read_json_body(request: Request, service: Service, model: type[Content]) -> Content:
    """The body of a request as a model.

    Raises:
        Problem: if it is too large, too slow, no JSON, or not valid.
    """
    if media_type(request.headers.get("content-type", ""))[0] != "application/json":
        raise Problem("unsupported_media_type", "send the body as application/json")
    with service.budget.share() as share:
        body = await read_body(request, MOST_BYTES, service.settings.upload_seconds, share)
        try:
            return model.model_validate_json(bytes(body))
        except ValidationError as error:
            raise Problem("invalid_parameter", validation_detail(error.errors())) from error


def validation_detail(errors: Any) -> str:
    """What is wrong with parameters, without their values: those may name patients."""
    texts = (f"{'.'.join(str(place) for place in error['loc'])}: {error['msg']}" for error in errors)
    return "; ".join(texts)[:500]
