"""What README and documentation say is what the code does; tests/test_docs_run.py runs it."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from tests.markdown_pages import PAGES, README, ROOT, blocks, commands, name_of, python

from lesionlens.cli.main import app
from lesionlens.core.recipe_file import recipe_names

TEXT = README.read_text(encoding="utf-8")
SHELL = {"source", "mkdir", "cd", "curl"}
PROGRAM = typer.main.get_command(app)  # once: describing all commands takes a tenth of a second
COMMANDS = [(page, words) for page in PAGES for block in blocks(page) for words in commands(block)]


def test_tables_are_what_the_results_give(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks" / "readme.py")
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    assert {name for text in texts for name in re.findall(r"<!-- table: ([\w-]+) -->", text)} == set(readme.TABLES)
    assert set(readme.PAGES) <= set(PAGES)
    for text in texts:
        assert readme.with_tables(text) == text


def test_the_page_of_the_gate_is_what_the_results_give():
    assert subprocess.run([sys.executable, ROOT / "benchmarks" / "gate_tables.py", "--check"]).returncode == 0


def test_the_page_on_scale_is_what_the_results_give():
    assert subprocess.run([sys.executable, ROOT / "benchmarks" / "scale_tables.py", "--check"]).returncode == 0


def test_the_readme_is_short():
    assert len(TEXT.splitlines()) <= 120


def test_there_are_two_commands_to_set_up():
    targets = [words[1] for block in blocks(README) for words in commands(block) if words[0] == "make"]
    assert targets[:2] == ["demo", "test"]


def test_the_python_of_the_readme_is_ten_lines_and_one_import():
    (code,) = python(README)
    assert [ast.unparse(node) for node in ast.walk(ast.parse(code)) if isinstance(node, (ast.Import, ast.ImportFrom))] == [
        "import lesionlens as ll"
    ]
    assert len([line for line in code.splitlines() if line]) <= 10


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=lambda value: name_of(value) if isinstance(value, Path) else " ".join(value)
)
def test_every_command_exists_with_the_options_that_are_shown(page, words):
    program = words[0].rpartition("/")[2]
    if program == "torchrun":
        program, words = words[words.index("-m") + 1], words[words.index("-m") + 1 :]
    if program == "lesionlens":
        check_options(words[1:])
    elif program == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "pip":
        (extras,) = re.findall(r"^(?:lesionlens|\.)\[([\w,]+)\]$", words[-1])
        known = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        assert set(extras.split(",")) <= set(known)
    elif program == "python":
        assert (ROOT / words[1]).is_file()
    else:
        assert program in SHELL, f"{name_of(page)} shows {program}, which no test knows"


def check_options(words: list[str]) -> None:
    command = PROGRAM
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands"), f"{words} names no command"
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        assert not word.startswith("--") or word.partition("=")[0] in options, f"{command.name} has no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert re.match(r"https?://", target) or (page.parent / target).exists(), target
    for path in re.findall(r"`((?:benchmarks|docs|src|tests)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path


def test_every_page_is_in_the_table_of_contents():
    docs = ROOT / "docs"
    listed = set()
    for page in PAGES[1:]:
        for block in re.findall(r"^```{toctree}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            names = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")]
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    generated = {docs / "reference" / "commands.md", docs / "changelog.md"}
    assert {page for page in PAGES[1:] if page != docs / "index.md"} - generated == listed - generated


def test_every_recipe_is_named():
    text = (ROOT / "docs" / "howto" / "researcher.md").read_text(encoding="utf-8")
    table = text.partition("| recipe | what |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == list(recipe_names())
