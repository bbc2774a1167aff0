"""The process that decodes uploads: `python -m lesionlens.serving.decoder`, driven over its pipes.

Files of strangers are decoded by C libraries. Here they can exhaust only this process's memory and
time, which the system limits, and crash only this process, which the server then replaces.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lesionlens.core.errors import ImageError, ImageTooLargeError
from lesionlens.data.image import InputSpec, centre_crop, decode_image, load_decoders, open_image, prepare
from lesionlens.serving.messages import Buffer, receive, send
from lesionlens.serving.pictures import map_png, overlay_png, png

STATUS = Path("/proc/self/status")
Reply = tuple[dict[str, Any], Buffer]


def prepared(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Decode an image and scale it for the network: uint8 (S, S, 3)."""
    started = time.perf_counter()
    found = decode_image(data, name="the upload", max_pixels=head["max_pixels"], frame=head["frame"])
    decoded = time.perf_counter()
    pixels = np.ascontiguousarray(centre_crop(prepare(found.image, spec), spec.size))
    timings_ms = {"decode": 1000 * (decoded - started), "resize": 1000 * (time.perf_counter() - decoded)}
    reply = {
        "size": found.image.size,
        "frames": found.frames,
        "notes": found.notes,
        "timings_ms": timings_ms,
        "shape": pixels.shape,
    }
    return reply, pixels.data.cast("B")


def drawn_map(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Draw a heat map alone."""
    return {}, png(map_png(_map(data, head), spec, tuple(head["size"]), head["limit"]))


def drawn_overlay(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Draw a heat map over its image."""
    n_map = head["map_bytes"]
    image = open_image(data[n_map:], name="the upload", max_pixels=head["max_pixels"], frame=head["frame"])
    return {}, png(overlay_png(image, _map(data[:n_map], head), spec, head["title"], head["limit"]))


def _map(data: bytes, head: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(data, dtype=np.float32).reshape(head["shape"])


OPERATIONS: dict[str, Callable[[dict[str, Any], bytes, InputSpec], Reply]] = {
    "prepare": prepared,
    "map": drawn_map,
    "overlay": drawn_overlay,
}


def answer(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Do what a message asks for; an image that cannot be used gives `problem` and `detail`."""
    try:
        return OPERATIONS[head["operation"]](head, data, spec)
    except ImageTooLargeError as error:
        return {"problem": "image_too_large", "detail": str(error)}, b""
    except ImageError as error:
        return {"problem": "image_unreadable", "detail": str(error)}, b""
    except MemoryError:
        detail = "the image takes more memory to decode than is set aside; save it smaller, as JPEG or PNG"
        return {"problem": "image_too_large", "detail": detail}, b""


def limit_memory(n_bytes: int) -> None:
    """Let this process have at most so much memory beyond what it has now (Linux; elsewhere nothing is limited)."""
    if STATUS.is_file():
        import resource

        held = next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmData:"))
        resource.setrlimit(resource.RLIMIT_DATA, (held * 1024 + n_bytes,) * 2)


def serve(read: Callable[[int], bytes], write: Any) -> None:
    """Answer messages until the server goes away."""
    setup, _ = receive(read)
    spec = InputSpec.from_json(setup["spec"])
    load_decoders()  # before memory is limited, so that no image pays for it
    limit_memory(setup["decode_bytes"])
    send(write, {})
    while True:
        head, data = receive(read)
        signal.setitimer(signal.ITIMER_PROF, setup["decode_seconds"])  # the system ends this process when they are over
        assert isinstance(data, bytes)
        reply, found = answer(head, data, spec)
        signal.setitimer(signal.ITIMER_PROF, 0)
        send(write, reply, found)
        del head, data, reply, found


def main() -> None:
    """Keep the pipes to ourselves, and serve."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which finishes what it has begun
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        serve(sys.stdin.buffer.read, answers)
    except (EOFError, BrokenPipeError):
        os._exit(0)


if __name__ == "__main__":
    main()
