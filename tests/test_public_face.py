"""`import lesionlens as ll`: what it shows, that it is light, and that its examples hold."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lesionlens as ll

SOURCE = Path(ll.__file__).parent
PUBLIC = sorted(".".join(("lesionlens", *path.relative_to(SOURCE).parent.parts)) for path in SOURCE.rglob("__init__.pyi"))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_documented(name):
    package = importlib.import_module(name)
    assert package.__all__, f"{name} shows nothing"
    for public in package.__all__:
        value = getattr(package, public)
        if callable(value):
            assert value.__doc__, f"{name}.{public} has no docstring"


def test_every_package_has_a_public_face():
    packages = {path.parent for path in SOURCE.rglob("__init__.py")}
    without = {path for path in packages if not (path / "__init__.pyi").exists()}
    assert {str(path.relative_to(SOURCE)) for path in without} <= {"cli", "data/dicom"}


def test_importing_loads_no_torch():
    code = "import sys, lesionlens as ll; print(*(name for name in ('torch', 'onnxruntime', 'numpy') if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_grad_cam_is_that_of_autograd():
    from lesionlens.models import build_network

    torch.manual_seed(0)
    network = build_network(ll.load_recipe("demo", ["model.name=test_convnext"]).model, 7, 64).eval()
    images = torch.randn(2, 3, 64, 64)
    logits, maps = ll.grad_cam(network, images)
    torch.testing.assert_close(logits, network(images).detach(), atol=1e-5, rtol=1e-4)
    features = network.forward_features(images).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(network.forward_head(features)[:, 3].sum(), features)
    expected = (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu()
    torch.testing.assert_close(maps[:, 3], expected.detach(), atol=1e-5, rtol=1e-3)


def test_a_split_and_a_data_set_by_hand(synthetic_root, small_run):
    made = ll.split(synthetic_root, seed=1)
    assert made.seed == 1
    assert made.leak_rate["test"] == 0
    dataset = ll.open_dataset(small_run)
    assert len(dataset.ids("test")) == len(dataset.split.ids["test"])
    scores = ll.evaluate(small_run / "train" / "best.safetensors", split="validation", out=small_run.with_name("elsewhere"))
    assert scores["split"] == "validation"
    assert np.isfinite(scores["metrics"]["accuracy"]["value"])


DOCTESTED = (
    *("lesionlens.core.legacy", "lesionlens.core.run", "lesionlens.evaluation.metrics", "lesionlens.training.loss"),
    *(f"lesionlens.assessment.external.{name}" for name in ("label_mapping", "official", "prior_shift", "text")),
)


@pytest.mark.parametrize("name", DOCTESTED)
def test_examples_hold(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert results.attempted
    assert not results.failed


def test_assess_reads_what_evaluate_wrote(small_run, tmp_path):
    ll.evaluate(small_run / "train" / "best.safetensors", out=tmp_path)
    results = ll.assess(tmp_path)
    ids = ll.open_dataset(small_run).split.ids
    assert results["decisions"]["n_images"] == {name: len(ids[name]) for name in ("validation", "test")}
