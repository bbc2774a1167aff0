"""The command `serve`: page and API of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import note


def serve(
    bundle: Annotated[Path, typer.Argument(help="Bundle that `lesionlens export` wrote.")],
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs --tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    record: Annotated[Path | None, typer.Option(help="SQLite file of the record; made if missing.")] = None,
    tokens: Annotated[Path | None, typer.Option(help="File of access tokens; with it, every caller needs one.")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="Name by which clients may call it (behind a proxy).")] = None,
    keep_images: Annotated[bool, typer.Option("--keep-images", help="Keep every image beside the record.")] = False,
    file_names: Annotated[bool, typer.Option("--file-names/--no-file-names", help="Keep the names of files.")] = True,
    runtime: Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")] = "auto",
    variant: Annotated[str, typer.Option(help="Variant of the bundle; auto is its default.")] = "auto",
    threads: Annotated[int, typer.Option(help="Threads of computation; 0 leaves it to the runtime.")] = 0,
    streams: Annotated[int, typer.Option(help="Passes of the network at one time: more images per second of a small one.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Most images in one pass.")] = 1,
    decoders: Annotated[int, typer.Option(help="Processes that decode images.")] = 2,
    max_active: Annotated[int, typer.Option(help="Predictions at once.")] = 16,
    queue: Annotated[int, typer.Option(help="Predictions that may wait; more get 503.")] = 16,
    max_upload_mb: Annotated[float, typer.Option(help="Largest upload, MiB.")] = 32,
    max_megapixels: Annotated[float, typer.Option(help="Largest image, million pixels.")] = 24,
    upload_seconds: Annotated[float, typer.Option(help="Time in which a request must have arrived.")] = 20,
    rate: Annotated[int, typer.Option(help="Predictions a minute for each token; 0: no limit.")] = 600,
    image_minutes: Annotated[float, typer.Option(help="How long images stay in memory for overlays; 0: not at all.")] = 10,
    drain_seconds: Annotated[float, typer.Option(help="When stopping: how long /readyz says so first.")] = 0,
) -> None:
    """Serve page and API. On loopback it is open to all who can reach it there; elsewhere tokens are needed."""
    _check_installed()
    from lesionlens.serving import server
    from lesionlens.serving.settings import MIB, ServingSettings, state_folder

    settings = ServingSettings(
        bundle=bundle,
        record=record or state_folder() / "record.sqlite",
        tokens=tokens,
        hosts=tuple(allow_host or ()),
        runtime=runtime,
        variant=variant,
        threads=threads,
        batch_size=batch_size,
        streams=streams,
        decoders=decoders,
        max_active=max_active,
        queue=queue,
        upload_bytes=round(max_upload_mb * MIB),
        pixels=round(max_megapixels * 1e6),
        upload_seconds=upload_seconds,
        rate=rate,
        keep_images=keep_images,
        file_names=file_names,
        image_minutes=image_minutes,
        drain_seconds=drain_seconds,
    )
    settings = server.checked(settings, host)
    sockets = server.listen(host, port)
    name = f"[{host}]" if ":" in host else host

    def ready(notes: tuple[str, ...]) -> None:
        for text in (*notes, f"listening on http://{name}:{sockets[0].getsockname()[1]}"):
            note(text)

    server.serve(settings, sockets, ready)


def _check_installed() -> None:
    from importlib.util import find_spec

    from lesionlens.core.errors import RecipeError

    missing = [name for name in ("fastapi", "uvicorn", "pydantic") if find_spec(name) is None]
    if missing:
        raise RecipeError(f"serve needs {', '.join(missing)}; install it with: pip install 'lesionlens[serve]'")
