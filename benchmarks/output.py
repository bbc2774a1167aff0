"""Where a benchmark works, and where its result goes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import write_json


def write_or_print(content: dict[str, Any], out: Path | None) -> None:
    """Write a result to `out`, or print it where no file is named."""
    if out is None:
        print(json.dumps(content, indent=2))
    else:
        write_json(out, content)


@contextmanager
def work_folder(named: Path | None) -> Iterator[Path]:
    """The folder that a benchmark works in: one to keep, or one that is gone with the block."""
    with tempfile.TemporaryDirectory() as temporary:
        work = named or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        yield work
