"""The pages of the documentation, and the commands and code in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    code: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    return [
        Block(*found) for found in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    ]


def python(page: Path) -> list[str]:
    return [block.code for block in blocks(page) if block.language == "python"]


def commands(block: Block) -> list[list[str]]:
    """The words of every command of a block of the shell, without comments."""
    lines = block.code.replace("\\\n", " ").splitlines() if block.language == "bash" else []
    return [words for line in lines for words in _simple_commands(line)]


def _simple_commands(line: str) -> list[list[str]]:
    words, parts = shlex.split(line, comments=True), [[]]
    for word in words:
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]
