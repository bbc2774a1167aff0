import dataclasses
import json
import tomllib

import pytest

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import Recipe
from lesionlens.core.recipe_file import load_recipe, recipe_from, recipe_to_toml


def test_defaults_are_table_6_of_the_paper():
    training = Recipe().training
    assert (training.schedule, training.learning_rate, training.batch_size, training.beta1) == ("onecycle", 5e-5, 64, 0.9)
    assert (training.optimizer, training.epochs, training.weight_decay) == ("adamw", 100, 5e-3)
    assert (training.warmup_epochs, training.warmup_learning_rate, training.label_smoothing) == (30, 5e-6, 0.1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"training": {"learning_rat": 1e-3}}, "unknown key training.learning_rat; did you mean learning_rate?"),
        ({"trainig": {}}, "unknown key trainig; did you mean training?"),
        ({"training": {"epochs": "many"}}, "training.epochs = 'many'; it must be a whole number"),
        ({"training": {"epochs": 2.5}}, "a whole number"),
        ({"training": {"epochs": True}}, "a whole number"),
        ({"training": {"learning_rate": -1e-3}}, r"training.learning_rate = -0.001; it must be above 0"),
        ({"training": {"learning_rate": float("nan")}}, "a number"),
        ({"training": {"weight_decay": -0.1}}, "0 or above"),
        ({"training": {"optimizer": "adamq"}}, "must be one of adamw, adam, nadam, sgd; did you mean"),
        ({"training": {"channels_last": 1}}, "true or false"),
        ({"training": {"epochs": 5, "warmup_epochs": 5}}, "below training.epochs"),
        ({"training": 3}, r"training = 3; it must be a section such as \[training\]"),
        ({"augmentation": {"mixup_p": 0.7, "cutmix_p": 0.7}}, "at most 1"),
        ({"augmentation": {"probabilities": {"gaussian_blur": 2.0}}}, "augmentation.probabilities.gaussian_blur = 2.0"),
        ({"augmentation": {"probabilities": {"gaussian_blur": "x"}}}, "a number"),
        ({"augmentation": {"probabilities": 1}}, "a table of numbers"),
        ({"augmentation": {"originals": True}}, "fresh"),
        ({"split": {"validation": 0.5, "test": 0.5}}, "below 0.95"),
        ({"split": {"protocol": "random"}}, "lesion, lesion-kfold, source, paper, official"),
        ({"input": {"size": 224, "frame": 200}}, "input.frame = 200"),
        ({"evaluation": {"views": 4}}, "1 or 8"),
        ({"compression": {"variants": ["int9"]}}, "compression.variants = 'int9'; it must be of .*did you mean int8?"),
        ({"compression": {"variants": ["int8", "int8"]}}, "without repetition"),
        ({"compression": {"variants": [8]}}, "compression.variants = 8; it must be a text in quotes"),
        ({"compression": {"variants": 8}}, "a list of texts"),
        ({"compression": {"calibration_images": 0}}, "compression.calibration_images = 0; it must be from 1"),
        ({"compression": {"sparsity": 1.0}}, "compression.sparsity = 1.0; it must be from 0 to below 1"),
        ({"compression": {"student": ""}}, "a network of timm or of `lesionlens networks`"),
        ({"compression": {"fine_tune_learning_rate": 0.0}}, "above 0"),
        ({"compression": {"distillation_temperature": 0.0}}, "above 0"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_bad_values_name_the_key_and_the_rule(value, message):
    with pytest.raises(RecipeError, match=message) as raised:
        recipe_from(value, where="my.toml")
    assert str(raised.value).startswith("my.toml: ")
    assert "\n" not in str(raised.value)


def test_overrides():
    recipe = recipe_from(
        {"name": "x"}, ["training.learning_rate=3e-4", "model.name=convnext_atto", "split.protocol='paper'", "seed=7"]
    )
    assert recipe.training.learning_rate == 3e-4
    assert (recipe.model.name, recipe.split.protocol, recipe.seed) == ("convnext_atto", "paper", 7)
    assert recipe_from({}, ["augmentation.probabilities.gaussian_blur=0"]).augmentation.probabilities == {"gaussian_blur": 0.0}


@pytest.mark.parametrize("text", ["int8, bf16", "['int8', 'bf16']", '["int8","bf16"]'])
def test_a_list_may_be_given_with_commas_alone(text):
    assert recipe_from({}, [f"compression.variants={text}"]).compression.variants == ("int8", "bf16")
    assert recipe_from({}, ["compression.variants=[]"]).compression.variants == ()


@pytest.mark.parametrize("text", ["training.learning_rate", "=3", "seed.x=3"])
def test_bad_overrides(text):
    with pytest.raises(RecipeError):
        recipe_from({"seed": 1}, [text])


def test_files(tmp_path):
    with pytest.raises(RecipeError, match="does not exist"):
        load_recipe(tmp_path / "x.toml")
    with pytest.raises(RecipeError, match="folder"):
        load_recipe(tmp_path)
    (tmp_path / "x.toml").write_text("a = = 1")
    with pytest.raises(RecipeError, match="not TOML"):
        load_recipe(tmp_path / "x.toml")


def test_the_resolved_recipe_reads_back(tmp_path):
    recipe = recipe_from(
        {
            "name": 'a "quoted" näme\\',
            "augmentation": {"probabilities": {"gaussian_blur": 0.25}},
            "training": {"learning_rate": 1e-4},
            "compression": {"variants": ["int8", "channel-pruned"]},
        }
    )
    path = tmp_path / "recipe.toml"
    path.write_text(recipe_to_toml(recipe), encoding="utf-8")
    assert load_recipe(path) == recipe
    assert recipe_from(recipe.to_json()) == recipe_from(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert set(tomllib.loads(path.read_text(encoding="utf-8"))["training"]) == {
        f.name for f in dataclasses.fields(recipe.training)
    }


def test_hash_of_a_section_ignores_the_others():
    a, b = recipe_from({"name": "a"}), recipe_from({"name": "b"})
    assert a.hash("training") == b.hash("training")
    assert a.hash() != b.hash()
