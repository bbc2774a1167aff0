"""Which host names and which web pages may use this server, and how large a request's head may be.

Any web site may send requests to an address inside the reader's network, and may point a name of its
own there (DNS rebinding). Browsers tell the truth in Host, Origin and Sec-Fetch-Site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers

from lesionlens.serving.problems import Problem

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::(\d{1,5}))?")
OWN_FETCHES = ("", "same-origin", "none")
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
HEAD_BYTES = 16 * 1024
SEPARATORS = len(": \r\n")


class Guard:
    """Checks the head of each request.

    Args:
        hosts: host names that a request may use; empty: any.
        open_to_all: whether no token is needed.
    """

    def __init__(self, hosts: Iterable[str], open_to_all: bool) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._open = open_to_all

    def check(self, headers: Headers, path: str, query: bytes = b"") -> None:
        """Refuse a request with a large head, from another site's page, or for another host.

        Raises:
            Problem: `headers_too_large`, `host_not_allowed`, `origin_not_allowed` or `proxy_without_tokens`.
        """
        head_bytes = len(path) + len(query) + sum(len(name) + len(value) + SEPARATORS for name, value in headers.raw)
        if head_bytes > HEAD_BYTES:
            raise Problem("headers_too_large", f"address and headers may have {HEAD_BYTES} bytes; send fewer or shorter headers")
        host = headers.get("host", "")
        name = _name(host)
        if not name or (self._hosts and name not in self._hosts):
            raise Problem("host_not_allowed", "the Host header names another server; allow the name with --allow-host")
        if self._open and any(header in headers for header in PROXY_HEADERS):
            raise Problem("proxy_without_tokens", "start the server with --tokens before putting a proxy in front of it")
        if path.startswith("/v1/"):
            self._check_origin(headers, host.lower())

    def _check_origin(self, headers: Headers, host: str) -> None:
        origin = headers.get("origin")
        own = origin is None or _authority(origin) == host or _name(_authority(origin)) in self._hosts - set(LOOPBACK_NAMES)
        if not own or headers.get("sec-fetch-site", "") not in OWN_FETCHES:
            raise Problem("origin_not_allowed", "only this server's own page may call it from a browser")


def loopback_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """The host names of a server on loopback: its own, and those the operator adds."""
    return (*LOOPBACK_NAMES, *hosts)


def _name(host: str) -> str:
    match = HOST.fullmatch(host)
    return match[1].lower() if match else ""


def _authority(origin: str) -> str:
    scheme, mark, rest = origin.partition("://")
    return rest.lower() if mark and scheme in ("http", "https") else ""
