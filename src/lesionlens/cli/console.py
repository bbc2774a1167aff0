"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from lesionlens.core.errors import StorageError
from lesionlens.core.progress import Reporter

BROKEN_PIPE = 141  # what a shell makes of SIGPIPE


class Result(Protocol):
    """What a stage gives back; see `pipeline.job.StageResult`."""

    @property
    def text(self) -> str:
        """For people."""

    @property
    def content(self) -> dict[str, Any]:
        """JSON-ready."""


def emit(result: Result, as_json: bool) -> None:
    """Print the result of a stage: one JSON object, or the text for people."""
    emit_text(result.content, as_json, result.text)


def emit_text(content: dict[str, Any], as_json: bool, text: str) -> None:
    """Print the result of a command: one JSON object, or the text for people."""
    put(json.dumps(content, ensure_ascii=False) if as_json else text)


def put(text: str) -> None:
    """Print a result, or a line of it; a file name in it may hold bytes that are no text."""
    with _writing():
        print(text.encode("utf-8", "backslashreplace").decode("utf-8"), flush=True)


def note(text: str) -> None:
    """Print a message that is not a result."""
    with _writing():
        print(text, file=sys.stderr, flush=True)


@contextmanager
def _writing() -> Iterator[None]:
    """End quietly, as other tools do, when whoever read our output (`| head`) has seen enough.

    Raises:
        StorageError: if the output cannot be written for another reason, such as a full disk.
    """
    try:
        yield
    except BrokenPipeError:
        _discard(sys.stdout, sys.stderr)
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        _discard(sys.stdout)
        raise StorageError(f"the output cannot be written ({error.strerror}); send it elsewhere") from error


def _discard(*streams: TextIO) -> None:
    """Send what is still in the streams nowhere: it is flushed at the end, and must not fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar with rate and time left while the block runs, on a terminal only.

    Yields:
        A function that advances the bar by so many steps.
    """
    if not sys.stderr.isatty():
        yield lambda steps: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:.0f}/s" if task.speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)


REPORTER = Reporter(note, progress_bar)
