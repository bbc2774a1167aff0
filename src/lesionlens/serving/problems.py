"""Refusals as RFC 9457 problem details, each with a code that programs may rely on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:lesionlens:problem:"


class Kind(NamedTuple):
    """What is true of every problem with one code."""

    status: int
    title: str


KINDS: dict[str, Kind] = {
    "malformed_request": Kind(400, "The request is not valid HTTP"),
    "malformed_upload": Kind(400, "The upload is not valid"),
    "token_missing": Kind(401, "An access token is needed"),
    "token_invalid": Kind(401, "The access token is not known"),
    "token_expired": Kind(401, "The access token has expired"),
    "token_revoked": Kind(401, "The access token was revoked"),
    "role_missing": Kind(403, "The access token lacks the role"),
    "host_not_allowed": Kind(403, "This server does not answer to that host name"),
    "origin_not_allowed": Kind(403, "Pages of other sites may not use this server"),
    "proxy_without_tokens": Kind(403, "Behind a proxy, access tokens are needed"),
    "not_found": Kind(404, "There is nothing at this address"),
    "prediction_not_found": Kind(404, "No such prediction"),
    "map_not_found": Kind(404, "No such heat map"),
    "method_not_allowed": Kind(405, "This address does not know the method"),
    "upload_too_slow": Kind(408, "The request did not arrive in time"),
    "image_gone": Kind(410, "The image is no longer here"),
    "upload_too_large": Kind(413, "The upload is too large"),
    "image_too_large": Kind(413, "The image is too large"),
    "unsupported_media_type": Kind(415, "The media type is not supported"),
    "invalid_parameter": Kind(422, "A parameter is not valid"),
    "image_unreadable": Kind(422, "The image cannot be read"),
    "decoding_too_slow": Kind(422, "The image takes too long to decode"),
    "rate_limited": Kind(429, "Too many requests with this token"),
    "headers_too_large": Kind(431, "The request's headers are too large"),
    "internal_error": Kind(500, "Something went wrong in the server"),
    "busy": Kind(503, "The server is busy"),
    "stopping": Kind(503, "The server is stopping"),
    "search_too_slow": Kind(503, "The search takes too long"),
    "record_unwritable": Kind(507, "The record cannot be written"),
}


class Problem(Exception):
    """A request that is refused.

    Args:
        code: a key of `KINDS`.
        detail: one sentence: the value, the rule, the remedy. Never what a patient's file says.
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
    """The response to a request that is refused."""
    body = json.dumps(problem_json(problem.code, problem.detail, request_id), ensure_ascii=False).encode()
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)
