"""By which names, and from whose pages, this server may be used.

A page of any site may send requests to an address inside the reader's network, and may point a name
of its own there (DNS rebinding). Browsers tell the truth in Host, Origin and Sec-Fetch-Site.
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


class Guard:
    """Checks the headers of each request.

    Args:
        hosts: names that a request may use; empty: any.
        open_to_all: whether no token is needed.
    """

    def __init__(self, hosts: Iterable[str], open_to_all: bool) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._open = open_to_all

    def check(self, headers: Headers, path: str) -> None:
        """Refuse what does not come from an own page or a program.

        Raises:
            Problem: `host_not_allowed`, `origin_not_allowed` or `proxy_without_tokens`.
        """
        host = headers.get("host", "")
        name = _name(host)
        if not name or (self._hosts and name not in self._hosts):
            raise Problem("host_not_allowed", "the Host header names another server; whoever runs this one can --allow-host it")
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
    """The names by which a server on loopback may be called: its own, and what the operator adds."""
    return (*LOOPBACK_NAMES, *hosts)


def _name(host: str) -> str:
    found = HOST.fullmatch(host)
    return found[1].lower() if found else ""


def _authority(origin: str) -> str:
    scheme, mark, rest = origin.partition("://")
    return rest.lower() if mark and scheme in ("http", "https") else ""
