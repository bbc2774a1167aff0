"""Build the two wheels and use them in an empty folder, where the repository cannot help.

    python tools/check_wheel.py

The wheels of the package and of its trained model are built from a copy of the sources, so that leftovers in build/ do not
count, and compared with them file by file. They are installed into a fresh virtual environment that sees the other packages of
this Python, but not its editable installs. There, the command lists recipes, plans a run, runs one until the split, and predicts
with the trained model.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = {"lesionlens": ROOT, "lesionlens_model": ROOT / "model"}
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "src")
NOT_PACKAGED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pyc")
COMMANDS = (
    ("--version",),
    ("recipes",),
    ("recipes", "light"),
    ("run", "demo", "--data", "synthetic", "--plan"),
    ("synthetic", "images", "--images", "60", "--width", "96", "--height", "72"),
    ("run", "light", "--data", "images", "--run", "run", "--until", "split"),
    ("predict", "images", "--out", "predictions.jsonl"),
)
WHERE = "import lesionlens, lesionlens.serving.page_files, lesionlens.reporting.report; print(lesionlens.__file__)"


def build_wheel(folder: Path, project: Path, package: str) -> Path:
    """Build the wheel of `project` in `folder`, with the setuptools that is installed, and give its path."""
    sources = folder / "sources" / package
    sources.mkdir(parents=True)
    for name in BUILT_FROM:
        if (project / name).is_dir():
            shutil.copytree(project / name, sources / name, ignore=NOT_PACKAGED)
        else:
            shutil.copy(project / name, sources / name)
    _call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder / "wheel", sources)
    (wheel,) = (folder / "wheel").glob(f"{package}-*.whl")
    return wheel


def differences(wheel: Path, source: Path) -> list[str]:
    """What differs between a wheel and the folder of the package that it was built from; every file belongs to the package."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    expected = {path.relative_to(source.parent).as_posix(): path.read_bytes() for path in files}
    missing = [f"{name} is not in the wheel" for name in expected if name not in packed]
    foreign = [f"{name} is in the wheel only" for name in packed if name not in expected]
    changed = [f"{name} differs" for name in expected if name in packed and packed[name] != expected[name]]
    return [*missing, *foreign, *changed]


def fresh_environment(folder: Path, wheels: Sequence[Path]) -> Path:
    """A virtual environment with the wheels and, but for `.pth` files, the packages of this Python; gives its bin folder."""
    _call(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    _call(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", *wheels)
    site = next((folder / "lib").glob("python*/site-packages"))
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "shared_packages.pth").write_text("".join(f"{path}\n" for path in sorted(shared)))
    return folder / "bin"


def use(programs: Path, empty: Path) -> None:
    """Run the commands in an empty folder.

    Raises:
        SystemExit: if one fails, or the package does not come from the wheel.
    """
    empty.mkdir()
    where = _call(programs / "python", "-c", WHERE, cwd=empty).strip()
    if not Path(where).is_relative_to(programs.parent):
        raise SystemExit(f"lesionlens was imported from {where}, not from the wheel in {programs.parent}")
    for words in COMMANDS:
        print("lesionlens", *words, flush=True)
        _call(programs / "lesionlens", *words, cwd=empty)
    if not (empty / "run" / "split.json").is_file():
        raise SystemExit("the run wrote no split.json")
    if not (empty / "predictions.jsonl").is_file():
        raise SystemExit("the trained model predicted nothing")


def _call(*words: str | Path, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Build, compare, install, use."""
    with tempfile.TemporaryDirectory(prefix="lesionlens-wheel-") as name:
        folder = Path(name).resolve()
        wheels = []
        for package, project in PROJECTS.items():
            wheel = build_wheel(folder, project, package)
            if problems := differences(wheel, project / "src" / package):
                raise SystemExit("\n".join([f"{wheel.name}:", *problems]))
            wheels.append(wheel)
        use(fresh_environment(folder / "venv", wheels), folder / "empty")
        print(f"{' and '.join(wheel.name for wheel in wheels)} work in an empty folder")


if __name__ == "__main__":
    main()
