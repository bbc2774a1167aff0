"""The command `convert`: weights in torch's pickle format to safetensors."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lesionlens.cli.console import emit_text
from lesionlens.cli.options import Json

if TYPE_CHECKING:
    from lesionlens.models.conversion import Conversion

SHOWN = 8


def convert(
    source: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="File that torch.save wrote, such as weights.pth.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write, such as weights.safetensors.")],
    network: Annotated[str, typer.Option(help="Network of timm that the weights are for; names and shapes are checked.")] = "",
    as_json: Json = False,
) -> None:
    """Convert weights from torch's pickle format to safetensors; no code in the file is run.

    Tensors are found below the usual entries (state_dict, model) and prefixes (module.); the rest is dropped and named.
    With --network, the tensors must have timm's names and shapes, or be in timm's order with all shapes equal.
    """
    from lesionlens.models.conversion import convert as convert_weights

    conversion = convert_weights(source, target, network)
    content = {
        "weights": str(target),
        "tensors": len(conversion.tensors),
        "parameters": conversion.parameters,
        "entry": conversion.entry,
        "prefix": conversion.prefix,
        "dropped": list(conversion.dropped),
        "network": network or None,
        "matched": conversion.matched or None,
    }
    emit_text(content, as_json, _text(conversion, source, target))


def _text(conversion: Conversion, source: Path, target: Path) -> str:
    taken = [f"entry {conversion.entry}"] if conversion.entry else []
    taken += [f"prefix {conversion.prefix} removed"] if conversion.prefix else []
    details = f" ({', '.join(taken)})" if taken else ""
    lines = [f"{target}: {len(conversion.tensors)} tensors, {conversion.parameters:,} values, from {source}{details}"]
    if conversion.dropped:
        rest = len(conversion.dropped) - SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        lines.append(f"dropped {len(conversion.dropped)}: {', '.join(conversion.dropped[:SHOWN])}{more}")
    if conversion.matched == "names":
        lines.append(f"fits {conversion.network}: every name and shape is the network's")
    elif conversion.matched == "order":
        lines.append(
            f"fits {conversion.network} by order: the names differ, but all shapes agree one by one. Check on images with known "
            "diagnoses that it works before you trust it"
        )
    model = f"--set model.name={conversion.network} " if conversion.network else "--set model.name=... "
    lines.append(f"use it with: {model}--set model.weights={shlex.quote(str(target))}")
    return "\n".join(lines)
