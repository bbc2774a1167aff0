"""What OpenAPI says beyond the routes' signatures and response models: refusals by code, and bodies that routes read."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI

from lesionlens.serving import examples
from lesionlens.serving.case_schemas import HistologyIn, SubjectIn
from lesionlens.serving.idempotency import HEADER
from lesionlens.serving.problems import KINDS, MEDIA_TYPE, problem_json
from lesionlens.serving.schemas import ProblemDetails, ReviewIn

Json = dict[str, Any]
DESCRIPTION = """Send a dermoscopic image and get one of three outcomes: a diagnosis with calibrated probabilities,
"not sure: have a person look", or "not usable" with the reason. A research and decision-support tool, not a medical device.
Refusals are RFC 9457 problem details with a stable `code`; what is not HTTP/1.1 at all gets 400 as plain text.
Every other response carries `X-Request-ID`."""
EVERYWHERE = ("host_not_allowed", "headers_too_large", "internal_error", "busy")
CALLERS = (
    *("token_missing", "token_invalid", "token_expired", "token_revoked"),
    *("proxy_without_tokens", "origin_not_allowed"),
)
BODIES = ("malformed_upload", "upload_too_large", "upload_too_slow", "unsupported_media_type", "record_unwritable")
RECORD = ("record_damaged", "record_unavailable")
IMAGES = (
    "image_too_large",
    "image_unreadable",
    "decoding_too_slow",
    "decoder_killed",
    "idempotency_key_in_use",
    "idempotency_key_reused",
    "rate_limited",
    "stopping",
    "invalid_parameter",
    "lesion_contradicts",
    *RECORD,
)
SEARCHES = ("invalid_parameter", "search_too_slow", *RECORD)
BATCHES = ("batch_not_found", "invalid_parameter")
PREDICTIONS = ("prediction_not_found", "prediction_deleted", *SEARCHES)
CASES = ("case_not_found", *SEARCHES)
LESIONS = ("lesion_not_found", *SEARCHES)
DETAILS = {
    "busy": "4 predictions are running and 16 are waiting; try again soon",
    "upload_too_large": "an upload may have 33,554,432 bytes; send a smaller file",
    "token_missing": "send the header `Authorization: Bearer ...` with a token of this server",
}
UPLOAD_TYPES = ("image/jpeg", "image/png", "image/webp", "image/tiff", "application/dicom", "application/octet-stream")
BINARY: Json = {"schema": {"type": "string", "format": "binary"}}
FORM: Json = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP, TIFF or DICOM"},
        "age": {"type": "string", "description": "Years, 0 to 120, if the bundle takes it (see /v1/model); empty: unknown"},
        "sex": {"type": "string", "description": "female or male, likewise"},
        "site": {"type": "string", "description": "Site on the body; kept with the lesion, used by a bundle that takes it"},
        "case": {"type": "string", "description": "Pseudonym of the patient: letters, digits, . _ -; never a name"},
        "lesion": {"type": "string", "description": "Pseudonym of the lesion, within the case"},
        "taken": {"type": "string", "description": "Day of the photograph, as in 2026-11-22; empty: today"},
    },
}
UPLOAD: Json = {"multipart/form-data": {"schema": FORM}, **dict.fromkeys(UPLOAD_TYPES, BINARY)}
FILES: Json = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}},
}
BATCH: Json = {"multipart/form-data": {"schema": FILES}}


def json_body(model: str, example: Json) -> Json:
    """A JSON body that a route reads itself, as the model of that name."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}, "example": example}}


REVIEW = json_body("ReviewIn", examples.REVIEW_IN)
IDEMPOTENCY_KEY: Json = {
    "name": HEADER,
    "in": "header",
    "description": "The same key, sent again with the same image after a lost response, gives the same prediction again.",
    "schema": {"type": "string", "pattern": "^[!#-~]{1,255}$"},
    "example": "6b1d7e9e-5d0e-4c3a-9a3b-0f7c5a1d2e3f",
}
OPEN: Json = {"security": []}  # nothing is asked
HEADERS: Json = {"X-Request-ID": {"description": "Id of the request.", "schema": {"type": "string"}}}


