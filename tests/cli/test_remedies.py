"""Every command and option that a message of the program names exists: each is given to the real parser."""

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import typer

import lesionlens
from lesionlens.cli.main import app

PACKAGE = Path(lesionlens.__file__).parent
VALUE = "1"  # stands for what a message fills in: a path, a name, or a number
COMMAND = re.compile(r"(?<![\w/.-])lesionlens ((?!\[)[a-z][^`'\n;,()]*)")
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*[a-z])")
PARSER = typer.main.get_command(app)
SENTENCES = {"reads", "writes", "does"}  # what may follow the name in a sentence


@functools.cache
def messages() -> list[tuple[str, str]]:
    """Where it stands, and the text, of every string of the package that is no docstring."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE)
        found += [(f"{where}:{line}", text) for line, text in _strings(ast.parse(path.read_text(encoding="utf-8")))]
    return found


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every string below `node`; a formatted one is whole, and docstrings are left out."""
    for child in ast.iter_child_nodes(node):
        text = _text(child)
        if text and not isinstance(node, ast.Expr | ast.JoinedStr | ast.FormattedValue):
            yield child.lineno, text  # type: ignore[attr-defined]
        yield from _strings(child)


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
    return ""


def remedies() -> list[tuple[str, list[str]]]:
    """Where it stands, and the words, of every call of the command that a message gives."""
    calls = []
    for where, text in messages():
        for match in COMMAND.finditer(text):
            words = shlex.split(match[1].split(". ")[0].rstrip(". :"))
            if words[0] not in SENTENCES:
                calls.append((where, words))
    return calls


def parser_of(words: list[str]):
    """The parser of a command or of a command of a group, and the words after its name."""
    assert words[0] in PARSER.commands, f"there is no command {words[0]}"
    parser, rest = PARSER.commands[words[0]], words[1:]
    while hasattr(parser, "commands"):
        parser, rest = parser.commands[rest[0]], rest[1:]
    return parser, rest


def test_the_parser_takes_every_call() -> None:
    refused = []
    for where, words in remedies():
        try:
            parser, rest = parser_of(words)
            parser.make_context(words[0], list(rest))
        except Exception as error:
            if type(error).__name__ != "MissingParameter":  # a message may leave out what the user knows
                refused.append(f"{where}: lesionlens {' '.join(words)}: {error}")
    assert not refused


def test_every_option_of_a_message_exists() -> None:
    known = {
        name for parser in parsers(PARSER) for parameter in parser.params for name in (*parameter.opts, *parameter.secondary_opts)
    }
    unknown = [
        (where, option)
        for where, text in messages()
        for option in OPTION.findall(text)
        if option not in known and f"{option}-" not in text  # such as --{name}-column
    ]
    assert not unknown


def parsers(parser):
    yield parser
    for child in getattr(parser, "commands", {}).values():
        yield from parsers(child)


def test_there_are_remedies() -> None:
    assert len(remedies()) > 60
    assert len({words[0] for _, words in remedies()}) > 10
