"""What GET /openapi.json says: OpenAPI 3.1 with an example for every operation and every refusal."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from lesionlens.serving import examples, schemas
from lesionlens.serving.metrics import MEDIA_TYPE as METRICS_TYPE
from lesionlens.serving.problems import KINDS, MEDIA_TYPE, problem_json

Json = dict[str, Any]
DESCRIPTION = """Send a dermoscopic image and get an honest answer: a diagnosis with calibrated probabilities,
"not sure: have a person look", or "not usable" with the reason. A research and decision-support tool, not a medical device.
Refusals are RFC 9457 problem details whose `code` stays the same; every response carries `X-Request-ID`."""
MODELS = (
    *(schemas.Prediction, schemas.Page, schemas.Review, schemas.ReviewIn, schemas.ModelFacts),
    *(schemas.Health, schemas.ProblemDetails),
)
DETAILS = {
    "busy": "4 predictions are being made and 16 are waiting; try again soon",
    "upload_too_large": "an upload may have 33,554,432 bytes; send a smaller file",
    "token_missing": "send the header `Authorization: Bearer ...` with a token of this server",
}
EVERYWHERE = ("malformed_request", "host_not_allowed", "upload_too_slow", "headers_too_large", "internal_error", "busy")
CALLERS = (
    *("token_missing", "token_invalid", "token_expired", "token_revoked"),
    *("proxy_without_tokens", "origin_not_allowed"),
)
BODIES = ("malformed_upload", "upload_too_large", "unsupported_media_type", "record_unwritable")
IMAGES = ("image_too_large", "image_unreadable", "decoding_too_slow", "rate_limited", "stopping", "invalid_parameter")
READING = ("prediction_not_found", "invalid_parameter", "search_too_slow")
UPLOADS = ("image/jpeg", "image/png", "image/webp", "image/tiff", "application/dicom", "application/octet-stream")
BINARY: Json = {"schema": {"type": "string", "format": "binary"}}
FORM: Json = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP, TIFF or DICOM"}},
}
HEADERS: Json = {"X-Request-ID": {"description": "Id of the request.", "schema": {"type": "string"}}}


class Operation(NamedTuple):
    """What FastAPI does not know of an operation.

    Attributes:
        status: of success.
        content: of success, by media type.
        problems: codes of its refusals, beyond those that every operation has.
        body: of the request, by media type.
        headers: of success.
        also: further responses.
    """

    status: str
    content: Json
    problems: tuple[str, ...] = ()
    body: Json | None = None
    headers: tuple[str, ...] = ()
    also: Json | None = None


def openapi(app: FastAPI) -> Json:
    """The description of the API, made once."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, openapi_version="3.1.0"
        )
        _, definitions = models_json_schema(
            [(model, "serialization") for model in MODELS], ref_template="#/components/schemas/{model}"
        )
        found["components"] = {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "Not needed on loopback."}},
        }
        operations = _operations()
        for path, methods in found["paths"].items():
            for method, described in methods.items():
                _complete(described, operations[f"{method} {path}"])
        app.openapi_schema = found
    return app.openapi_schema


def _operations() -> dict[str, Operation]:
    form = {"multipart/form-data": {"schema": FORM}}
    answer = _json("Prediction", {"diagnosis": examples.ANSWER, "not usable": examples.UNUSABLE})
    review = _json("ReviewIn", {"melanoma": examples.REVIEW_IN})
    sheet = {"text/csv": {"schema": {"type": "string"}, "example": examples.CSV}}
    health = {name: _json("Health", {name: {"status": name, "reason": ""}}) for name in ("alive", "ready")}
    waiting = {"description": "No predictions are taken.", "headers": HEADERS}
    waiting |= {"content": _json("Health", {"stopping": {"status": "not ready", "reason": "stopping"}})}
    return {
        "post /v1/predictions": Operation(
            "201", answer, (*CALLERS, *BODIES, *IMAGES), form | dict.fromkeys(UPLOADS, BINARY), ("Location",)
        ),
        "get /v1/predictions": Operation("200", _json("Page", {"page": examples.PAGE}) | sheet, (*CALLERS, *READING[1:])),
        "get /v1/predictions/{id}": Operation("200", answer, (*CALLERS, *READING)),
        "get /v1/predictions/{id}/maps/{code}.png": Operation(
            "200", {"image/png": BINARY}, (*CALLERS, *READING, "map_not_found", "image_gone"), headers=("X-Map-Limit",)
        ),
        "post /v1/predictions/{id}/review": Operation(
            "201",
            _json("Review", {"review": examples.REVIEW}),
            (*CALLERS, *BODIES, *READING, "role_missing"),
            review,
            ("Location",),
        ),
        "get /v1/model": Operation("200", _json("ModelFacts", {"model": examples.MODEL}), CALLERS),
        "get /healthz": Operation("200", health["alive"]),
        "get /readyz": Operation("200", health["ready"], also={"503": waiting}),
        "get /metrics": Operation("200", {METRICS_TYPE: {"schema": {"type": "string"}, "example": examples.METRICS}}, CALLERS),
    }


def _complete(described: Json, operation: Operation) -> None:
    headers = {**HEADERS, **{name: {"schema": {"type": "string"}} for name in operation.headers}}
    success = {"description": "Done.", "headers": headers, "content": operation.content}
    described["responses"] = {operation.status: success, **_problems((*operation.problems, *EVERYWHERE))}
    for status, response in (operation.also or {}).items():
        content = response["content"] | described["responses"].get(status, {}).get("content", {})
        described["responses"][status] = {**response, "content": content}
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": operation.body}
    if operation.problems:
        described["security"] = [{}, {"token": []}]


def _problems(codes: tuple[str, ...]) -> Json:
    """Responses by status, with an example for each code."""
    responses: Json = {}
    for code in dict.fromkeys(codes):
        status, title = KINDS[code]
        if str(status) not in responses:
            content = {MEDIA_TYPE: {"schema": _reference("ProblemDetails"), "examples": {}}}
            responses[str(status)] = {"description": title, "headers": HEADERS, "content": content}
        example = problem_json(code, DETAILS.get(code, title), examples.REQUEST_ID)
        responses[str(status)]["content"][MEDIA_TYPE]["examples"][code] = {"summary": title, "value": example}
    return responses


def _json(model: str, named: Json) -> Json:
    shown = {name: {"value": value} for name, value in named.items()}
    return {"application/json": {"schema": _reference(model), "examples": shown}}


def _reference(model: str) -> Json:
    return {"$ref": f"#/components/schemas/{model}"}
