"""Hashes of recipes never change: checkpoints and stamps of finished runs carry them."""

import dataclasses

import pytest

from lesionlens.core.recipe import ExplanationRecipe, Recipe, TrainingRecipe
from lesionlens.core.recipe_file import load_recipe

TRAINING = ("seed", "input", "augmentation", "model", "training")
"""What a checkpoint depends on."""

HASHES = {
    "demo": (
        "bf25c107b299962efdf663f1d99e55e58ac4e51866523cc85761b78b7092b07b",
        "c4527d448d442cf65f302df3b3e49e9b279d6e4a89390295747cbe77e585d969",
        "80dbef1890ba7a9a430d4dcf3d614ee74bd1219d457b2454f63974c99e189e27",
        "2751402f7043c80cd22e8bdeff2a01be3901bd67d4380dd6a8a956dd4e46aaab",
    ),
    "light": (
        "21ecb4fed6531e38df810ff66ad187b133063f629ac8fdc01c61afc67b46a3d6",
        "a71041583218db3dcf0e1cab2825a9c38474547d09eba6c5bbd37744f82f662b",
        "80dbef1890ba7a9a430d4dcf3d614ee74bd1219d457b2454f63974c99e189e27",
        "2751402f7043c80cd22e8bdeff2a01be3901bd67d4380dd6a8a956dd4e46aaab",
    ),
    "paper": (
        "ec9c11d2c926080ad19f2ba40e9de371e83361e0ec0f2d6748483624a25a0350",
        "c07554a091cb9bfd174e04b207ce47d1b890625d01d7149bca5803c9959d64b4",
        "6922d33d097c87e3d5aa5276ecc6885b5eb049150a65375c70a8498d41d0debf",
        "da1cb8945ec10ff871b78b3428715ee518b58ee3afb9a01aa6d99dbc77389b51",
    ),
    "tiny": (
        "5e92c612cf5e318681bfa631743827fbc5a8f269887e75571ae9c373ff4e6fd4",
        "4a20c33db607f16863d49706a2db11045e6fb57c5048ad25d151e9c06e81ba38",
        "80dbef1890ba7a9a430d4dcf3d614ee74bd1219d457b2454f63974c99e189e27",
        "2751402f7043c80cd22e8bdeff2a01be3901bd67d4380dd6a8a956dd4e46aaab",
    ),
}
"""Of the whole recipe, of `TRAINING`, of `split` and of `evaluation`."""

EARLIER_PAPER = [
    *("augmentation.style=lesionlens", "input.resize=short_side", "model.name=convnext_tiny"),
    "training.weight_decay_on=weights",
]
"""What turns the recipe `paper` into that of 0.1.0, which departed further from the paper."""


@pytest.mark.parametrize("name", HASHES)
def test_hashes_of_the_recipes(name):
    recipe = load_recipe(name)
    assert (recipe.hash(), recipe.hash(*TRAINING), recipe.hash("split"), recipe.hash("evaluation")) == HASHES[name]


def test_the_recipe_paper_of_earlier_versions_keeps_its_hashes():
    """Runs of it are current as long as their own recipe.toml says what it said."""
    recipe = load_recipe("paper", EARLIER_PAPER)
    assert (recipe.hash(), recipe.hash(*TRAINING)) == (
        "60d801f3e4249042e9fda8c1e5e8c851723b5ea51fbfc8eeff9a54d2bd66533f",
        "511c32f9f0b07c495278456643edc636a413d27ec5bcd967c821e195b572c33f",
    )


def test_hashes_of_the_defaults():
    recipe = Recipe()
    assert recipe.hash() == "7f75439e2980a32a9c53af9995967996f8eff810cae02297e1ef69348b6ff806"
    assert recipe.hash("compression") == "175be71088566e000bef5fdfd20edb7a86116318eba8a79313fbd411d70bddcc"


def test_a_new_key_changes_the_hash_only_where_it_is_used():
    recipe = Recipe()
    for changed in (TrainingRecipe(layer_decay=0.5), TrainingRecipe(sync_batchnorm=True), TrainingRecipe(weight_decay_on="all")):
        assert dataclasses.replace(recipe, training=changed).hash("training") != recipe.hash("training")
    assert "layer_decay" in recipe.to_json()["training"]
    assert "layer_decay" not in recipe.training.hashed()
    explained = dataclasses.replace(recipe, explanation=ExplanationRecipe(occlusion_images=5))
    assert explained.hash("seed", "explanation") != recipe.hash("seed", "explanation") == recipe.hash("seed")


@pytest.mark.parametrize("section", ["pretraining", "semi_supervised", "concepts"])
def test_new_sections_change_no_hash_until_they_are_used(section):
    assert Recipe().hash(*TRAINING, section) == Recipe().hash(*TRAINING)
    used = {
        "pretraining": {"epochs": 7},
        "semi_supervised": {"images": "photos"},
        "concepts": {"table": "c.csv", "columns": "x"},
    }[section]
    assert Recipe(**{section: used}).hash(*TRAINING, section) != Recipe().hash(*TRAINING)
