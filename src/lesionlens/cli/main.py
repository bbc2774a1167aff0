"""The command `lesionlens`: registers the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import copy
import os
import sys
from typing import Annotated

import typer

from lesionlens import __version__
from lesionlens.cli.assess import assess
from lesionlens.cli.audit import audit
from lesionlens.cli.augment import augment
from lesionlens.cli.benchmark import benchmark
from lesionlens.cli.compress import compress
from lesionlens.cli.console import note
from lesionlens.cli.convert import convert
from lesionlens.cli.documents import documents
from lesionlens.cli.download import download
from lesionlens.cli.evaluate import compare, evaluate, submission
from lesionlens.cli.experiments import ablate, crossvalidate, search
from lesionlens.cli.explain import explain
from lesionlens.cli.export import export
from lesionlens.cli.index import index, pack
from lesionlens.cli.inspect_bundle import inspect
from lesionlens.cli.networks import networks
from lesionlens.cli.predict import predict
from lesionlens.cli.pretrain import pretrain
from lesionlens.cli.recipes import recipes
from lesionlens.cli.record import record
from lesionlens.cli.report import report
from lesionlens.cli.run import run
from lesionlens.cli.serve import serve
from lesionlens.cli.site import site
from lesionlens.cli.split import split
from lesionlens.cli.stress import stress
from lesionlens.cli.synthetic import synthetic
from lesionlens.cli.token import token
from lesionlens.cli.train import train
from lesionlens.cli.trim import trim
from lesionlens.cli.tune import tune
from lesionlens.core.errors import LesionLensError

PANELS = {
    "Data": (download, synthetic, index, audit, split, augment, pack),
    "Train": (run, train, pretrain, recipes, networks, convert),
    "Evaluate": (evaluate, assess, stress, compare, explain, report, documents, submission),
    "Experiments": (ablate, crossvalidate, search),
    "Deploy": (export, compress, trim, predict, inspect, benchmark, tune),
    "Serve": (serve, site),
}
GROUPS = (token, record)
EPILOG = (
    "Exit codes: 0 done, 1 an error, 2 usage or recipe, 3 data, 4 model, 130 interrupted. "
    "A research and decision-support tool, not a medical device."
)

INTERRUPTED = 130  # what typer makes of Ctrl-C

app = typer.Typer(
    name="lesionlens",
    help="Classify dermoscopic images of skin lesions: leak-free training, intervals on every number.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
for group in GROUPS:
    app.add_typer(group, rich_help_panel="Serve")


def _version(given: bool) -> None:
    if given:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    """Read the options that stand before the command."""


def _application(arguments: list[str]) -> typer.Typer:
    """The application with the named command alone, because describing the others takes a tenth of a second; else all of it."""
    name = arguments[0] if arguments else ""
    named = [command for command in app.registered_commands if getattr(command.callback, "__name__", "") == name]
    if not named:
        return app
    alone = copy.copy(app)
    alone.registered_commands, alone.registered_groups = named, []
    return alone


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [word for word in arguments if word != "--debug"]
    try:
        _application(arguments)(arguments)
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

    `predict` is often run for one image, so its process does without importing OpenVINO's model converter (about 0.05 s), and
    without taking the loaded graph apart before the memory goes back to the system (0.2 s).
    """
    is_predict = sys.argv[1:2] == ["predict"]
    if is_predict:
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
