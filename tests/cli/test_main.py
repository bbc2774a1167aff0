"""The command line: its commands, their help, its exit codes and its one-line mistakes."""

import itertools
import json
import re
import subprocess
import sys
from operator import not_
from pathlib import Path

import click
import pytest
import typer.main
from click.testing import CliRunner

from lesionlens import __version__
from lesionlens.cli.main import app, main

ROOT = Path(__file__).parents[2]
DOCUMENTATION = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def command_words(command: click.Command, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command below `command`: ("split",), ("token",), ("token", "create") and so on."""
    children = getattr(command, "commands", {})
    below = [each for name, child in children.items() for each in command_words(child, (*words, name))]
    return [words, *below] if words else below


ALL = typer.main.get_command(app)  # once: describing all commands takes a tenth of a second and more
COMMANDS = command_words(ALL)


def process(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lesionlens", *words], capture_output=True, text=True, cwd=cwd)


def exit_code(*words: str) -> int:
    """Run the command in this process, through `main`."""
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    return int(stopped.value.code or 0)


def documented_commands() -> set[str]:
    """The first word behind `lesionlens` in every code block and code span of README and docs."""
    code = [
        span for path in DOCUMENTATION for span in re.findall(r"```.*?```|`[^`\n]+`", path.read_text(encoding="utf-8"), re.DOTALL)
    ]
    return {word for span in code for word in re.findall(r"(?:^|[\s`/])lesionlens (?!lesionlens|as\b)([a-z]+)\b", span)}


def test_the_documentation_names_every_command_and_no_other():
    assert documented_commands() == {words[0] for words in COMMANDS}


def test_every_module_of_commands_is_registered():
    """A command that was written and then forgotten in `commands` is found by its file."""
    modules = {path.stem for path in (ROOT / "src" / "lesionlens" / "cli").glob("*.py")}
    functions = [info.callback for info in app.registered_commands]
    groups = [info.callback for group in app.registered_groups for info in group.typer_instance.registered_commands]
    registered = {function.__module__.rpartition(".")[2] for function in (*functions, *groups)}
    assert modules - registered == {"__init__", "bundles", "commands", "console", "main", "options", "patients"}


def test_a_process_prints_version_and_help():
    assert process("--version").stdout.strip() == __version__
    shown = process("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    text = " ".join(shown.stdout.split())
    assert all(re.search(rf"\b{words[0]}\b", text) for words in COMMANDS)
    assert "not a medical device" in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help(words):
    shown = CliRunner().invoke(ALL, [*words, "--help"], prog_name="lesionlens")
    assert shown.exit_code == 0, shown.output
    assert f"Usage: lesionlens {' '.join(words)} " in shown.stdout
    command = ALL
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    assert command.help
    assert all(getattr(parameter, "help", None) for parameter in command.params if parameter.name != "help"), words


@pytest.mark.parametrize("words", [words for words in COMMANDS if len(words) == 1 and words[0] not in ("token", "record")])
def test_a_command_alone_has_the_help_that_it_has_among_all(words, capsys):
    """`main` describes the named command alone, which takes less time."""
    assert exit_code(*words, "--help") == 0
    alone = capsys.readouterr().out.splitlines()
    among_all = CliRunner().invoke(ALL, [*words, "--help"]).stdout.splitlines()
    is_usage = ["Usage: " in line for line in alone]  # it names the program, here pytest
    assert is_usage == ["Usage: " in line for line in among_all]
    assert list(itertools.compress(alone, map(not_, is_usage))) == list(itertools.compress(among_all, map(not_, is_usage)))


@pytest.mark.parametrize("words", [["--help"], ["--help", "predict"], ["token", "--help"], ["record", "--help"], ["predicct"]])
def test_without_the_name_of_a_command_all_are_there(words, capsys):
    assert exit_code(*words) == (2 if words == ["predicct"] else 0)
    printed = capsys.readouterr()
    assert "predict" in printed.out + printed.err or words[0] in ("token", "record")


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom lesionlens.cli.main import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'timm', 'sklearn', 'matplotlib', 'PIL') if name in sys.modules], file=sys.stderr)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.strip() == "[]"


MISTAKES = [
    (["index", "nowhere"], 3, "nowhere"),
    (["split", "nowhere.csv"], 3, "nowhere.csv does not exist"),
    (["run", "nowhere.toml", "--data", "synthetic"], 2, "nowhere.toml does not exist"),
    (["report", "nowhere"], 3, "nowhere"),
    (["evaluate", "nowhere.safetensors"], 4, "nowhere.safetensors is no file"),
    (["download", "everything"], 2, "everything"),
    (["frobnicate"], 2, "frobnicate"),
    (["split", "--seed", "x"], 2, "--seed"),
]


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES)
def test_mistakes_are_one_line_and_an_exit_code(tmp_path, monkeypatch, capsys, words, code, message):
    monkeypatch.chdir(tmp_path)
    assert exit_code(*words) == code
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    if err.startswith("lesionlens:"):
        assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_process_ends_with_the_exit_code_of_its_mistake(tmp_path):
    done = process("split", "nowhere.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert re.match(r"lesionlens: .*nowhere\.csv does not exist; .*lesionlens index", done.stderr)


def test_debug_shows_the_traceback(tmp_path):
    assert "Traceback" in process("index", "nowhere", "--debug", cwd=tmp_path).stderr


def test_json_is_one_object_on_stdout(synthetic_root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_code("index", str(synthetic_root), "--json") == 0
    assert json.loads(capsys.readouterr().out)["images"] == 120


def test_ctrl_c_says_that_nothing_is_lost(monkeypatch, capsys, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("lesionlens.pipeline.data_stages.read_source", interrupted)
    assert exit_code("index", str(tmp_path), "--out", str(tmp_path / "index.csv")) == 130
    assert "what was finished is kept" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