TAGS = {
    "predictions": "Images, their predictions, heat maps and reviews.",
    "cases": "Patients by pseudonym, with their lesions.",
    "lesions": "Photographs of one lesion over time, and its histology.",
    "comparison": "Two photographs of one lesion.",
    "worklist": "What is to be reviewed, in order.",
    "label-next": "Images whose diagnosis would teach a network most.",
    "statistics": "The clinic's own confirmed lesions, and drift over weeks.",
    "batches": "Many images at once.",
    "deliveries": "Results on their way to other systems.",
    "shadow": "A second bundle beside the one that responds.",
    "model": "The bundle that responds.",
    "server": "State and metrics.",
}


WRITTEN: dict[str, Json] = {}  # the examples of `json_examples`, by what FastAPI leaves of them


class Api(FastAPI):
    """FastAPI, whose description also has what it cannot know: models that no signature names, that tokens are optional,
    tags, and the nulls of examples, which FastAPI leaves out."""

    def openapi(self) -> Json:
        """The description of the API, built once."""
        if self.openapi_schema is None:
            description = super().openapi()
            models = description["components"]["schemas"]
            models |= {model.__name__: model.model_json_schema() for model in (ProblemDetails, ReviewIn, HistologyIn, SubjectIn)}
            description["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
            for path, methods in description["paths"].items():
                for operation in methods.values():
                    operation["tags"] = [tag_of(path)]
                    if operation.get("security"):
                        operation["security"].insert(0, {})  # on loopback no token is needed
                    _restore_examples(operation)
        assert self.openapi_schema is not None
        return self.openapi_schema


def tag_of(path: str) -> str:
    """The tag of an address: the word behind the version.

    Example:
        >>> tag_of("/v1/batches/{id}"), tag_of("/healthz")
        ('batches', 'server')
    """
    words = path.split("/")
    return words[2] if words[1] == "v1" else "server"


def _restore_examples(operation: Json) -> None:
    """Put the examples of an operation in place as they were written."""
    for response in operation["responses"].values():
        for content in response["content"].values():
            for example in content.get("examples", {}).values():
                example["value"] = WRITTEN.get(_without_nulls(example["value"]), example["value"])


def _without_nulls(value: Any) -> str:
    """JSON of a value without its nulls, to be compared."""

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(each) for name, each in value.items() if each is not None}
        return [kept(each) for each in value] if isinstance(value, list) else value

    return json.dumps(kept(value), sort_keys=True)


def responses(
    *codes: str, status: int = 200, headers: tuple[str, ...] = (), content: Json | None = None
) -> dict[int | str, Json]:
    """The responses of a route: success, and a refusal with an example for each code.

    Args:
        codes: keys of `KINDS`, beside those that every route has.
        status: of success.
        headers: of success.
        content: of success, by media type; merged with the response model.
    """
    described = {**HEADERS, **{name: {"schema": {"type": "string"}} for name in headers}}
    result: dict[int | str, Json] = {status: {"headers": described, "content": content or {}}}
    for code in dict.fromkeys((*codes, *EVERYWHERE)):
        kind = KINDS[code]
        schema = {"schema": {"$ref": "#/components/schemas/ProblemDetails"}, "examples": {}}
        new = {"description": kind.title, "headers": HEADERS, "content": {MEDIA_TYPE: schema}}
        example = problem_json(code, DETAILS.get(code, kind.title), examples.REQUEST_ID)
        shown = {"summary": kind.title, "value": example}
        result.setdefault(kind.status, new)["content"][MEDIA_TYPE]["examples"][code] = shown
    return result


def json_examples(**values: Json) -> Json:
    """Examples of a JSON response, by name."""
    WRITTEN.update((_without_nulls(value), value) for value in values.values())
    return {"application/json": {"examples": {name: {"value": value} for name, value in values.items()}}}


def request_body(content: Json) -> Json:
    """The body of a route that reads it itself, within its limits of size and time."""
    return {"requestBody": {"required": True, "content": content}}
