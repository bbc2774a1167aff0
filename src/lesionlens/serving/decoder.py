"""The process that decodes uploads: `python -m lesionlens.serving.decoder`, driven over its pipes.

C libraries decode files from anywhere. Here a file can exhaust only the memory and time of this process,
which the system limits, and crash only this process, which the server then replaces.
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
from PIL import Image

from lesionlens.core.errors import ImageError, ImageTooLargeError
from lesionlens.data.dicom.header import is_dicom_head
from lesionlens.data.dicom.patient import patient_pseudonym
from lesionlens.data.formats import HEAD_BYTES
from lesionlens.data.image import InputSpec, centre_crop, decode_image, load_decoders, open_image, prepare
from lesionlens.data.pillow_memory import reuse_memory
from lesionlens.serving.comparison import compare
from lesionlens.serving.messages import Buffer, receive, send
from lesionlens.serving.pictures import fitted, map_png, overlay_png, png

# Memory that decoding WebP takes for each pixel, measured: its library holds two canvases beside the picture.
WEBP_HEAD_BYTES = 30
WEBP_BYTES, TRANSPARENT_WEBP_BYTES = 22, 30
STATUS = Path("/proc/self/status")
Reply = tuple[dict[str, Any], Buffer]


def prepare_upload(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Decode an image and scale it for the network: uint8 (S, S, 3)."""
    started = time.perf_counter()
    upload = decode_image(data, name="the upload", max_pixels=_most_pixels(head, data), frame=head["frame"])
    decoded_at = time.perf_counter()
    pixels = np.ascontiguousarray(centre_crop(prepare(upload.image, spec), spec.size))
    timings_ms = {"decode": 1000 * (decoded_at - started), "resize": 1000 * (time.perf_counter() - decoded_at)}
    reply = {
        "size": upload.image.size,
        "frames": upload.frames,
        "notes": upload.notes,
        "pixel_spacing_mm": upload.pixel_spacing_mm,
        "timings_ms": timings_ms,
        "shape": pixels.shape,
    }
    if (key := head.get("case_key")) and is_dicom_head(data[:HEAD_BYTES]):
        reply["case"] = patient_pseudonym(data, bytes.fromhex(key))
    return reply, pixels.data.cast("B")


def draw_map(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Draw a heat map alone."""
    return {}, png(map_png(_map(data, head), head["part"], tuple(head["size"]), head["limit"]))


def draw_image(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """The image alone, no side longer than asked for."""
    image = open_image(data, name="the upload", max_pixels=_most_pixels(head, data), frame=head["frame"])
    size = fitted(image.size, head["side"])
    return {}, png(image if size == image.size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def draw_overlay(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Draw a heat map over its image."""
    n_map = head["map_bytes"]
    image = open_image(data[n_map:], name="the upload", max_pixels=head["max_pixels"], frame=head["frame"])
    return {}, png(overlay_png(image, _map(data[:n_map], head), head["part"], head["title"], head["limit"]))


def compare_images(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Compare two photographs of one lesion."""
    files = (data[: head["first_bytes"]], data[head["first_bytes"] :])
    images = []
    for file, frame in zip(files, head["frames"], strict=True):
        image = open_image(file, name="the upload", max_pixels=_most_pixels(head, file), frame=frame)
        images.append(image.resize(fitted(image.size), Image.Resampling.BILINEAR, reducing_gap=2.0))
    spacings = [_spacing_of(*each) for each in zip(head["spacings_mm"], head["sizes"], images, strict=True)]
    return {"comparison": compare(images[0], images[1], (spacings[0], spacings[1]))}, b""


def _spacing_of(spacing: list[float] | None, size: list[int], image: Image.Image) -> tuple[float, float] | None:
    """Millimetres between rows and columns of a picture that was made smaller."""
    return None if spacing is None else (spacing[0] * size[1] / image.height, spacing[1] * size[0] / image.width)


def _most_pixels(head: dict[str, Any], data: bytes) -> int:
    """Largest width x height: of WebP it is what fits into the memory that decoding may take."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < WEBP_HEAD_BYTES:
        return int(head["max_pixels"])
    transparent = (data[12:16], bool(data[20] & 0x10)) == (b"VP8X", True) or (data[12:16], data[24] >> 4 & 1) == (b"VP8L", 1)
    n_bytes = TRANSPARENT_WEBP_BYTES if transparent else WEBP_BYTES
    return min(int(head["max_pixels"]), int(head["decode_bytes"]) // n_bytes)


def _map(data: bytes, head: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(data, dtype=np.float32).reshape(head["shape"])


OPERATIONS: dict[str, Callable[[dict[str, Any], bytes, InputSpec], Reply]] = {
    "prepare": prepare_upload,
    "image": draw_image,
    "map": draw_map,
    "overlay": draw_overlay,
    "compare": compare_images,
}


def reply_to(head: dict[str, Any], data: bytes, spec: InputSpec) -> Reply:
    """Carry out the operation of a message; an image that cannot be used gives `problem` and `detail`."""
    try:
        return OPERATIONS[head["operation"]](head, data, spec)
    except ImageTooLargeError as error:
        return {"problem": "image_too_large", "detail": str(error)}, b""
    except ImageError as error:
        return {"problem": "image_unreadable", "detail": str(error)}, b""
    except MemoryError:
        detail = "decoding the image needs more memory than is allowed; save it smaller, as JPEG or PNG"
        return {"problem": "image_too_large", "detail": detail}, b""


def limit_memory(n_bytes: int) -> None:
    """Limit this process to `n_bytes` beyond the memory that it uses now (Linux only; elsewhere there is no limit)."""
    if STATUS.is_file():
        import resource

        used_kib = next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmData:"))
        resource.setrlimit(resource.RLIMIT_DATA, (used_kib * 1024 + n_bytes,) * 2)


def serve(read: Callable[[int], bytes], write: Any) -> None:
    """Reply to messages until the server closes the pipe."""
    setup, _ = receive(read)
    spec = InputSpec.from_json(setup["spec"])
    reuse_memory()
    load_decoders()  # before memory is limited, so that no image pays for it
    limit_memory(setup["decode_bytes"])
    send(write, {})
    while True:
        head, data = receive(read)
        signal.setitimer(
            signal.ITIMER_PROF, head.get("time_factor", 1) * setup["decode_seconds"]
        )  # then the system ends this process
        assert isinstance(data, bytes)
        reply, content = reply_to(head, data, spec)
        signal.setitimer(signal.ITIMER_PROF, 0)
        send(write, reply, content)
        del head, data, reply, content


def main() -> None:
    """Reserve the pipes for messages, and serve."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which finishes its requests
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        serve(sys.stdin.buffer.read, replies)
    except (EOFError, BrokenPipeError):
        os._exit(0)


if __name__ == "__main__":
    main()
