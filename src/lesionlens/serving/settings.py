"""Settings of a server: what it may use, and where it stores what it keeps."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from lesionlens.core.errors import RecipeError
from lesionlens.interop.settings import ExchangeSettings
from lesionlens.serving.database_url import Place
from lesionlens.serving.images import images_folder
from lesionlens.serving.page_files import languages

MIB = 1 << 20
UPLOAD_BYTES = 32 * MIB
DECODE_BYTES = 256 * MIB
PIXELS = 24_000_000


def state_folder() -> Path:
    """The default folder of prediction log and tokens: `$XDG_STATE_HOME/lesionlens`, or `~/.local/state/lesionlens`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "lesionlens"


@dataclass(frozen=True)
class ServingSettings:
    """How one server runs.

    Attributes:
        bundle: folder of the bundle.
        record: where the prediction log is, a file of SQLite or a database of PostgreSQL; created if missing.
        tokens: file of access tokens; None: no token is needed (only on loopback).
        hosts: host names that requests may use; empty: any. On loopback, `server.checked` adds its own names.
        runtime: `auto`, `openvino` or `onnxruntime`.
        variant: of the bundle; `auto`: the fastest as measured on this machine, or its default.
        threads: for computation; 0 takes what was measured, or leaves it to the runtime.
        batch_size: most images in one pass of the network.
        streams: passes of the network at once; they share `threads`. 0 takes what was measured, or 1.
        decoders: processes that decode images.
        max_active: predictions at once.
        queue: predictions that may wait beyond them; more get 503.
        upload_bytes: largest upload.
        pixels: largest width x height, read from the header before anything is decoded.
        decode_bytes: most memory for decoding one upload.
        decode_seconds: most processor time for it; five times as long on the clock.
        upload_seconds: time for a request's body to arrive.
        rate: predictions per minute and token; 0: no limit.
        keep_images: keep every image in a folder.
        image_folder: that folder, which servers on one PostgreSQL share; None: beside the file of the log.
        image_key: file of the key that encrypts kept images; None: they are stored as they came.
        case_key: file of the key that makes a case of the patient's id in a DICOM object; None: none is made.
        file_names: log the names of files.
        image_minutes: how long an image stays in memory, to be seen again.
        image_bytes: most memory for such images.
        exchange: other systems: DICOM, FHIR, webhooks.
        shadow: folder of a second bundle that sees every image too, and never responds; None: there is none.
        language: of the page where a person has chosen none; empty: the browser's.
        drain_seconds: how long a stopping server reports it (/readyz) before it stops listening.

    Raises:
        RecipeError: if a value is out of its range.
    """

    bundle: Path
    record: Place
    tokens: Path | None = None
    hosts: tuple[str, ...] = ()
    runtime: str = "auto"
    variant: str = "auto"
    threads: int = 0
    batch_size: int = 1
    streams: int = 0
    decoders: int = 2
    max_active: int = 16
    queue: int = 16
    upload_bytes: int = UPLOAD_BYTES
    pixels: int = PIXELS
    decode_bytes: int = DECODE_BYTES
    decode_seconds: float = 2.0
    upload_seconds: float = 20.0
    rate: int = 600
    keep_images: bool = False
    image_folder: Path | None = None
    image_key: Path | None = None
    case_key: Path | None = None
    file_names: bool = True
    image_minutes: float = 10.0
    image_bytes: int = 32 * MIB
    drain_seconds: float = 0.0
    language: str = ""
    shadow: Path | None = None
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)

    def __post_init__(self) -> None:
        if self.image_key is not None and not self.keep_images:
            raise RecipeError("an image key encrypts kept images, and none are kept; add --keep-images or leave --image-key out")
        if self.keep_images and images_folder(self.record, self.image_folder) is None:
            raise RecipeError("a log in PostgreSQL has no place for images; name a folder that all servers share: --image-folder")
        known = languages()
        if self.language and self.language not in known:
            raise RecipeError(f"language {self.language!r}; the page has {', '.join(known)}")
        ranges = {
            "decoders": (self.decoders, 1, 256),
            "max-active": (self.max_active, 1, 4096),
            "queue": (self.queue, 0, 65536),
            "upload bytes": (self.upload_bytes, 1024, 1 << 31),
            "pixels": (self.pixels, 32 * 32, 1 << 31),
            "decode bytes": (self.decode_bytes, 16 * MIB, 1 << 40),
            "decode seconds": (self.decode_seconds, 0.1, 600),
            "upload seconds": (self.upload_seconds, 0.1, 3600),
            "rate": (self.rate, 0, 1_000_000),
            "image minutes": (self.image_minutes, 0, 1440),
            "image bytes": (self.image_bytes, 0, 1 << 40),
            "drain seconds": (self.drain_seconds, 0, 3600),
        }
        for name, (value, least, most) in ranges.items():
            if not least <= value <= most:
                raise RecipeError(f"{name} = {value}; it must be from {least} to {most}")
