"""The package is typed for those who use it: `mypy --strict` accepts a user's file and finds the mistakes in another."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is an extra and not installed")

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(".".join(path.relative_to(ROOT / "src").parent.parts) for path in (ROOT / "src").rglob("__init__.pyi"))
RIGHT = """
from pathlib import Path

import numpy as np
from typing_extensions import assert_type

import lesionlens as ll

recipe = ll.load_recipe("demo", ["training.epochs=1"])
assert_type(recipe, ll.Recipe)
run = ll.run(recipe, None, Path("run"))
assert_type(run, ll.Run)
rates: list[float] = [epoch.learning_rate for epoch in ll.train(recipe, run.folder)]
dataset = ll.open_dataset(run.folder)
assert_type(dataset, ll.Dataset)
ids: tuple[str, ...] = ll.split(dataset.index, seed=1).ids["test"]
summary: str = ll.audit(dataset.index).summary()
scores = ll.evaluate(run.best, split="validation")
print(scores["metrics"]["accuracy"]["value"])
for prediction in ll.Predictor(run.bundle).predict([Path("lesion.jpg")]):
    outcome: str = prediction.outcome
    probabilities: np.ndarray = prediction.probabilities
confusion = ll.metrics.confusion_matrix(np.array([0, 1]), np.array([1, 1]), 2)
assert_type(float(ll.metrics.accuracy(confusion)), float)
"""
WRONG = {
    "ll.Predictor(3)": "arg-type",
    "ll.load_recipe('demo').training.epochz": "attr-defined",
    "ll.evaluate('best.safetensors', part='test')": "call-arg",
    "ll.trian": "attr-defined",
    "len(ll.open_dataset('run'))": "arg-type",
}


def strict(path: Path) -> str:
    """What `mypy --strict` says of a file that lies elsewhere, with this source tree as an installed package."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(path.parent / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*command, path.name], cwd=path.parent, env=environment, capture_output=True, text=True)
    assert done.returncode < 2, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_types_of_the_public_face_reach_a_users_file(tmp_path):
    lines = ["", "import lesionlens as ll", *(f"import {name}" for name in PACKAGES), *WRONG]
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text("\n".join(lines[1:]) + "\n")
    assert strict(tmp_path / "right.py") == ""
    errors = re.findall(r"^wrong\.py:(\d+): error: .*\[([\w-]+)\]$", strict(tmp_path / "wrong.py"), re.MULTILINE)
    assert [(lines[int(line)], code) for line, code in errors] == list(WRONG.items())


@pytest.mark.slow
def test_the_marker_of_typed_packages_is_installed_too():
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert (ROOT / "src" / "lesionlens" / "py.typed").is_file()
    assert "py.typed" in settings["package-data"]["lesionlens"]
