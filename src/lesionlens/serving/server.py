"""Running the application: addresses, a door that slow clients cannot hold open, an orderly end."""

from __future__ import annotations

import gc
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType

import uvicorn

from lesionlens.core.errors import RecipeError
from lesionlens.serving.access import read_tokens
from lesionlens.serving.app import create_app
from lesionlens.serving.guard import loopback_hosts
from lesionlens.serving.protocol import HEAD_BYTES, BoundedProtocol
from lesionlens.serving.service import Service
from lesionlens.serving.settings import ServingSettings, state_folder

KEEP_ALIVE_SECONDS = 15
GRACE_SECONDS = 60


def checked(settings: ServingSettings, host: str) -> ServingSettings:
    """Settings that fit the address: on loopback its names only, elsewhere tokens.

    Raises:
        RecipeError: if the address is not loopback and there is no usable token.
    """
    if all(ipaddress.ip_address(address).is_loopback for _, address in resolve(host)):
        return replace(settings, hosts=loopback_hosts(settings.hosts))
    path = settings.tokens or state_folder() / "tokens.json"
    if not any(token.state(datetime.now(UTC)) == "usable" for token in read_tokens(path)):
        raise RecipeError(
            f"{host} can be reached by others, and {path} holds no usable access token; make one with: "
            f"lesionlens token create --name NAME --role review --tokens {path}"
        )
    return replace(settings, tokens=path)


def resolve(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Families and addresses of a host name.

    Raises:
        RecipeError: if it has none.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise RecipeError(f"host {host!r} is no address of this machine ({error.strerror}); give --host 127.0.0.1") from error
    return [(family, str(address[0])) for family, _, _, _, address in found]


def listen(host: str, port: int) -> list[socket.socket]:
    """Open the door: a socket for each address of `host`.

    Raises:
        RecipeError: if it is taken or not ours.
    """
    sockets: list[socket.socket] = []
    for family, address in resolve(host):
        door = socket.socket(family, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            door.bind((address, port or (sockets[0].getsockname()[1] if sockets else 0)))
        except OSError as error:
            raise RecipeError(f"cannot listen on {address} port {port} ({error.strerror}); choose another --port") from error
        sockets.append(door)
    return sockets


class Server(uvicorn.Server):
    """Uvicorn that first says that it stops, then closes its door, and finishes what it has begun.

    Args:
        config: of uvicorn.
        service: that it serves.
        on_ready: called when requests are taken, with what the operator should know of the bundle.
    """

    def __init__(self, config: uvicorn.Config, service: Service, on_ready: Callable[[tuple[str, ...]], None]) -> None:
        super().__init__(config)
        self._service = service
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready(self._service.predictor.notes)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was begun; a stop that was asked for is no error."""
        await super().shutdown(sockets)
        self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal does not wait any longer."""
        first, self._service.stopping = not self._service.stopping, True
        if first and self._service.settings.drain_seconds:
            threading.Timer(self._service.settings.drain_seconds, super().handle_exit, (sig, frame)).start()
        else:
            super().handle_exit(sig, frame)


def serve(settings: ServingSettings, sockets: Sequence[socket.socket], on_ready: Callable[[tuple[str, ...]], None]) -> None:
    """Serve until a signal comes.

    Args:
        settings: as from `checked`.
        sockets: as from `listen`.
        on_ready: called when requests are taken.

    Raises:
        LesionLensError: if the bundle, the record or the tokens cannot be used.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("lesionlens.serving").setLevel(logging.INFO)
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # what is there now stays; no later collection needs to look at it
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
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
