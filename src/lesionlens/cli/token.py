"""The commands `token create`, `token list` and `token revoke`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text, note

token = typer.Typer(name="token", help="Create, list and revoke access tokens of `serve`.", no_args_is_help=True)
Tokens = Annotated[Path | None, typer.Option("--tokens", help="File of tokens; the same as for serve.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _file(tokens: Path | None) -> Path:
    from lesionlens.serving.settings import state_folder

    return tokens or state_folder() / "tokens.json"


@token.command()
def create(
    name: Annotated[str, typer.Option(help="Name of the token: letters, digits, ._-@; predictions are logged under it.")],
    role: Annotated[str, typer.Option(help="predict, or review (may also predict, and sees all predictions).")],
    expires: Annotated[str, typer.Option(help="Lifetime, for example 90d, 12h, 30m; unlimited if not given.")] = "",
    tokens: Tokens = None,
    as_json: AsJson = False,
) -> None:
    """Create a token and print it once; only its hash is stored."""
    from lesionlens.serving.access import create_token

    path = _file(tokens)
    secret = create_token(path, name, role, expires)
    emit_text({"name": name, "role": role, "token": secret, "tokens": str(path)}, as_json, secret)
    note(f"stored the hash in {path}; the token itself cannot be shown again")


@token.command("list")
def list_tokens(tokens: Tokens = None, as_json: AsJson = False) -> None:
    """List tokens: name, role, state, date of creation and expiry."""
    from datetime import UTC, datetime

    from lesionlens.serving.access import read_tokens

    now = datetime.now(UTC)
    rows = [(t.name, t.role, t.state(now), t.created, t.expires or "never") for t in read_tokens(_file(tokens))]
    fields = ("name", "role", "state", "created", "expires")
    if as_json:
        print(json.dumps({"tokens": [dict(zip(fields, row, strict=True)) for row in rows]}))
        return
    for row in (fields, *rows):
        print(f"{row[0]:<24}{row[1]:<9}{row[2]:<9}{row[3]:<27}{row[4]}")


@token.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name of the token.")], tokens: Tokens = None, as_json: AsJson = False
) -> None:
    """Revoke a token; a running server refuses it from the next request on."""
    from lesionlens.serving.access import revoke_token

    revoke_token(_file(tokens), name)
    emit_text({"revoked": name}, as_json, f"revoked {name}")
