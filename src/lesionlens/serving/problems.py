"""Refusals as RFC 9457 problem details, each with a stable code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
NO_ADDRESS = "there is nothing at this address; GET /openapi.json describes the API"
TYPE_PREFIX = "urn:lesionlens:problem:"


class Kind(NamedTuple):
    """Status and title of a problem code."""

    status: int
    title: str


KINDS: dict[str, Kind] = {
    "malformed_upload": Kind(400, "The upload is not valid"),
    "token_missing": Kind(401, "An access token is needed"),
    "token_invalid": Kind(401, "The access token is unknown"),
    "token_expired": Kind(401, "The access token has expired"),
    "token_revoked": Kind(401, "The access token was revoked"),
    "role_missing": Kind(403, "The access token lacks the role"),
    "host_not_allowed": Kind(403, "This server does not serve that host name"),
    "origin_not_allowed": Kind(403, "Pages of other sites may not use this server"),
    "proxy_without_tokens": Kind(403, "Behind a proxy, access tokens are needed"),
    "not_found": Kind(404, "Nothing at this address"),
    "prediction_not_found": Kind(404, "No such prediction"),
    "batch_not_found": Kind(404, "No such batch"),
    "case_not_found": Kind(404, "No such case"),
    "lesion_not_found": Kind(404, "No such lesion"),
    "map_not_found": Kind(404, "No such heat map"),
    "dicom_result_not_found": Kind(404, "No such DICOM result"),
    "method_not_allowed": Kind(405, "The method is not allowed at this address"),
    "upload_too_slow": Kind(408, "The upload did not arrive in time"),
    "idempotency_key_in_use": Kind(409, "A request with this key is running"),
    "lesion_contradicts": Kind(409, "The lesion is on another site"),
    "histology_contradicts": Kind(409, "The histology contradicts the former one"),
    "prediction_deleted": Kind(410, "The prediction was deleted on request"),
    "image_gone": Kind(410, "The image is no longer here"),
    "upload_too_large": Kind(413, "The upload is too large"),
    "image_too_large": Kind(413, "The image is too large"),
    "unsupported_media_type": Kind(415, "The media type is not supported"),
    "invalid_parameter": Kind(422, "A parameter is not valid"),
    "idempotency_key_reused": Kind(422, "The key belongs to another image"),
    "image_unreadable": Kind(422, "The image cannot be read"),
    "decoding_too_slow": Kind(422, "The image takes too long to decode"),
    "rate_limited": Kind(429, "Too many requests with this token"),
    "headers_too_large": Kind(431, "The request's headers are too large"),
    "internal_error": Kind(500, "Internal server error"),
    "record_damaged": Kind(500, "The prediction log is damaged"),
    "extra_missing": Kind(501, "A part of the server is not installed"),
    "decoder_killed": Kind(503, "The process that decodes images was ended"),
    "busy": Kind(503, "The server is busy"),
    "stopping": Kind(503, "The server is stopping"),
    "record_unavailable": Kind(503, "The prediction log cannot be reached"),
    "search_too_slow": Kind(503, "The search takes too long"),
    "record_unwritable": Kind(507, "The prediction log cannot be written"),
}


class Problem(Exception):
    """A refused request.

    Args:
        code: a key of `KINDS`.
        detail: one sentence with value, rule and remedy; never anything from a patient's file.
        headers: further headers of the response.
    """

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.code].status


def problem_json(code: str, detail: str, request_id: str) -> dict[str, Any]:
    """The body of a refusal."""
    kind = KINDS[code]
    return {
        "type": TYPE_PREFIX + code,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }


def problem_response(problem: Problem, request_id: str) -> Response:
    """The response to a refused request."""
    body = json.dumps(problem_json(problem.code, problem.detail, request_id), ensure_ascii=False).encode()
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)
