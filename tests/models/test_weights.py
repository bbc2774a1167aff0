from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lesionlens.core.errors import WeightsError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.build import build_network

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
    with pytest.raises(WeightsError, match="is a pickle"):
        network(weights=str(tmp_path / "w.pth"))
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
