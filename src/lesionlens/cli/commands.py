"""The commands of `lesionlens` and their groups; each is imported only when it is needed."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Annotated, Any

import typer

from lesionlens import __version__

PANELS = {  # as `module`, or `module.function` where the names differ
    "Data": ("download", "synthetic", "index", "audit", "split", "augment", "index.pack"),
    "Train": ("run", "train", "pretrain", "recipes", "networks", "convert"),
    "Evaluate": ("evaluate", "assess", "stress", "evaluate.compare", "explain", "report", "documents", "evaluate.submission"),
    "Experiments": ("experiments.ablate", "experiments.crossvalidate", "experiments.search"),
    "Deploy": ("export", "compress", "trim", "predict", "inspect_bundle.inspect", "benchmark", "tune"),
    "Serve": ("serve", "site"),
}
GROUPS = ("token", "record")
EPILOG = (
    "Exit codes: 0 done, 1 an error, 2 usage or recipe, 3 data, 4 model, 130 interrupted. "
    "A research and decision-support tool, not a medical device."
)


@cache
def application(name: str = "") -> typer.Typer:
    """The command line.

    Args:
        name: of the only command that is needed: importing and describing the others takes a fifth of a second. Empty, or
            anything that is not a command: all commands.
    """
    app = typer.Typer(
        name="lesionlens",
        help="Classify dermoscopic images of skin lesions: leak-free training, intervals on every number.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    named = [(panel, place) for panel, places in PANELS.items() for place in places]
    alone = [(panel, place) for panel, place in named if place.rpartition(".")[2] == name]
    for panel, place in alone or named:
        app.command(rich_help_panel=panel)(_load(place))
    for group in () if alone else GROUPS:
        app.add_typer(_load(group), rich_help_panel="Serve")
    return app


def _load(place: str) -> Any:
    module, _, function = place.partition(".")
    return getattr(importlib.import_module(f"lesionlens.cli.{module}"), function or module)


def _version(given: bool) -> None:
    if given:
        print(__version__)
        raise typer.Exit


def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    """Read the options that stand before the command."""
