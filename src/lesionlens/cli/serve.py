"""The command `serve`: page and API of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.bundles import BundleArgument, bundle_or_installed
from lesionlens.cli.console import note
from lesionlens.cli.options import Runtime, RuntimeOption, TuneOption, VariantOption
from lesionlens.interop.settings import ExchangeSettings, read_peer, read_target
from lesionlens.serving.database_url import read_record
from lesionlens.serving.settings import MIB, ServingSettings, state_folder

DEFAULT, OTHER = ServingSettings, ExchangeSettings  # their class attributes are the defaults
OTHERS = "Other systems"
RUNTIME = Runtime(DEFAULT.runtime)


def serve(
    bundle: BundleArgument = None,
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8000,
    record: Annotated[
        str | None, typer.Option(help="Prediction log: file of SQLite, or URL of a PostgreSQL database; created if missing.")
    ] = None,
    tokens: Annotated[Path | None, typer.Option(help="File of access tokens; with it, every caller needs one.")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="Host name that requests may use (behind a proxy).")] = None,
    keep_images: Annotated[bool, typer.Option("--keep-images", help="Keep every image beside the log.")] = DEFAULT.keep_images,
    image_folder: Annotated[
        Path | None, typer.Option(help="Folder to keep images in; with PostgreSQL, one that all servers share.")
    ] = DEFAULT.image_folder,
    image_key: Annotated[
        Path | None, typer.Option(help="Key file that encrypts kept images; see `record create-key`.")
    ] = DEFAULT.image_key,
    case_key: Annotated[
        Path | None, typer.Option(help="Key file that makes a case of a DICOM object's Patient ID; see `record create-key`.")
    ] = DEFAULT.case_key,
    file_names: Annotated[
        bool, typer.Option("--file-names/--no-file-names", help="Log the names of files.")
    ] = DEFAULT.file_names,
    runtime: RuntimeOption = RUNTIME,
    variant: VariantOption = DEFAULT.variant,
    tune: TuneOption = True,
    threads: Annotated[
        int, typer.Option(help="Threads for computation; 0: as measured, or as the runtime takes.")
    ] = DEFAULT.threads,
    streams: Annotated[
        int, typer.Option(help="Passes of the network at once, for more images per second; 0: as measured.")
    ] = DEFAULT.streams,
    batch_size: Annotated[int, typer.Option(help="Most images in one pass.")] = DEFAULT.batch_size,
    decoders: Annotated[int, typer.Option(help="Processes that decode images.")] = DEFAULT.decoders,
    max_active: Annotated[int, typer.Option(help="Predictions at once.")] = DEFAULT.max_active,
    queue: Annotated[int, typer.Option(help="Predictions that may wait; more get 503.")] = DEFAULT.queue,
    max_upload_mb: Annotated[float, typer.Option(help="Largest upload, MiB.")] = DEFAULT.upload_bytes / MIB,
    max_megapixels: Annotated[float, typer.Option(help="Largest image, million pixels.")] = DEFAULT.pixels / 1e6,
    upload_seconds: Annotated[float, typer.Option(help="Time for a request's body to arrive.")] = DEFAULT.upload_seconds,
    rate: Annotated[int, typer.Option(help="Predictions per minute and token; 0: no limit.")] = DEFAULT.rate,
    image_minutes: Annotated[
        float, typer.Option(help="Minutes that images stay in memory, to be seen again; 0: none.")
    ] = DEFAULT.image_minutes,
    drain_seconds: Annotated[
        float, typer.Option(help="Seconds that /readyz reports a stop before the server stops listening.")
    ] = DEFAULT.drain_seconds,
    language: Annotated[
        str,
        typer.Option(help="Page's language until a person chooses another: en, de, fr, es, ar or ckb; empty: the browser's."),
    ] = DEFAULT.language,
    shadow: Annotated[
        Path | None, typer.Option(help="Second bundle that sees every image too; its predictions are compared, not sent.")
    ] = DEFAULT.shadow,
    dicom: Annotated[int | None, typer.Option(help="Port to receive DICOM images at.", rich_help_panel=OTHERS)] = None,
    dicom_host: Annotated[str, typer.Option(help="Address to receive them at.", rich_help_panel=OTHERS)] = OTHER.dicom_host,
    dicom_ae: Annotated[str, typer.Option(help="AE title of this server.", rich_help_panel=OTHERS)] = OTHER.dicom_ae,
    dicom_allow: Annotated[
        list[str] | None, typer.Option(help="Who may send: AE@ADDRESS or AE@NETWORK/BITS.", rich_help_panel=OTHERS)
    ] = None,
    dicom_target: Annotated[
        str, typer.Option(help="Where results of received images are sent: AE@HOST:PORT.", rich_help_panel=OTHERS)
    ] = "",
    fhir_target: Annotated[
        str, typer.Option(help="Base URL of a FHIR R4 server that gets every prediction.", rich_help_panel=OTHERS)
    ] = "",
    fhir_token: Annotated[Path | None, typer.Option(help="File of its bearer token.", rich_help_panel=OTHERS)] = None,
    webhook: Annotated[str, typer.Option(help="URL that is told of every prediction.", rich_help_panel=OTHERS)] = "",
    webhook_key: Annotated[Path | None, typer.Option(help="File of the key that signs it.", rich_help_panel=OTHERS)] = None,
) -> None:
    """Serve the page and the API. On loopback no token is needed; elsewhere every caller needs one."""
    _check_installed()
    senders = tuple(read_peer(text) for text in dicom_allow or ())
    results = read_target(dicom_target) if dicom_target else None
    exchange = ExchangeSettings(  # in the order of the options
        dicom, dicom_host, dicom_ae, senders, results, fhir_target, fhir_token, webhook, webhook_key
    )
    settings = ServingSettings(
        bundle=bundle_or_installed(bundle),
        record=read_record(record) if record else state_folder() / "record.sqlite",
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
        image_folder=image_folder,
        image_key=image_key,
        case_key=case_key,
        file_names=file_names,
        image_minutes=image_minutes,
        drain_seconds=drain_seconds,
        language=language,
        shadow=shadow,
        exchange=exchange,
    )
    _listen(settings, host, port, tune)


def _listen(settings: ServingSettings, host: str, port: int, tune: bool) -> None:
    """Serve until the process is told to stop."""
    from lesionlens.bundle.tuning import tune_if_new
    from lesionlens.serving import server

    settings = server.checked(settings, host)
    if tune:
        tune_if_new(settings.bundle, settings.runtime, settings.variant, note)
    sockets = server.listen(host, port)
    name = f"[{host}]" if ":" in host else host

    def ready(notes: tuple[str, ...]) -> None:
        for text in (*notes, f"listening on http://{name}:{sockets[0].getsockname()[1]}"):
            note(text)

    server.serve(settings, sockets, ready)


def _check_installed() -> None:
    from importlib.util import find_spec

    from lesionlens.core.errors import RecipeError

    missing = [name for name in ("fastapi", "uvicorn", "pydantic", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise RecipeError(f"serve needs {', '.join(missing)}; install them with: pip install 'lesionlens[serve]'")
