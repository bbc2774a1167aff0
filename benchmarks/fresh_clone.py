"""Seconds from a fresh clone of this repository to the end of the README's two commands.

python benchmarks/fresh_clone.py [--out FILE] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path

from lesionlens.core.artifact import write_json

ROOT = Path(__file__).parents[1]
STEPS = {
    "installing for the demo (network and disk decide)": ["make", ".venv/.train"],
    "`make demo` after that": ["make", "demo"],
    "installing for the tests": ["make", ".venv/.dev"],
    "`make test` after that": ["make", "test"],
}


def seconds_of(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="clone into this folder and leave it there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary) / "clone").resolve()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        if (ROOT.parent / "shared").is_dir() and not (folder.parent / "shared").exists():
            (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
        rows = [{"what": what, "seconds": round(seconds_of(command, folder), 1)} for what, command in STEPS.items()]
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    machine = f"{os.cpu_count()} {platform.machine()} cores"
    result = {"command": "python benchmarks/fresh_clone.py", "machine": machine, "commit": commit.stdout.strip(), "rows": rows}
    print(result)
    if options.out:
        write_json(options.out, result)


if __name__ == "__main__":
    main()
