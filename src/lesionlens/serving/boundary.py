"""What wraps every request: id, guard, refusals as problems, security headers, metrics, one log line."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lesionlens.serving.identifiers import request_id
from lesionlens.serving.limits import busy
from lesionlens.serving.problems import NO_ADDRESS, Problem, problem_response
from lesionlens.serving.service import Service

LOG = logging.getLogger("lesionlens.serving")
REQUESTS = 512  # at once
DRAIN_SECONDS = 1.0
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
NO_STORE = (b"cache-control", b"no-store")


class Boundary:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        service: whose guard, metrics and log are used.
        router: knows the methods of each address.
    """

    def __init__(self, app: ASGIApp, service: Service, router: Router) -> None:
        self._app = app
        self._service = service
        self._router = router
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._running += 1
        try:
            await RequestCycle(self._service, scope, receive, send).run(self._app, self._router, self._running > REQUESTS)
        finally:
            self._running -= 1


class RequestCycle:
    """One request and its response."""

    def __init__(self, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        self._service = service
        self._headers = Headers(scope=scope)
        self._method = scope["method"]
        self._id = request_id(self._headers.get("x-request-id", ""))
        state = {**scope.get("state", {}), "request_id": self._id, "token_name": ""}
        self._scope: MutableMapping[str, Any] = {**scope, "state": state}
        self._receive = receive
        self._send = send
        self._started = time.perf_counter()
        self._status = 0
        self._code = ""
        self._body_left = "content-length" in self._headers or "transfer-encoding" in self._headers

    async def run(self, app: ASGIApp, router: Router, too_many: bool) -> None:
        """Respond to the request, whatever happens."""
        try:
            if too_many:
                raise busy(f"{REQUESTS} requests are running; try again soon")
            self._service.guard.check(self._headers, self._scope["path"], self._scope["query_string"])
            if self._method == "OPTIONS":
                await self._options(router)
            else:
                if self._method == "HEAD":
                    self._scope["method"] = "GET"  # the server sends no body for it
                await app(self._scope, self.receive, self.send)
        except Problem as problem:
            await self._refuse(problem)
        except Exception as error:
            LOG.error(json.dumps({"request_id": self._id, **error_facts(error)}))
            await self._refuse(Problem("internal_error", "the server's log says more, under this request id"))
        finally:
            self._log()

    async def receive(self) -> Message:
        """Pass on a piece of the request."""
        message = await self._receive()
        self._body_left = bool(message.get("more_body", False))
        return message

    async def send(self, message: Message) -> None:
        """Pass on a piece of the response, with the headers that all responses have."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            own = (b"x-request-id", self._id.encode())
            stored = () if any(name == b"cache-control" for name, _ in message["headers"]) else (NO_STORE,)
            message = {**message, "headers": [*message["headers"], own, *RAW_HEADERS, *stored]}
        await self._send(message)

    async def _refuse(self, problem: Problem) -> None:
        self._code = problem.code
        if self._status:
            raise RuntimeError("the response has begun")  # the server closes the connection
        await self._service.record_refusal(self._scope, problem)
        if self._body_left and not await self._drained():
            problem.headers["Connection"] = "close"
        await problem_response(problem, self._id)(self._scope, self.receive, self.send)

    async def _drained(self) -> bool:
        """Read the rest of the body for a moment, so that the client gets the refusal and not a broken connection."""
        if self._headers.get("expect", "").lower() == "100-continue":
            return False
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._body_left:
                    await self.receive()
        except TimeoutError:
            return False
        return True

    async def _options(self, router: Router) -> None:
        methods = allowed_methods(router, self._scope)
        if not methods:
            raise Problem("not_found", NO_ADDRESS)
        await Response(status_code=204, headers={"Allow": methods})(self._scope, self.receive, self.send)

    def _log(self) -> None:
        route = getattr(self._scope.get("route"), "path", "")
        seconds = time.perf_counter() - self._started
        self._service.metrics.request(self._method, route, self._status, seconds)
        line = {
            "request_id": self._id,
            "who": self._scope["state"]["token_name"],
            "method": self._method if self._method.isalpha() else "",
            "route": route,
            "status": self._status,
            "ms": round(1000 * seconds, 1),
        }
        LOG.info(json.dumps({**line, "code": self._code} if self._code else line))


def allowed_methods(router: Router, scope: Scope) -> str:
    """The value of the header Allow for an address: the methods of all its routes; empty if there is none."""
    methods: set[str] = set()
    for route in _routes(router):
        if route.matches({**scope, "method": "GET"})[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    if methods:
        methods |= {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return ", ".join(sorted(methods))


def _routes(router: Any) -> Iterator[Any]:
    """All routes of a router; FastAPI keeps an included router as one route, which knows the methods of its first match alone."""
    for route in router.routes:
        included = getattr(route, "original_router", None)
        yield from [route] if included is None else _routes(included)


def error_facts(error: BaseException) -> dict[str, Any]:
    """Type and origin of an error for the log, without its message, which may name values."""
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    return {"error": type(error).__name__, "at": places[-8:]}
