import pytest

from lesionlens.core.recipe import SplitRecipe
from lesionlens.core.recipe_file import recipe_from
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split
from lesionlens.export.provenance import leak_statement, licences, origin


@pytest.fixture
def image_split(synthetic_root):
    return make_split(read_source(synthetic_root), SplitRecipe())


def test_a_leak_is_said_first():
    leak = "38.6 % of test images show a lesion that is also in training"
    assert leak_statement("paper", True, [leak]).startswith("THE METRICS ARE TOO HIGH BECAUSE THIS SPLIT LEAKS")
    assert leak in leak_statement("paper", True, [leak])
    assert leak_statement("lesion", False, ["0.0 % of test images leak", "0.0 % by patient"]) == (
        "Protocol 'lesion' (images of one lesion or patient never split): 0.0 % of test images leak; 0.0 % by patient."
    )
    assert leak_statement("official", False, []).endswith("there is no test image.")


@pytest.mark.parametrize(
    ("source", "stated", "expected"),
    [
        ("ham10000", "", "CC BY-NC 4.0"),
        ("ham10000+isic2018", "", "CC BY-NC 4.0"),
        ("synthetic", "", "no patient"),
        ("table", "", "not stated"),
        ("table", "CC0", "CC0"),
    ],
)
def test_licences_follow_the_data(source, stated, expected):
    found = licences(source, "convnext_tiny", "imagenet", stated)
    assert all(expected in found[name] for name in ("data", "weights", "selftest"))
    assert found["code"] == "Apache-2.0"


def test_the_path_of_the_users_weights_stays_at_home():
    assert "secret" not in str(licences("table", "convnext_tiny", "/home/secret/w.safetensors"))


def test_the_origin_tells_of_the_split_and_hides_folders(image_split):
    recipe = recipe_from({"name": "x", "model": {"weights": "/home/secret/w.safetensors"}})
    facts = origin(recipe, "folder", image_split, {"split": image_split.hash}, epoch=3, averaged=True)
    assert facts["images"] == {name: len(ids) for name, ids in image_split.ids.items()}
    assert (facts["leaks"], facts["leak_rate"], facts["epoch"], facts["averaged"]) == (False, 0.0, 3, True)
    assert facts["recipe"]["model"]["weights"] == "w.safetensors"
    assert "secret" not in str(facts)
    assert recipe.model.weights == "/home/secret/w.safetensors"
    assert facts["leak_statement"].endswith("0.0 % of test images show a lesion that is also in training.")
