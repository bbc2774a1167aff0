"""docs/serving.md and docs/deploy say what the program does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra `serve` is not installed")

from typer.main import get_command

from lesionlens.serving.problems import KINDS

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "serving.md").read_text(encoding="utf-8")
DEPLOY = sorted((DOCS / "deploy").iterdir())


def options_of(*command: str) -> set[str]:
    import typer

    from lesionlens.cli.record import record
    from lesionlens.cli.serve import serve
    from lesionlens.cli.token import token

    app = typer.Typer()
    app.command("serve")(serve)
    app.add_typer(record)
    app.add_typer(token)
    found = get_command(app)
    for name in command:
        found = found.commands[name]  # type: ignore[attr-defined]
    return {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_the_table_of_errors_is_the_programs() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.+) \|$", TEXT, re.MULTILINE)
    assert rows == [(str(kind.status), code, kind.title) for code, kind in KINDS.items()]


def test_every_code_in_the_text_exists() -> None:
    limits = TEXT[TEXT.index("## Limits") : TEXT.index("757 bad uploads")]
    codes = set(re.findall(r"`(\w+_\w+|busy)`", limits))
    assert codes <= set(KINDS)


@pytest.mark.parametrize("words", ["serve", "token create", "token revoke", "record retain", "record export"])
def test_every_option_in_the_text_exists(words: str) -> None:
    text = re.sub(r"\\\n\s*", " ", TEXT + "".join(path.read_text(encoding="utf-8") for path in DEPLOY))
    lines = [line[line.index(words) :] for line in text.splitlines() if f"{words} " in line]
    used = {option for line in lines for option in re.findall(r"(?<![\w-])(--[a-z-]+)", line.partition("#")[0])}
    assert lines
    assert used <= options_of(*words.split()) | {"--help"}


def test_options_named_alone_are_of_serve() -> None:
    named = set(re.findall(r"`(--[a-z-]+)[^`]*`", TEXT))
    assert named <= options_of("serve")


def test_defaults_of_the_limits() -> None:
    from lesionlens.serving import protocol
    from lesionlens.serving.settings import MIB, ServingSettings

    settings = ServingSettings(Path("bundle"), Path("record"))
    assert settings.upload_bytes == 32 * MIB
    assert settings.pixels == 24_000_000
    assert settings.decode_bytes == 256 * MIB
    assert (settings.decode_seconds, settings.upload_seconds) == (2.0, 20.0)
    assert (settings.max_active, settings.queue, settings.rate) == (16, 16, 600)
    assert (protocol.HEAD_SECONDS, protocol.HEAD_BYTES, protocol.CONNECTIONS) == (10.0, 16 * 1024, 512)


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (DOCS / target).exists(), target


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_the_units_are_valid(tmp_path: Path) -> None:
    for path in DEPLOY:
        if path.suffix in (".service", ".timer"):
            unit = re.sub(r"/opt/lesionlens/venv/bin/lesionlens|/usr/bin/sqlite3", "/bin/true", path.read_text(encoding="utf-8"))
            (tmp_path / path.name).write_text(unit, encoding="utf-8")
    units = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("caddy") is None, reason="no caddy")
def test_the_caddyfile_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = (DOCS / "deploy" / "Caddyfile").read_text(encoding="utf-8").replace("/var/log/caddy", str(tmp_path))
    (tmp_path / "Caddyfile").write_text(text, encoding="utf-8")
    command = ["caddy", "validate", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"]
    subprocess.run(command, capture_output=True, check=True)
