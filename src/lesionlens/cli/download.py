"""The command `download`: download the public images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import emit_text, note, progress_bar
from lesionlens.cli.options import Json


def download(
    name: Annotated[str, typer.Argument(help="Data set: ham10000, isic2018, isic2018-test or isic2019.")],
    root: Annotated[Path | None, typer.Option(help="Folder to fill; data/NAME if not given.")] = None,
    base: Annotated[list[str] | None, typer.Option(help="Address of a mirror to use instead. Repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Download a public data set; an interrupted download resumes."""
    from lesionlens.data.sources.download import DATASETS
    from lesionlens.data.sources.download import download as download_files

    folder = root or Path("data") / name
    if name in DATASETS:
        note(f"{DATASETS[name].title}\nLicence: {DATASETS[name].licence}")
    with _bars() as progress:
        files = download_files(name, folder, base, progress)
    listed = "\n".join(f"  {path}" for path in files)
    emit_text(
        {"name": name, "root": str(folder), "files": [str(path) for path in files]}, as_json, f"{folder} is complete:\n{listed}"
    )


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each file, one after the other."""
    with ExitStack() as stack:
        current, done, advance = "", 0, None

        def show(name: str, so_far: int, total: int | None) -> None:
            nonlocal current, done, advance
            if name != current or advance is None:
                stack.close()
                current, done = name, 0
                advance = stack.enter_context(progress_bar(name, total or 0))
            advance(so_far - done)
            done = so_far

        yield show
