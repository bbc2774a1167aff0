"""The house: rooms import only from rooms before them, and the light rooms load no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "lesionlens"
ROOMS = (
    *("core", "data", "augment", "models", "training", "evaluation", "explanation", "deployment", "compression"),
    *("serving", "reporting", "road", "cli"),
)
LIGHT = ("core", "data", "serving", "cli")
WITH_TORCH = ("export", "graph")  # the two modules of deployment that write bundles; the rest runs them
HEAVY = ("torch", "timm", "sklearn", "matplotlib", "pandas", "scipy")


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "lesionlens" and len(part) > 1 and part[1] in ROOMS}


def test_every_room_is_known():
    assert {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(ROOMS)


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*/**/*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_from_rooms_before(path):
    room = path.relative_to(SOURCE).parts[0]
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    assert imported_rooms(path) <= allowed


def light_modules() -> list[str]:
    files = sorted(path for room in LIGHT for path in (SOURCE / room).glob("**/*.py"))
    files += sorted(path for path in (SOURCE / "deployment").glob("*.py") if path.stem not in WITH_TORCH)
    return [".".join(("lesionlens", *path.relative_to(SOURCE).with_suffix("").parts)) for path in files]


def test_light_rooms_load_nothing_heavy():
    code = (
        "import importlib, sys\n"
        f"for name in {light_modules()!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
