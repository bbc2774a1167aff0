"""Initial weights: files of others, and checkpoints of LesionLens with the same or other diagnoses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import RecipeError, WeightsError
from lesionlens.core.labels import HAM10000, ISIC2019, LabelSet
from lesionlens.core.recipe import CompressionRecipe, InputRecipe, ModelRecipe, Recipe
from lesionlens.data.image import input_spec
from lesionlens.models.build import build_initial_network, build_network
from lesionlens.models.matching import match_network
from lesionlens.models.weights import InitialWeights, load_weights
from lesionlens.training.checkpoint import CheckpointInfo, save_network

NAME = "test_convnext"


def network(n_classes: int = 7, weights: str = "none", name: str = NAME) -> torch.nn.Module:
    return build_network(ModelRecipe(name, weights=weights), n_classes)


def changed_state(n_classes: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {key: torch.randn_like(value) for key, value in network(n_classes).state_dict().items()}


@pytest.mark.parametrize("n_classes", [7, 1000, None], ids=["own head", "ImageNet head", "no head"])
def test_every_parameter_of_the_file_is_used(tmp_path: Path, n_classes):
    state = changed_state(n_classes or 7)
    if n_classes is None:
        state = {key: value for key, value in state.items() if not key.startswith("head.fc")}
    save_file(state, tmp_path / "w.safetensors")
    filled = network(weights=str(tmp_path / "w.safetensors")).state_dict()
    for key, value in filled.items():
        if key in state and state[key].shape == value.shape:
            torch.testing.assert_close(value, state[key], rtol=0, atol=0)
        else:
            assert key.startswith("head.fc")


def test_weights_of_another_network(tmp_path: Path):
    save_file(changed_state(7), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"does not fit test_resnet: \d+ parameters are missing and \d+ are unknown"):
        network(weights=str(tmp_path / "w.safetensors"), name="test_resnet")


def test_weights_of_other_shapes(tmp_path: Path):
    state = changed_state(7)
    state["stem.0.weight"] = torch.zeros(3, 3, 4, 4)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"stem.0.weight has shape \(3, 3, 4, 4\), the network has"):
        network(weights=str(tmp_path / "w.safetensors"))


def test_weights_for_another_number_of_classes(tmp_path: Path):
    save_file(changed_state(8), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="a classifier of 8 classes for 7 labels"):
        network(weights=str(tmp_path / "w.safetensors"))


def test_missing_damaged_and_pickled_files(tmp_path: Path):
    with pytest.raises(WeightsError, match="neither imagenet, none, nor an existing"):
        network(weights=str(tmp_path / "w.safetensors"))
    with pytest.raises(WeightsError, match="is a pickle.*lesionlens convert .*w.pth .*w.safetensors"):
        load_weights(network(), tmp_path / "w.pth", NAME)
    torch.save(changed_state(7), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="is a pickle in spite of its name; .*w.converted.safetensors"):
        network(weights=str(tmp_path / "w.safetensors"))
    save_file(changed_state(7), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    for kept in (0, 4, 100, len(whole) - 1):
        (tmp_path / "w.safetensors").write_bytes(whole[:kept])
        with pytest.raises(WeightsError, match="not a readable safetensors file"):
            network(weights=str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("name", ["mobilenetv2_100", "tf_efficientnet_lite0"])
def test_real_backbones_fit(shared_root: Path, name):
    path = shared_root / "weights" / f"{name}.imagenet.safetensors"
    filled = network(weights=str(path), name=name)
    assert filled.get_classifier().out_features == 7


HEAD = ("head.fc.weight", "head.fc.bias")
REORDERED = LabelSet("reordered", HAM10000.diagnoses[::-1])
OTHERS = LabelSet("others", ISIC2019.diagnoses[-7:])
RENAMED = replace(HAM10000, name="renamed")


def checkpoint(path: Path, labels: LabelSet = HAM10000, name: str = NAME, **facts) -> dict[str, torch.Tensor]:
    """A checkpoint of LesionLens with random tensors, which are returned."""
    recipe = Recipe(input=InputRecipe(size=32), model=ModelRecipe(name, weights="none"))
    saved = network(len(labels), name=name)
    with torch.no_grad():
        for parameter in saved.parameters():
            parameter.uniform_()
    info = CheckpointInfo(labels, input_spec(recipe.input), recipe, "split", "plan", "index", "lesion", False, **facts)
    save_network(saved, info, path)
    return saved.state_dict()


def start(path: Path, labels: LabelSet = HAM10000, name: str = NAME) -> tuple[dict[str, torch.Tensor], InitialWeights]:
    torch.manual_seed(3)
    built, weights = build_initial_network(ModelRecipe(name, weights=str(path)), labels, 32)
    assert weights is not None
    return built.state_dict(), weights


@pytest.mark.parametrize("labels", [HAM10000, RENAMED], ids=["same", "same under another name"])
def test_our_checkpoint_with_the_same_diagnoses_keeps_its_head(tmp_path, labels):
    saved = checkpoint(tmp_path / "best.safetensors")
    state, weights = start(tmp_path / "best.safetensors", labels)
    assert all(torch.equal(state[key], value) for key, value in saved.items())
    assert (weights.classifier, weights.labels) == ("kept", HAM10000.codes)
    assert weights.note() == "initial weights from best.safetensors: its classifier is kept (the same diagnoses)"


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (
            REORDERED,
            "another order of diagnoses: akiec, bcc, bkl, df, mel, nv, vasc there, vasc, nv, mel, df, bkl, bcc, akiec here",
        ),
        (OTHERS, "other diagnoses: akiec, bcc, bkl, df, mel, nv, vasc there"),
        (ISIC2019, "other diagnoses"),
        (LabelSet("two", HAM10000.diagnoses[:2]), "akiec, bcc here"),
    ],
    ids=["other order", "as many others", "more", "fewer"],
)
def test_our_checkpoint_with_other_diagnoses_gets_a_new_head_and_says_so(tmp_path, labels, reason):
    saved = checkpoint(tmp_path / "best.safetensors")
    state, weights = start(tmp_path / "best.safetensors", labels)
    torch.manual_seed(3)
    fresh = build_network(ModelRecipe(NAME, weights="none"), len(labels), 32).state_dict()
    for key, value in state.items():
        assert torch.equal(value, fresh[key] if key in HEAD else saved[key]), key
    assert weights.classifier == "replaced"
    assert weights.labels == HAM10000.codes
    assert "its classifier is replaced by a new one" in weights.note()
    assert reason in weights.note()
    assert weights.sha256 == hash_file(tmp_path / "best.safetensors")
    assert InitialWeights.from_json(json.loads(json.dumps(weights.to_json()))) == weights


def test_files_of_others_say_what_became_of_their_head(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(changed_state(1000), path)
    assert start(path)[1].note().endswith("its classifier is replaced by a new one (1000 classes of ImageNet)")
    save_file(changed_state(7), path)
    assert start(path)[1].note().endswith("its classifier is kept (7 classes; the file does not say which)")
    save_file({key: value for key, value in changed_state(7).items() if key not in HEAD}, path)
    assert start(path)[1].note().endswith("it has no classifier, so training starts with a new one")
    assert build_initial_network(ModelRecipe(NAME, weights="none"), HAM10000, 32)[1] is None


def test_our_checkpoint_of_another_network(tmp_path):
    checkpoint(tmp_path / "best.safetensors")
    with pytest.raises(WeightsError, match="checkpoint of test_convnext, not of test_resnet.*--set model.name=test_convnext"):
        start(tmp_path / "best.safetensors", name="test_resnet")


def test_the_name_of_pretrained_weights_is_no_other_network(tmp_path):
    checkpoint(tmp_path / "best.safetensors", name="test_convnext.r160_in1k")
    assert start(tmp_path / "best.safetensors")[1].classifier == "kept"


def test_our_channel_pruned_checkpoint(tmp_path):
    checkpoint(tmp_path / "best.safetensors", channel_pruned=True)
    with pytest.raises(WeightsError, match="channel-pruned.*pruned from"):
        start(tmp_path / "best.safetensors")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("{", "not readable"),
        ("[]", "not readable"),
        ('{"kind": "best"}', "not readable"),
        ('{"kind": "best", "info": {"recipe": {"model": {"name": "test_convnext"}}, "labels": {"name": "x"}}}', "not readable"),
        (
            '{"kind": "last", "info": {"recipe": {"model": {"name": "test_convnext"}}, "labels": '
            + json.dumps(HAM10000.to_json())
            + "}}",
            "state of a training run; give the best.safetensors",
        ),
    ],
)
def test_metadata_that_are_not_a_networks(tmp_path, metadata, message):
    save_file(changed_state(7), tmp_path / "w.safetensors", {"lesionlens": metadata})
    with pytest.raises(WeightsError, match=message) as caught:
        start(tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["w.pth", "w.PT", "model_best.pth.tar", "pytorch_model.bin"])
def test_a_recipe_with_a_pickle_is_refused_at_once_and_names_the_command(name):
    target = name.partition(".")[0] + ".safetensors"
    message = f"model.weights = '{name}'.*convert it with: lesionlens convert {name} {target}$"
    with pytest.raises(RecipeError, match=message):
        ModelRecipe(NAME, weights=name)
    with pytest.raises(RecipeError, match="compression.student_weights.*lesionlens convert"):
        CompressionRecipe(student_weights=name)


def test_a_classifier_with_a_hidden_layer_is_replaced_and_the_rest_is_used(tmp_path):
    """The names of timm's CAFormer, whose classifier has a hidden layer, on a small network."""
    state = {key: value for key, value in changed_state(7).items() if not key.startswith("head.fc")}
    hidden = {
        "head.fc.fc1.weight": torch.zeros(8, 4),
        "head.fc.norm.bias": torch.zeros(8),
        "head.fc.fc2.weight": torch.zeros(1000, 8),
    }
    path = tmp_path / "timm.safetensors"
    save_file({**state, **hidden}, path)
    filled, weights = start(path)
    assert (weights.classifier, weights.reason) == ("replaced", "it has a hidden layer")
    assert "its classifier is replaced by a new one (it has a hidden layer)" in weights.note()
    for key, value in state.items():
        torch.testing.assert_close(filled[key], value, rtol=0, atol=0)
    tensors, dropped, matched = match_network({**state, **hidden}, NAME, path)
    assert (tensors.keys(), set(dropped), matched) == (state.keys(), set(hidden), "names")
