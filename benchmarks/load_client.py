"""Clients that load a server: raw sockets that send the next image as soon as a response is complete."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

N_IMAGES = 64
RESPONSE_HEAD = re.compile(rb"HTTP/1\.1 (\d+)")
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
LOCATION = re.compile(rb"\r\nlocation: predictions/(\w+)", re.IGNORECASE)
RETRY = re.compile(rb"\r\nretry-after: \d+", re.IGNORECASE)


class Connection:
    """One client: sends an image, waits for the whole response, sends the next."""

    def __init__(self, address: tuple[str, int], requests: Iterator[bytes], results: dict[str, Any]) -> None:
        self.address, self.requests, self.results = address, requests, results
        self.open()

    def open(self) -> None:
        """Connect."""
        self.socket = socket.create_connection(self.address, 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def send(self) -> None:
        """Send the next image."""
        self.started = time.perf_counter()
        self.socket.sendall(next(self.requests))

    def receive(self) -> bool:
        """Read the available bytes; returns whether the response is complete."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return False
        length = LENGTH.search(self.buffer, 0, head + 2)
        if len(self.buffer) < head + 4 + int(length[1] if length else 0):
            return False
        self.count(bytes(self.buffer[: head + 2]))
        self.buffer.clear()
        return True

    def count(self, head: bytes) -> None:
        """Count the status, and note latency and id of an acknowledged prediction."""
        status = int(RESPONSE_HEAD.match(head)[1])  # type: ignore[index]
        kind = f"{status}{' with Retry-After' if RETRY.search(head) else ''}"
        self.results["statuses"][kind] = self.results["statuses"].get(kind, 0) + 1
        self.results["last"] = time.perf_counter()
        if status == 201:
            self.results["latency_ms"].append(round(1000 * (time.perf_counter() - self.started), 2))
            self.results["ids"].append(LOCATION.search(head)[1].decode())  # type: ignore[index]


def load(url: str, folder: Path, clients: int, seconds: float) -> dict[str, Any]:
    """Load a server for some seconds, or until it is gone."""
    host, port = re.match(r"http://([^:]+):(\d+)", url).groups()  # type: ignore[union-attr]
    files = cycle(photographs(folder))
    requests = (request(data, host) for data in files)
    results: dict[str, Any] = {"statuses": {}, "latency_ms": [], "ids": [], "broken": 0}
    selector = selectors.DefaultSelector()
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(clients):
        connection = Connection((host, int(port)), requests, results)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    open_ = clients
    while open_:
        for key, _ in selector.select(30):
            connection = key.data
            try:
                if not connection.receive():
                    continue
                if time.perf_counter() - start < seconds:
                    connection.send()
                    continue
            except OSError:
                results["broken"] += 1
            selector.unregister(connection.socket)
            connection.socket.close()
            open_ -= 1
    results["seconds"] = results.pop("last", time.perf_counter()) - start
    results["client_cpu_s"] = time.process_time() - cpu
    return results


def photographs(folder: Path) -> list[bytes]:
    """The first files of a folder."""
    return [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))[:N_IMAGES]]


def request(data: bytes, host: str) -> bytes:
    head = f"POST /v1/predictions HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data
