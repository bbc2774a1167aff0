"""The check of the wheel notices what a wheel can lack; `make wheel` runs the check itself."""

import sys
import zipfile
from pathlib import Path

import pytest
from tools.check_wheel import COMMANDS, differences, use

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lesionlens"


@pytest.fixture
def package(tmp_path):
    """A small package and its complete wheel."""
    source = tmp_path / "src" / "lesionlens"
    (source / "recipes").mkdir(parents=True)
    (source / "__pycache__").mkdir()
    for name in ("__init__.py", "py.typed", "recipes/demo.toml", "__pycache__/x.pyc"):
        (source / name).write_text(name)
    wheel = tmp_path / "lesionlens-1.whl"
    write_wheel(wheel, source)
    return source, wheel


def write_wheel(wheel, source, without=(), **more):
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("__init__.py", "py.typed", "recipes/demo.toml"):
            if name not in without:
                archive.write(source / name, f"lesionlens/{name}")
        for name, content in {"lesionlens-1.dist-info/METADATA": "", **more}.items():
            archive.writestr(name, content)


def test_a_complete_wheel(package):
    assert differences(package[1], package[0]) == []


def test_every_difference_is_named(package):
    source, wheel = package
    write_wheel(wheel, source, without=("recipes/demo.toml", "py.typed"), **{"tests/x.py": "", "lesionlens/py.typed": "other"})
    assert differences(wheel, source) == [
        "lesionlens/recipes/demo.toml is not in the wheel",
        "tests/x.py is in the wheel only",
        "lesionlens/py.typed differs",
    ]


def test_the_kinds_of_files_that_wheels_forget_are_there_to_be_compared():
    kinds = {path.suffix for path in SOURCE.rglob("*") if path.is_file()}
    assert {".py", ".pyi", ".typed", ".toml", ".html", ".css", ".js", ".svg"} <= kinds


@pytest.mark.slow
def test_a_package_from_elsewhere_is_noticed(tmp_path):
    """This environment imports the repository, not a wheel."""
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    program = programs / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "src"} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    with pytest.raises(SystemExit, match=r"imported from .*, not from the wheel"):
        use(programs, tmp_path / "empty")


def test_ci_runs_the_check():
    assert "make wheel" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert ("run", "light") in [words[:2] for words in COMMANDS]
