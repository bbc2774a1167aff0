"""timm and torchvision can be imported, whatever torchvision is installed: by LesionLens, and in plain Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOOK = ROOT / "tools" / "torchvision_hook.py"
CODE = """
from lesionlens.models.operators import timm
library = timm()
assert library is timm()
print(library.is_model("convnext_tiny"))
"""


def python(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a Python of its own; `.pth` files in `folders` count, as they do in site-packages."""
    sites = "".join(f"import site; site.addsitedir({str(folder)!r})\n" for folder in folders)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run([sys.executable, "-c", sites + code], capture_output=True, text=True, env=environment)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the hook in it, as the hook installs itself."""
    shutil.copyfile(HOOK, tmp_path / "torchvision_hook.py")
    (tmp_path / "torchvision_hook.pth").write_text("import torchvision_hook\n")
    return tmp_path


@pytest.mark.slow  # each imports torch in a process of its own
def test_timm_imports_beside_the_torchvision_that_is_here():
    done = python(CODE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


@pytest.mark.slow  # each imports torch in a process of its own
@pytest.mark.parametrize("module", ["torchvision", "timm", "torchvision.transforms.v2"])
def test_the_hook_lets_plain_python_import_them(site, module):
    done = python(f"import {module}; print({module}.__name__)", site)
    assert (done.returncode, done.stdout.strip()) == (0, module), done.stderr


def test_the_hook_loads_nothing_until_torchvision_is_imported(site):
    done = python(
        "import sys, importlib.util; assert importlib.util.find_spec('torchvision')\n"
        "print('torchvision_hook' in sys.modules, 'torch' in sys.modules, 'lesionlens' in sys.modules)",
        site,
    )
    assert done.stdout.strip() == "True False False"


@pytest.mark.slow  # each imports torch in a process of its own
def test_the_hook_and_lesionlens_declare_once(site):
    done = python("import torchvision\n" + CODE, site)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_without_torchvision_the_error_is_the_usual_one(site):
    block = "import sys; sys.modules['lesionlens'] = None\n"
    done = python(block + "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\nimport torchvision", site)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ModuleNotFoundError: No module named 'torchvision'")


def test_the_hook_installs_itself_into_the_environment_of_its_python(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    interpreter = tmp_path / "venv" / "bin" / "python"
    for _ in range(2):
        done = subprocess.run([interpreter, HOOK], capture_output=True, text=True, check=True)
    installed = Path(done.stdout.strip())
    assert installed.is_relative_to(tmp_path / "venv")
    assert installed.read_bytes() == HOOK.read_bytes()
    loaded = subprocess.run(
        [interpreter, "-c", "import sys; print('torchvision_hook' in sys.modules)"], capture_output=True, text=True
    )
    assert loaded.stdout.strip() == "True"


def test_make_installs_the_hook():
    assert "tools/torchvision_hook.py" in (ROOT / "Makefile").read_text(encoding="utf-8")
