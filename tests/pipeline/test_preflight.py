"""What can be known before the first stage is said before it, and nothing is written."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.slow_values import slow_but

from lesionlens.cli.main import main
from lesionlens.core.errors import DataError, ModelError, WeightsError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.core.recipe_file import load_recipe
from lesionlens.models.build import build_network
from lesionlens.pipeline.preflight import check_stages


@pytest.fixture
def images(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for number in range(12):
        folder = root / ("nevus", "melanoma")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (20 * number, 0, 0)).save(folder / f"{number}.png")
    return root


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["run", "tiny", *words])
    return int(stop.value.code or 0), capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", slow_but([[], ["--plan"]], []))
@pytest.mark.parametrize(
    ("setting", "code", "words"),
    [
        ("model.name=mobilenetv2_10", 4, "timm knows no network"),
        ("model.weights=nowhere.safetensors", 4, "nor an existing safetensors file"),
        ("split.protocol=official", 3, "official"),
    ],
)
def test_before_the_first_stage(images, tmp_path, capsys, option, setting, code, words):
    run = tmp_path / "run"
    given = ["--data", str(images), "--run", str(run), "--set", "model.weights=none", "--set", setting, *option]
    found, line = refusal(capsys, *given)
    assert (found, words in line) == (code, True), line
    assert not (run / "audit.json").exists()
    assert setting.startswith("split") or not run.exists()


def test_foreign_weights(images, tmp_path, capsys):
    save_file({"layer.weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    given = ["--data", str(images), "--run", str(tmp_path / "run"), "--set", f"model.weights={tmp_path / 'foreign.safetensors'}"]
    code, line = refusal(capsys, *given)
    assert (code, "does not fit" in line) == (4, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("n_classes", [7, 3], ids=["seven", "three"])
def test_a_classifier_of_any_size_is_no_reason_to_stop_before_the_diagnoses_are_known(tmp_path, n_classes):
    weights = tmp_path / "w.safetensors"
    network = build_network(ModelRecipe("test_convnext", weights="none"), n_classes)
    save_file(network.state_dict(), weights)
    check_stages(load_recipe("tiny", ["model.name=test_convnext", f"model.weights={weights}"]), {"train": True})
    with pytest.raises(WeightsError, match="does not fit test_resnet"):
        check_stages(load_recipe("tiny", ["model.name=test_resnet", f"model.weights={weights}"]), {"train": True})


def test_a_checkpoint_of_a_run_can_be_fine_tuned(small_run):
    best = small_run / "train" / "best.safetensors"
    check_stages(load_recipe("tiny", ["model.name=test_convnext", f"model.weights={best}"]), {"train": True})
    with pytest.raises(WeightsError, match="a checkpoint of test_convnext, not of test_resnet"):
        check_stages(load_recipe("tiny", ["model.name=test_resnet", f"model.weights={best}"]), {"train": True})


def test_a_training_that_resumes_needs_its_initial_weights_no_more(tmp_path):
    recipe = load_recipe("tiny", ["model.name=test_convnext", f"model.weights={tmp_path / 'gone.safetensors'}"])
    check_stages(recipe, {"train": True}, resume=True)
    with pytest.raises(WeightsError, match="gone.safetensors is neither"):
        check_stages(recipe, {"train": True})


@pytest.mark.parametrize("data", ["nowhere", "empty"])
def test_a_plan_looks_at_the_images(tmp_path, capsys, data):
    (tmp_path / "empty").mkdir()
    given = ["--data", str(tmp_path / data), "--run", str(tmp_path / "run"), "--plan", "--set", "model.weights=none"]
    code, line = refusal(capsys, *given)
    assert code == 3
    assert data in line
    assert not (tmp_path / "run").exists()


def test_a_plan_of_usable_images(images, tmp_path, capsys):
    main_arguments = ["run", "tiny", "--data", str(images), "--run", str(tmp_path / "run"), "--plan"]
    with pytest.raises(SystemExit) as stop:
        main([*main_arguments, "--set", "model.weights=none"])
    assert not stop.value.code
    assert "train     to do" in capsys.readouterr().out


def test_only_stages_that_will_run_are_checked():
    recipe = load_recipe("tiny", ["model.name=nothing"])
    check_stages(recipe, {"train": False, "audit": True})
    with pytest.raises(ModelError, match="timm knows no network"):
        check_stages(recipe, {"train": True})


@pytest.mark.parametrize(
    ("module", "stage", "extra"),
    [("cv2", "audit", "train"), ("onnxscript", "export", "export"), ("nncf", "compress", "compress")],
)
def test_libraries(monkeypatch, module, stage, extra):
    monkeypatch.setitem(sys.modules, module, None)
    recipe = load_recipe("tiny")
    recipe = replace(recipe, compression=replace(recipe.compression, variants=("fp32", "int8")))
    with pytest.raises((DataError, ModelError), match=rf"pip install 'lesionlens\[{extra}\]'"):
        check_stages(recipe, {stage: True})


def test_the_networks_of_a_check_do_not_change_random_numbers():
    recipe = load_recipe("tiny", ["model.weights=none"])
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    check_stages(recipe, {"train": True})
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow  # an Inception is built
def test_a_network_that_does_not_take_the_size_is_refused_before_anything_is_read():
    with pytest.raises(ModelError, match=r"inception_v3 does not take images of 64 pixels.*it takes 96, 128"):
        check_stages(
            load_recipe("tiny", ["model.name=inception_v3", "model.weights=none", "input.size=64", "model.drop_path_rate=0"]),
            {"train": True},
        )


def test_a_setting_that_the_network_does_not_have_is_named():
    with pytest.raises(ModelError, match=r"vgg11 has no drop_path_rate; leave model\.drop_path_rate at its default"):
        check_stages(load_recipe("tiny", ["model.name=vgg11", "model.weights=none"]), {"train": True})
