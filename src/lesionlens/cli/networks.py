"""The command `networks`: list networks that can be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lesionlens.cli.console import REPORTER, emit_text
from lesionlens.cli.options import Json
from lesionlens.core.errors import LesionLensError, ModelError

if TYPE_CHECKING:
    from lesionlens.pipeline.networks import Network

HEAD = ("network", "parameters", "input", "normalise", "weights", "heat map")


def networks(
    pattern: Annotated[
        str, typer.Argument(help="Start of a name, or a pattern such as '*resnet*'; one of each family if not given.")
    ] = "",
    limit: Annotated[int, typer.Option(help="Most networks to list.", min=1)] = 16,
    check: Annotated[
        bool, typer.Option("--check", help="Try each: one training step, heat maps, export compared with torch (random weights).")
    ] = False,
    as_json: Json = False,
) -> None:
    """List networks that can be trained, with size, input and kind of heat map.

    Any name can be given as `--set model.name=NAME`. Parameters are counted with seven diagnoses. The input is the size of
    the pretrained images; "any" networks take every `input.size`, "fixed" ones are built for one. Weights are the sets of
    pretrained weights in timm's hub; `lesionlens networks convnext_tiny.` lists those of one network. Networks that timm
    does not have are on the page Networks.
    """
    from lesionlens.pipeline.networks import describe_networks, network_names, own_names

    names = network_names(pattern)
    with REPORTER.bar("Building", min(limit, len(names))) as advance:
        listed, left_out = describe_networks(names[:limit], advance)
    for name, reason in left_out.items():
        REPORTER.note(f"left out: {name}: {reason}")
    content: dict[str, Any] = {
        "networks": [network.to_json() for network in listed],
        "fitting": len(names),
        "not_listed": len(names[limit:]),
        "left_out": left_out,
    }
    lines = [*_table(listed), *_rest(pattern, names, limit)]
    if not pattern:
        lines.append(f"not of timm: {', '.join(own_names())}")
    if check:
        content["checked"] = _checked([network.name for network in listed])
        lines += ["", *(f"{name}: {_words(found)}" for name, found in content["checked"].items())]
    emit_text(content, as_json, "\n".join(lines))
    if check and any("reason" in found for found in content["checked"].values()):
        raise typer.Exit(ModelError.exit_code)


def _checked(names: list[str]) -> dict[str, dict[str, Any]]:
    """What each network did, or the reason why it cannot be used."""
    from lesionlens.core.recipe import ModelRecipe
    from lesionlens.pipeline.network_trial import try_network

    found: dict[str, dict[str, Any]] = {}
    with REPORTER.bar("Trying", len(names)) as advance:
        for name in names:
            try:
                found[name] = try_network(ModelRecipe(name, weights="none")).to_json()
            except LesionLensError as error:
                found[name] = {"reason": str(error)}
            advance(1)
    return found


def _words(found: dict[str, Any]) -> str:
    if "reason" in found:
        return f"cannot be used: {found['reason']}"
    largest = max(value for outputs in found["largest_difference"].values() for value in outputs.values())
    maps = "with" if found["maps_in_bundle"] else "without"
    runtimes = " and ".join(found["largest_difference"])
    return (
        f"takes a training step at {found['size']} px, {found['heat_map']}, bundle {maps} heat maps, same as torch on {runtimes} "
        f"(largest difference {largest:.1e})"
    )


def _table(listed: list[Network]) -> list[str]:
    rows = [HEAD, *(_row(each) for each in listed)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    right = (1, 2, 4)
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(network: Network) -> tuple[str, ...]:
    size = f"{network.input_size} {'any' if network.any_size else 'fixed'}"
    weights = str(network.weights or "none")
    return network.name, f"{network.parameters / 1e6:.1f} M", size, network.normalise, weights, network.heat_map


def _rest(pattern: str, names: list[str], limit: int) -> list[str]:
    rest, total = names[limit:], len(names)
    if not pattern:
        return ["", "one network of each family; more of one: lesionlens networks 'resnet*', or any other name that timm knows"]
    if rest:
        return ["", f"{len(rest)} more fit {pattern!r}, from {rest[0]} to {rest[-1]}; list them with: --limit {total}"]
    return []
