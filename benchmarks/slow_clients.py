"""Slow, silent and oversized requests against a real server on loopback, directly and behind the documented nginx.

    python benchmarks/slow_clients.py --bundle BUNDLE [--connections 400 1200] [--seconds 12]

Each attack holds `--connections` connections for `--seconds` and opens a connection again as soon as the server drops
it. Meanwhile an ordinary client asks for /healthz and sends a small upload, each on a connection of its own. Reported
are the share of its requests that were answered within two seconds, how many connections and file descriptors the
server held at most, and its memory. The server starts with 1024 file descriptors, the default of most systems.
Everything stays on loopback, and the number of connections and the time are bounded.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lesionlens.bundle.benchmark import machine, versions
from lesionlens.core.artifact import write_json
from lesionlens.serving.access import create_token

ROOT = Path(__file__).parents[1]
DESCRIPTORS, MORE_DESCRIPTORS = 1024, 65_536
MOST_CONNECTIONS, MOST_SECONDS = 2000, 60
PATIENCE_SECONDS = 2.0
PAUSE_SECONDS = 1.0  # between two pieces of a slow request
HEAD = b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
SLOW_BODY = HEAD + b"Content-Length: 100000\r\n\r\n"
ATTACKS: dict[str, tuple[bytes, bytes]] = {  # what a connection sends first, and then each second
    "none": (b"", b""),
    "silent connections": (b"", b""),
    "slow heads": (HEAD, b"X-Slow: 1\r\n"),
    "slow bodies": (SLOW_BODY, b"x"),
    "slow bodies nobody reads": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", b"x"),
    "heads of 1 MiB": (HEAD + b"X-Large: " + b"x" * 2**20, b"x"),
}


def main() -> None:
    """Run every attack on both ways in, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument(
        "--connections", type=int, nargs="+", default=[400, 1200], help=f"of an attack, at most {MOST_CONNECTIONS}"
    )
    parser.add_argument("--seconds", type=float, default=12, help=f"of each attack, at most {MOST_SECONDS}")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/slow_clients.json"))
    options = parser.parse_args()
    seconds = min(options.seconds, MOST_SECONDS)
    ways = ("direct", "nginx") if shutil.which("nginx") else ("direct",)
    if "nginx" not in ways:
        print("nginx is not installed: only the server itself is measured", file=sys.stderr)
    rows = []
    for connections, way, attack in itertools.product(options.connections, ways, ATTACKS):
        count = min(connections, MOST_CONNECTIONS) if attack != "none" else 0
        with server(options.bundle) as (process, port, token), proxy(port, way) as entrance:
            row = asyncio.run(measure(ATTACKS[attack], count, seconds, Target(entrance, process, token)))
        rows.append({"connections": connections, "way": way, "attack": attack, **row})
        print(rows[-1])
    settings = {"seconds": seconds, "file_descriptors": DESCRIPTORS}
    write_json(options.out, {"machine": machine(), "versions": versions(), "settings": settings, "rows": rows})


@contextmanager
def server(bundle: Path) -> Iterator[tuple[int, int, str]]:
    """A server of its own: its process id, port and an access token."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lesionlens", "serve", str(bundle), "--port", "0", "--threads", "1"]
        command += ["--record", f"{folder}/record.sqlite", "--upload-seconds", "5", "--tokens", f"{folder}/tokens.json"]
        secret = create_token(Path(folder, "tokens.json"), "ordinary", "review")
        with open(f"{folder}/log", "w+") as log:  # noqa: PTH123
            process = subprocess.Popen(command, stderr=log, preexec_fn=usual_limits)
            try:
                yield process.pid, port_of(Path(log.name), process), secret
            finally:
                process.kill()
                process.wait()


def usual_limits() -> None:
    """The limits of most systems: few file descriptors at first, and many that a process may ask for."""
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (DESCRIPTORS, min(MORE_DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    )


def port_of(log: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that the server's log names."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if match := re.search(r"listening on http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(match[1])
        time.sleep(0.1)
    raise SystemExit(f"the server did not start: {log.read_text()}")


@contextmanager
def proxy(port: int, way: str) -> Iterator[int]:
    """The port that clients use: the server's own, or that of nginx with the documented settings, without TLS."""
    if way == "direct":
        yield port
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        entrance = free.getsockname()[1]
    text = (ROOT / "docs" / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    text = text[: text.index("server {\n    listen 80;")]
    text = re.sub(r"listen \[::\]:443.*\n", "", text.replace("listen 443 ssl http2", f"listen 127.0.0.1:{entrance}"))
    text = re.sub(r" *(ssl_\w+|add_header|access_log|error_log) .*;\n", "", text)
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("$host", "localhost")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nginx.conf")
        path.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log crit; worker_processes 1; worker_rlimit_nofile 8192;\n"
            f"events {{ worker_connections 4096; }}\nhttp {{ access_log off; {text} }}\n"
        )
        process = subprocess.Popen(["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", str(path)])
        time.sleep(1)
        try:
            yield entrance
        finally:
            process.terminate()
            process.wait()


class Target(NamedTuple):
    """A server under attack: the port to use, its process id, and a token."""

    port: int
    process: int
    token: str


async def measure(attack: tuple[bytes, bytes], connections: int, seconds: float, target: Target) -> dict[str, Any]:
    """Hold an attack for some seconds, and count how an ordinary client fares."""
    until = time.monotonic() + seconds
    held: list[int] = [0, 0]  # open now, opened in all
    attackers = [asyncio.create_task(attacker(target.port, attack, until, held)) for _ in range(connections)]
    await asyncio.sleep(2)
    peaks = {"open": 0, "descriptors": 0, "memory_mib": 0.0}
    answered, asked = 0, 0
    while time.monotonic() < until:
        for request in (GET, UPLOAD):
            asked += 1
            answered += await ask(target.port, request % target.token.encode())
        peaks["open"] = max(peaks["open"], held[0])
        peaks["descriptors"] = max(peaks["descriptors"], len(os.listdir(f"/proc/{target.process}/fd")))  # noqa: PTH208
        status = Path(f"/proc/{target.process}/status").read_text()
        peaks["memory_mib"] = max(peaks["memory_mib"], int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024)  # type: ignore[index]
        await asyncio.sleep(0.2)
    await asyncio.gather(*attackers)
    return {"asked": asked, "answered": answered, "opened": held[1], **{k: round(v) for k, v in peaks.items()}}


GET = b"GET /v1/model HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n"
UPLOAD = HEAD + b"Content-Length: 8\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\nno image"


async def ask(port: int, request: bytes) -> bool:
    """Whether an ordinary request is answered by the application in time: 200, or 422 for what is no image."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS), connection(port, "127.0.0.1") as (reader, writer):
            writer.write(request)
            return (await reader.read(12))[9:12] in (b"200", b"422")
    return False


async def attacker(port: int, attack: tuple[bytes, bytes], until: float, held: list[int]) -> None:
    """Hold one connection until the end; open it again when the server drops it."""
    first, drop = attack
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            async with connection(port, "127.0.0.2") as (reader, writer):
                held[0] += 1
                held[1] += 1
                try:
                    writer.write(first)
                    while time.monotonic() < until:
                        with contextlib.suppress(TimeoutError):
                            if not await asyncio.wait_for(reader.read(65536), PAUSE_SECONDS):
                                break
                        writer.write(drop)
                finally:
                    held[0] -= 1
        await asyncio.sleep(0.1)


@asynccontextmanager
async def connection(port: int, source: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """One connection from a loopback address, cut at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    main()
