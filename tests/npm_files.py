"""Files that `tools/fetch_npm_files.py` has fetched."""

import importlib.util
from pathlib import Path

TOOL = Path(__file__).parents[1] / "tools" / "fetch_npm_files.py"


def npm_file(name: str) -> Path:
    """Where a file lies, or would lie."""
    spec = importlib.util.spec_from_file_location("fetch_npm_files", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool.FILES[name].path
