"""What the README says is what the code does."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from PIL import Image

from lesionlens.cli.main import app
from lesionlens.core.recipe_file import recipe_names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line.split("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line]


def test_tables_are_what_the_results_give():
    spec = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks" / "readme.py")
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    assert set(re.findall(r"<!-- table: ([\w-]+) -->", README)) == set(readme.TABLES)
    assert readme.filled(README) == README


def test_there_are_two_commands_to_set_up():
    made = [words[1] for words in commands() if words[0] == "make"]
    assert made[:2] == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in made)


@pytest.mark.parametrize("words", [words[1:] for words in commands() if words[0].endswith("lesionlens")], ids=" ".join)
def test_every_command_has_the_options_that_are_shown(words):
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands"), f"{words} names no command"
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        assert not word.startswith("--") or word.partition("=")[0] in options, f"{command.name} has no option {word}"


def test_files_that_are_named_exist():
    for path in re.findall(r"`((?:benchmarks|docs)/[\w./-]+)`|\]\((docs/[\w./-]+)\)", README):
        assert (ROOT / (path[0] or path[1])).exists(), path
    table = README.partition("| recipe | what |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == list(recipe_names())


@pytest.fixture
def place(synthetic_root, small_bundle, tmp_path, monkeypatch):
    """A folder with everything that the README's Python finds where it runs."""
    shutil.copytree(synthetic_root, tmp_path / "images")
    shutil.copytree(small_bundle, tmp_path / "bundle")
    shutil.copyfile(min((tmp_path / "images").rglob("*.jpg")), tmp_path / "lesion.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


SAYS = {
    "travel(": ("evaluate", "('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')"),
    "heat_map(": ("malignant diagnoses together", "'mel':"),
}


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: next((word for word in SAYS if word in code), "unknown"))
def test_the_python_runs(code, place):
    (says,) = (texts for word, texts in SAYS.items() if word in code)
    assert len([line for line in code.splitlines() if line and not line.startswith(("from", "import"))]) <= 10
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for text in says:
        assert text in done.stdout
    if "overlay.png" in code:
        with Image.open(place / "overlay.png") as drawn, Image.open(place / "lesion.jpg") as photo:
            assert drawn.width >= photo.width


def test_the_python_covers_training_and_running():
    assert [sum(word in code for code in blocks("python")) for word in SAYS] == [1, 1]
