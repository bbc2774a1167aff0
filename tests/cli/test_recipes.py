"""`lesionlens recipes`, and recipes by name from wherever one stands."""

import json
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import lesionlens
from lesionlens.cli.recipes import recipes
from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import load_recipe, recipe_from, recipe_names, recipe_text

PACKAGE = Path(lesionlens.__file__).parent
app = typer.Typer()
app.command()(recipes)


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_all_are_listed_with_their_first_line():
    lines = call().splitlines()
    assert [line.split()[0] for line in lines] == list(recipe_names()) == ["demo", "light", "paper", "tiny"]
    assert lines[1].startswith("light  MobileNetV2 for CPU-only machines")
    assert list(json.loads(call("--json"))["recipes"]) == list(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_a_printed_recipe_reads_back(name, tmp_path):
    (tmp_path / "own.toml").write_text(call(name), encoding="utf-8")
    assert load_recipe(tmp_path / "own.toml") == load_recipe(name) == recipe_from(json.loads(call(name, "--json")))
    assert load_recipe(name).name == name
    assert recipe_text(name).startswith("# ")


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe("light").name == "light"
    (tmp_path / "light").mkdir()
    assert load_recipe("light").name == "light"
    (tmp_path / "light").rmdir()
    (tmp_path / "light").write_text('name = "mine"')
    assert load_recipe("light").name == "mine"


@pytest.mark.parametrize("wrong", ["ligt", "light.toml", "recipes/light.toml"])
def test_an_unknown_name_is_told_the_nearest(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=rf"^recipe {wrong} does not exist, as a file or as a name; did you mean light\?$"):
        load_recipe(wrong)
    with pytest.raises(RecipeError, match="known are demo, light, paper, tiny"):
        load_recipe("xyz")


def test_defaults_and_overrides_apply_to_a_name():
    assert load_recipe("demo", ["training.epochs=7"]).training.epochs == 7
    assert load_recipe("demo").compression == Recipe().compression


def test_all_data_of_the_package_are_in_its_wheel():
    """The recipes, templates and pages that are not Python match a pattern of pyproject.toml."""
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["lesionlens"]
    names = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*") if path.is_file()]
    data = [name for name in names if not name.endswith((".py", ".pyc"))]
    assert {f"recipes/{name}.toml" for name in recipe_names()} <= set(data)
    assert [name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_a_recipe_is_found_by_name_in_an_empty_folder(tmp_path):
    """With a copy of the package alone, as a wheel installs it."""
    shutil.copytree(PACKAGE, tmp_path / "site" / "lesionlens", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "empty").mkdir()
    code = "import lesionlens, sys; sys.argv[1:] = ['recipes', 'light']; from lesionlens.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path / "empty",
        env={"PYTHONPATH": str(tmp_path / "site")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == recipe_text("light")
