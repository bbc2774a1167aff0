"""Running the application: addresses to listen on, limits of connections, an orderly shutdown."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import uvicorn
from prometheus_client import disable_created_metrics

from lesionlens.core.errors import RecipeError
from lesionlens.serving.access import read_tokens
from lesionlens.serving.app import create_app
from lesionlens.serving.boundary import LOG, error_facts
from lesionlens.serving.guard import HEAD_BYTES, loopback_hosts
from lesionlens.serving.service import Service
from lesionlens.serving.settings import ServingSettings, state_folder

KEEP_ALIVE_SECONDS = 15
GRACE_SECONDS = 60


def checked(settings: ServingSettings, host: str) -> ServingSettings:
    """Settings that fit the address: on loopback only its own names, elsewhere tokens.

    Raises:
        RecipeError: if the address is not loopback and there is no usable token.
    """
    exchange = settings.exchange
    if exchange.dicom_port is not None and not exchange.dicom_allow and not _is_loopback(exchange.dicom_host):
        raise RecipeError(
            f"DICOM at {exchange.dicom_host} can be reached by others; name who may send with --dicom-allow AE@ADDRESS, "
            "or receive at 127.0.0.1"
        )
    if _is_loopback(host):
        return replace(settings, hosts=loopback_hosts(settings.hosts))
    path = settings.tokens or state_folder() / "tokens.json"
    if not any(token.state(datetime.now(UTC)) == "usable" for token in read_tokens(path)):
        raise RecipeError(
            f"{host} can be reached by others, and {path} holds no usable access token; create one with: "
            f"lesionlens token create --name NAME --role review --tokens {path}"
        )
    return replace(settings, tokens=path)


def _is_loopback(host: str) -> bool:
    return all(ipaddress.ip_address(address).is_loopback for _, address in resolve(host))


def resolve(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Families and addresses of a host name.

    Raises:
        RecipeError: if it has none.
    """
    try:
        results = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise RecipeError(f"host {host!r} is no address of this machine ({error.strerror}); give --host 127.0.0.1") from error
    return [(family, str(address[0])) for family, _, _, _, address in results]


def listen(host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of `host`.

    Raises:
        RecipeError: if the port is taken or the address is not this machine's.
    """
    sockets: list[socket.socket] = []
    for family, address in resolve(host):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind((address, port or (sockets[0].getsockname()[1] if sockets else 0)))
        except OSError as error:
            raise RecipeError(f"cannot listen on {address} port {port} ({error.strerror}); choose another --port") from error
        sockets.append(listener)
    return sockets


class Server(uvicorn.Server):
    """Uvicorn that opens the bundle again at SIGHUP.

    At its end it first reports at /readyz that it stops, then stops listening, and finishes the running requests.

    Args:
        config: of uvicorn.
        service: the service.
        on_ready: called when requests are taken, with notes about bundle and images for the operator.
    """

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[tuple[str, ...]], None]) -> None:
        super().__init__(config)
        self._service = service
        self._on_ready = on_ready
        self._reloading: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and report it."""
        asyncio.get_running_loop().set_exception_handler(_log_loop_error)
        await super().startup(sockets)
        if self.started:
            self._on_ready(self._service.notes())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM; unlike uvicorn's own, exit with 0 then."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        if hasattr(signal, "SIGHUP") and not sys.stdin.isatty():  # from a terminal it says that the terminal was closed
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        yield

    def _reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self._service.reload())
        else:
            LOG.warning(json.dumps({"reload": "one is running; send the signal again in a moment"}))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal ends the wait."""
        first, self._service.stopping = not self._service.stopping, True
        if first and self._service.settings.drain_seconds:
            threading.Timer(self._service.settings.drain_seconds, super().handle_exit, (sig, frame)).start()
        else:
            super().handle_exit(sig, frame)


def serve(settings: ServingSettings, sockets: Sequence[socket.socket], on_ready: Callable[[tuple[str, ...]], None]) -> None:
    """Serve until a signal arrives.

    Args:
        settings: as from `checked`.
        sockets: as from `listen`.
        on_ready: called when requests are taken.

    Raises:
        LesionLensError: if the bundle, the prediction log or the tokens cannot be used.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    LOG.setLevel(logging.INFO)
    disable_created_metrics()  # type: ignore[no-untyped-call]
    _allow_connections()
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # what exists now stays; later collections need not look at it
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    Server(config, app.state.service, on_ready).run(sockets=list(sockets))


def _allow_connections() -> None:
    """Open as many connections as the system allows, so that idle ones do not keep others out (POSIX)."""
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log a fault outside of requests without its message, which may quote what a client sent."""
    LOG.error(json.dumps(error_facts(context.get("exception") or RuntimeError())))
