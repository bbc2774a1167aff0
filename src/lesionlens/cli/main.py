"""The command `lesionlens`: runs the command line, and turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import TYPE_CHECKING

from lesionlens.cli.commands import application
from lesionlens.cli.console import note
from lesionlens.core.errors import LesionLensError

if TYPE_CHECKING:
    import typer

INTERRUPTED = 130  # what typer makes of Ctrl-C


def __getattr__(name: str) -> typer.Typer:
    if name == "app":  # all commands, for tools that read an application from a module
        return application()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [word for word in arguments if word != "--debug"]
    try:
        application(arguments[0] if arguments else "")(arguments)
    except LesionLensError as error:
        if debug:
            raise
        note(f"lesionlens: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        if debug:
            raise
        place = error.filename or "a file"
        note(
            f"lesionlens: {place} cannot be read or written ({error.strerror or error}); choose another place, such as with --out"
        )
        sys.exit(LesionLensError.exit_code)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            note("lesionlens: interrupted; what was finished is kept; run the same command again to resume")
        raise


def program() -> None:
    """The program `lesionlens`: `main` in a process of its own.

    `predict` is often run for one image, so its process does without importing OpenVINO's model converter (about 0.05 s),
    without the threads of NumPy's BLAS, which it needs for products of one vector only (0.1 s of processor time), without
    looking for garbage among the modules that it imports (0.03 s), and without taking the loaded graph apart before the
    memory goes back to the system (0.2 s).
    """
    is_predict = sys.argv[1:2] == ["predict"]
    if is_predict:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        gc.disable()  # until the network is loaded
        sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]  # None makes its import fail, which is expected
    try:
        main()
    except SystemExit as stop:
        if is_predict and not stop.code and "ray" not in sys.modules:
            with contextlib.suppress(OSError):  # of a reader that is gone: Python tells it as it always does
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
        raise
