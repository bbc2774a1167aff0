"""docs/serving.md and docs/deploy say what the program does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra `serve` is not installed")

import click
from typer.main import get_command

from lesionlens.cli.main import app
from lesionlens.serving.problems import KINDS

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "serving.md").read_text(encoding="utf-8")
DEPLOY = sorted((DOCS / "deploy").iterdir())


def command_of(*words: str) -> click.Command:
    command = get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    return command


def options_of(*words: str) -> set[str]:
    return {option for parameter in command_of(*words).params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_the_table_of_errors_is_the_programs() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.+) \|$", TEXT, re.MULTILINE)
    assert rows == [(str(kind.status), code, kind.title) for code, kind in KINDS.items()]


def test_every_code_in_the_text_exists() -> None:
    limits = TEXT[TEXT.index("## Limits") : TEXT.index("757 bad uploads")]
    codes = set(re.findall(r"`(\w+_\w+|busy)`", limits))
    assert codes <= set(KINDS)


@pytest.mark.parametrize(
    "words", ["serve", "token create", "token revoke", "record retain", "record export", "record backup", "record create-key"]
)
def test_every_option_in_the_text_exists(words: str) -> None:
    text = re.sub(r"\\\n\s*", " ", TEXT + "".join(path.read_text(encoding="utf-8") for path in DEPLOY))
    lines = [line[line.index(words) :] for line in text.splitlines() if f"{words} " in line]
    used = {option for line in lines for option in re.findall(r"(?<![\w-])(--[a-z-]+)", line.partition("#")[0])}
    assert lines
    assert used <= options_of(*words.split()) | {"--help"}


def test_options_named_alone_are_of_serve() -> None:
    named = set(re.findall(r"`(--[a-z-]+)[^`]*`", TEXT))
    assert named <= options_of("serve")


def rows_of(heading: str) -> list[tuple[str, ...]]:
    """The cells of each row of the table below a heading, without the row of names."""
    section = TEXT[TEXT.index(f"## {heading}\n") :].partition("\n\n")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


WEBP_LIMITS = "pixels of WebP, and of WebP with transparency: its library takes more memory"
DICOM_LIMITS = "reads and bytes of a DICOM header, bytes that a deflated file inflates to"


def test_defaults_of_the_limits() -> None:
    from lesionlens.data.decoding_rules import MAX_SCANNED
    from lesionlens.data.dicom.header import MAX_HEADER_BYTES, MAX_INFLATED_BYTES, MAX_READS
    from lesionlens.serving.boundary import REQUESTS
    from lesionlens.serving.decoder import TRANSPARENT_WEBP_BYTES, WEBP_BYTES
    from lesionlens.serving.guard import HEAD_BYTES
    from lesionlens.serving.settings import MIB, ServingSettings

    settings = ServingSettings(Path("bundle"), Path("record"))
    assert {what: default for what, default, *_ in rows_of("Limits")} == {
        "bytes of a file": f"{settings.upload_bytes / MIB:g} MiB",
        "pixels, read from the header before decoding": f"{settings.pixels / 1e6:g} million",
        WEBP_LIMITS: f"{settings.decode_bytes // WEBP_BYTES / 1e6:.1f} million, "
        f"{settings.decode_bytes // TRANSPARENT_WEBP_BYTES / 1e6:.1f} million",
        "memory to decode one image": f"{settings.decode_bytes / MIB:g} MiB",
        "processor time to decode one image": f"{settings.decode_seconds:g} s",
        "scans x pixels of a JPEG": f"{MAX_SCANNED / 1e6:g} million",
        DICOM_LIMITS: f"{MAX_READS:,}; {MAX_HEADER_BYTES / MIB:g} MiB; {MAX_INFLATED_BYTES / 1e6:g} MB",
        "address and headers": f"{HEAD_BYTES / 1024:g} KiB",
        "time for a body to arrive": f"{settings.upload_seconds:g} s",
        "requests at once": f"{REQUESTS}",
        "predictions at once, and waiting": f"{settings.max_active}, {settings.queue}",
        "predictions per minute and token": f"{settings.rate}",
    }


def test_options_of_the_limits_have_the_same_defaults() -> None:
    defaults = {option: parameter.default for parameter in command_of("serve").params for option in parameter.opts}
    rows = [(default, re.findall(r"--[a-z-]+", options)) for _, default, options, _ in rows_of("Limits")]
    stated = {
        option: float(number)
        for default, options in rows
        for option, number in zip(options, re.findall(r"\d+", default), strict=False)
    }
    assert len(stated) == 6
    assert stated == {option: float(defaults[option]) for option in stated}


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (DOCS / target).exists(), target


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_the_units_are_valid(tmp_path: Path) -> None:
    for path in DEPLOY:
        if path.suffix in (".service", ".timer"):
            unit = re.sub(r"/opt/lesionlens/venv/bin/lesionlens", "/bin/true", path.read_text(encoding="utf-8"))
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
