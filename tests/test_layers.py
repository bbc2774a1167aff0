"""Packages import only from packages before them, and the torch-free packages load no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "lesionlens"
PACKAGES = (
    *("core", "data", "synthetic", "bundle", "cluster", "interop", "serving", "site"),
    *("augment", "models", "training", "evaluation", "explanation", "export", "assessment", "compression", "reporting"),
    *("pipeline", "experiments", "cli"),
)
TORCH_FREE = ("core", "data", "synthetic", "bundle", "interop", "serving", "site", "cli")
FORBIDDEN = {  # what comes before them but is not theirs
    name: {"synthetic"} for name in ("interop", "serving", "bundle", "cluster", "site")
}
HEAVY = ("torch", "timm", "sklearn", "matplotlib", "pandas", "scipy", "highdicom", "pynetdicom", "fhir")


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    dotted = [name.split(".") for name in names]
    return {words[1] for words in dotted if words[0] == "lesionlens" and len(words) > 1 and words[1] in PACKAGES}


def test_every_package_is_known():
    assert {path.name for path in SOURCE.iterdir() if any(path.glob("*.py"))} == set(PACKAGES)


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*/**/*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_from_packages_before(path):
    package = path.relative_to(SOURCE).parts[0]
    allowed = set(PACKAGES[: PACKAGES.index(package) + 1]) - FORBIDDEN.get(package, set())
    assert imported_packages(path) <= allowed


def torch_free_modules() -> list[str]:
    files = sorted(path for package in TORCH_FREE for path in (SOURCE / package).glob("**/*.py"))
    return [".".join(("lesionlens", *path.relative_to(SOURCE).with_suffix("").parts)) for path in files]


def test_torch_free_packages_load_nothing_heavy():
    code = (
        "import importlib, sys\n"
        f"for name in {torch_free_modules()!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
