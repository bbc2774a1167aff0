"""Where the result of a benchmark goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lesionlens.core.artifact import write_json


def write_or_print(content: dict[str, Any], out: Path | None) -> None:
    """Write a result to `out`, or print it where no file is named."""
    if out is None:
        print(json.dumps(content, indent=2))
    else:
        write_json(out, content)
