"""HTTP/1.1 that no client can hold up: request heads have a deadline and a size, and faults are told as problems."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from lesionlens.serving.identifiers import request_id
from lesionlens.serving.problems import KINDS, MEDIA_TYPE, problem_json

HEAD_SECONDS = 10.0
HEAD_BYTES = 16 * 1024
HEAD_END = re.compile(rb"\n\r?\n")
CONNECTIONS = 512


class BoundedProtocol(H11Protocol):
    """Uvicorn's protocol, with a deadline for the head of each request."""

    head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first request; refuse more connections than one process can hold."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._end("busy", "too many connections are open; try again soon", [(b"retry-after", b"1")])
            return
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first ones of a request on an open connection start its clock."""
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            if self.head_timer is None:
                self._expect_head()
            if self._head_too_large(data):
                self._end_large_head()
                return
        super().data_received(data)

    def handle_events(self) -> None:
        """Read what is there; a complete head stops the clock."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._stop_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Tell a fault of the request as a problem."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # its request went wrong on the way; nothing can be answered any more
            self.cycle.message_event.set()
        if self._buffered() > HEAD_BYTES:
            self._end_large_head()
        else:
            self._end("malformed_request", "what was sent is not valid HTTP/1.1")

    def _head_too_large(self, data: bytes) -> bool:
        """Whether a head is beyond its limit; h11 itself looks only at heads that arrive in pieces."""
        start = self.conn.trailing_data[0] + data[: HEAD_BYTES + 4]
        return len(start) > HEAD_BYTES and HEAD_END.search(start, 0, HEAD_BYTES) is None

    def _end_large_head(self) -> None:
        self._end("headers_too_large", f"the head of a request may have {HEAD_BYTES} bytes; send fewer or shorter headers")

    def _buffered(self) -> int:
        return len(self.conn.trailing_data[0])

    def _expect_head(self) -> None:
        self._stop_clock()
        self.head_timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_clock(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _too_slow(self) -> None:
        self.head_timer = None
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            if self._buffered():
                self._end("upload_too_slow", f"the head of a request must arrive within {HEAD_SECONDS:g} s")
            else:
                self.transport.close()  # it never asked for anything

    def _end(self, code: str, detail: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self._stop_clock()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status, number = KINDS[code].status, request_id("")
            body = json.dumps(problem_json(code, detail, number)).encode()
            fields = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
            fields += [(b"connection", b"close"), (b"x-request-id", number.encode()), *(headers or [])]
            head = h11.Response(status_code=status, headers=fields, reason=STATUS_PHRASES[status])
            events: list[Any] = [head, h11.Data(data=body), h11.EndOfMessage()]
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
