"""The command `train`: what it writes, prints and refuses."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.augment.offline import plan_training, write_plan
from lesionlens.cli.train import train
from lesionlens.core.errors import CheckpointError, RecipeError, SplitError
from lesionlens.core.recipe_file import load_recipe
from lesionlens.data.image import input_spec
from lesionlens.data.index import write_index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split, read_split, write_split
from lesionlens.data.store import pack
from lesionlens.training.checkpoint import load_network

app = typer.Typer()
app.command()(train)

RECIPE = """
name = "test"
[input]
size = 32
[augmentation]
offline_fill = 0.2
[model]
name = "test_convnext"
weights = "none"
[training]
epochs = 2
batch_size = 32
warmup_epochs = 1
"""


@pytest.fixture(scope="module")
def run_folder(synthetic_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that training reads."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "recipe.toml").write_text(RECIPE)
    recipe = load_recipe(folder / "recipe.toml")
    index = read_source(synthetic_root)
    write_index(index, folder / "index.csv")
    split = make_split(index, recipe.split)
    write_split(split, folder / "split.json")
    write_plan(plan_training(index, split, recipe), folder / "plan.csv", split, recipe)
    pack(index, input_spec(recipe.input), folder / "store")
    return folder


def call(folder: Path, out: Path, *arguments: str) -> tuple[str, str]:
    options = [("--index", "index.csv"), ("--split-file", "split.json"), ("--plan", "plan.csv"), ("--store", "store")]
    words = [word for option, name in options for word in (option, str(folder / name))]
    result = CliRunner().invoke(app, [str(folder / "recipe.toml"), *words, "--out", str(out), *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_fine_tuning_says_what_becomes_of_the_classifier(run_folder: Path, small_run: Path, tmp_path: Path) -> None:
    parent = small_run / "train" / "best.safetensors"
    _, err = call(run_folder, tmp_path, "--set", f"model.weights={parent}")
    assert err.count("initial weights from best.safetensors: its classifier is kept (the same diagnoses)\n") == 1
    assert load_network(tmp_path / "best.safetensors")[1].initial_weights["classifier"] == "kept"


def test_train_then_resume_then_another_recipe(run_folder: Path, tmp_path: Path) -> None:
    out, err = call(run_folder, tmp_path, "--json")
    result = json.loads(out)
    assert result["epochs"] == 2
    assert load_network(Path(result["best"]))[1].epoch == result["best_epoch"]["epoch"]
    assert err.count("epoch ") == 2
    assert "images/s" in err
    out, err = call(run_folder, tmp_path)
    assert "resuming after epoch 2" in err
    assert out.startswith("trained 2 epochs; best is epoch")
    with pytest.raises(CheckpointError, match="--restart"):
        call(run_folder, tmp_path, "--set", "training.learning_rate=1e-3")
    out, _ = call(run_folder, tmp_path, "--set", "training.epochs=1", "--set", "training.warmup_epochs=0", "--restart")
    assert out.startswith("trained 1 epochs")


def test_an_unknown_key_is_refused(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="learning_rate"):
        call(run_folder, tmp_path, "--set", "training.learning_rat=1e-3")
    assert not list(tmp_path.iterdir())


def test_a_plan_with_test_images_is_refused(run_folder: Path, tmp_path: Path) -> None:
    plan, test_ids = run_folder / "plan.csv", read_split(run_folder / "split.json").ids["test"]
    content = plan.read_text()
    try:
        plan.write_text(content + f"{test_ids[0]},0,1\n")
        with pytest.raises(SplitError, match="only training images"):
            call(run_folder, tmp_path)
    finally:
        plan.write_text(content)
