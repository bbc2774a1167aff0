"""What the README says is what the code does."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("words", [words for words in commands() if words[0].endswith("lesionlens")], ids=" ".join)
def test_every_command_has_the_options_that_are_shown(words):
    shown = subprocess.run(
        [sys.executable, "-m", "lesionlens", words[1], "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "300"},
    )
    assert shown.returncode == 0
    for word in words[2:]:
        if word.startswith("--"):
            assert re.search(rf"{word}\b", shown.stdout), f"{words[1]} has no option {word}"


def test_files_that_are_named_exist():
    for path in re.findall(r"`((?:recipes|benchmarks|docs)/[\w./-]+)`|\]\((docs/[\w./-]+)\)", README):
        assert (ROOT / (path[0] or path[1])).exists(), path
    for name in re.findall(r"^\| `(\w+\.toml)` \|", README, re.MULTILINE):
        assert (ROOT / "recipes" / name).is_file()


def test_the_python_runs(synthetic_root, tmp_path, monkeypatch):
    (code,) = blocks("python")
    assert len([line for line in code.splitlines() if line and not line.startswith(("from", "import"))]) <= 10
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    shutil.copytree(synthetic_root, tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "evaluate" in done.stdout
    assert "('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')" in done.stdout
