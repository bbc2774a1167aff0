"""The command as a user meets it: a process with an exit code, stdout and stderr."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lesionlens import __version__
from lesionlens.cli.main import main

COMMANDS = (
    "run",
    "download",
    "synthetic",
    "index",
    "audit",
    "split",
    "augment",
    "pack",
    "train",
    "evaluate",
    "compare",
    "report",
    "explain",
    "export",
    "predict",
    "inspect",
    "serve",
    "token",
    "record",
)


def lesionlens(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lesionlens", *words], capture_output=True, text=True, cwd=cwd)


def test_version_and_help():
    assert lesionlens("--version").stdout.strip() == __version__
    shown = lesionlens("--help")
    assert shown.returncode == 0
    for command in COMMANDS:
        assert command in shown.stdout
    assert "not a medical device" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    shown = lesionlens(command, "--help")
    assert shown.returncode == 0
    assert "Usage" in shown.stdout


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom lesionlens.cli.main import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'timm', 'sklearn', 'matplotlib', 'PIL') if name in sys.modules], file=sys.stderr)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["index", "nowhere"], 3, "nowhere"),
        (["split", "nowhere.csv"], 3, "nowhere.csv does not exist"),
        (["run", "nowhere.toml", "--data", "synthetic"], 2, "nowhere.toml does not exist"),
        (["report", "nowhere"], 3, "nowhere"),
        (["evaluate", "nowhere.safetensors"], 4, "nowhere.safetensors is no file"),
        (["download", "everything"], 2, "everything"),
        (["frobnicate"], 2, "frobnicate"),
        (["split", "--seed", "x"], 2, "--seed"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(tmp_path, words, code, message):
    done = lesionlens(*words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if done.stderr.startswith("lesionlens:"):
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in lesionlens("index", "nowhere", "--debug", cwd=tmp_path).stderr


def test_json_is_one_object_on_stdout(synthetic_root, tmp_path):
    done = lesionlens("index", str(synthetic_root), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 120


def test_ctrl_c_says_that_nothing_is_lost(monkeypatch, capsys, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lesionlens.data.sources.source.read_source", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(["index", str(tmp_path), "--out", str(tmp_path / "index.csv")])
    assert stopped.value.code == 130
    assert "what was finished is kept" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
