"""Weights from pickles: found, cleaned, matched with a network, or refused without running anything."""

import argparse
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import ModelError, RecipeError, WeightsError
from lesionlens.core.recipe import ModelRecipe
from lesionlens.models.build import build_network
from lesionlens.models.conversion import convert, read_conversion

NAME = "test_efficientnet"  # it has batch norms, and so counters


def state(n_classes: int = 7, name: str = NAME) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    network = build_network(ModelRecipe(name, weights="none"), n_classes, 64)
    return {key: torch.rand_like(value) if value.is_floating_point() else value for key, value in network.state_dict().items()}


def saved(path: Path, content: object, **options: bool) -> Path:
    torch.save(content, path, **options)
    return path


def assert_tensors(read: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_a_plain_state_comes_over_to_the_bit_and_trains(tmp_path, zipped):
    tensors = state()
    source = saved(tmp_path / "w.pth", OrderedDict(tensors), _use_new_zipfile_serialization=zipped)
    before, out = hash_file(source), tmp_path / "w.safetensors"
    conversion = convert(source, out)
    assert_tensors(load_file(out), tensors)
    assert (conversion.entry, conversion.prefix, conversion.dropped) == ("", "", ())
    assert conversion.parameters == sum(tensor.numel() for tensor in tensors.values())
    assert hash_file(source) == before
    with safe_open(out, framework="pt") as file:
        facts = json.loads(file.metadata()["converted"])
    assert facts == {"file": "w.pth", "sha256": before, "network": "", "matched": ""}
    assert_tensors(build_network(ModelRecipe(NAME, weights=str(out)), 7, 64).state_dict(), tensors)


def wrapped(tensors):
    under_module = {f"module.{name}": tensor for name, tensor in tensors.items()}
    optimizer = {"state": {}, "param_groups": [{"lr": 0.1}]}
    return {
        "state_dict": ({"state_dict": tensors, "epoch": 3, "optimizer": optimizer}, "state_dict", "", ("epoch", "optimizer")),
        "model": ({"args": argparse.Namespace(lr=1), "model": tensors}, "model", "", ("args",)),
        "module.": (under_module, "", "module.", ()),
        "both": ({"state_dict": under_module, "epoch": 3}, "state_dict", "module.", ("epoch",)),
        "compiled": ({f"_orig_mod.module.{name}": t for name, t in tensors.items()}, "", "_orig_mod.module.", ()),
        "nested": ({"model": {"state_dict": tensors, "name": "x"}, "epoch": 1}, "model.state_dict", "", ("epoch", "model.name")),
        "averaged": ({"n_averaged": torch.tensor(5), **under_module}, "", "module.", ("n_averaged",)),
        "average beside": ({"state_dict_ema": tensors, "state_dict": tensors}, "state_dict", "", ("state_dict_ema",)),
        "no tensors between": ({**tensors, "note": "mine", 7: torch.zeros(1), "hook": None}, "", "", ("note", "7", "hook")),
    }


@pytest.mark.parametrize("kind", wrapped({}))
def test_wrappers_are_removed_and_the_rest_is_named(tmp_path, kind):
    tensors = state()
    content, entry, prefix, dropped = wrapped(tensors)[kind]
    conversion = read_conversion(saved(tmp_path / "w.pth", content), NAME)
    assert_tensors(conversion.tensors, tensors)
    assert (conversion.entry, conversion.prefix, conversion.dropped) == (entry, prefix, dropped)
    assert conversion.matched == "names"


def test_tensors_that_share_memory_or_are_no_plain_ones(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    content = {"a": whole[0], "b": whole.T, "c": torch.nn.Parameter(whole), "sparse": whole.to_sparse()}
    conversion = convert(saved(tmp_path / "w.pt", content), tmp_path / "w.safetensors")
    assert_tensors(load_file(tmp_path / "w.safetensors"), {"a": whole[0], "b": whole.T, "c": whole})
    assert conversion.dropped == ("sparse",)


@pytest.mark.parametrize("n_classes", [7, 1000, None], ids=["own head", "ImageNet", "no head"])
def test_other_names_fit_by_order_if_every_shape_does(tmp_path, n_classes):
    tensors = state(n_classes or 7)
    if n_classes is None:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier")}
    foreign = {
        f"layer{number}.{'num_batches_tracked' if name.endswith('num_batches_tracked') else 'value'}": tensor
        for number, (name, tensor) in enumerate(tensors.items())
    }
    conversion = read_conversion(saved(tmp_path / "w.pth", foreign), NAME)
    floats = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    assert conversion.matched == "order"
    assert_tensors(conversion.tensors, floats)
    assert len(conversion.dropped) == len(tensors) - len(floats) > 0


def without_one(tensors):
    del tensors["conv_stem.weight"]


def with_one_more(tensors):
    tensors["aux.weight"] = torch.zeros(2)


def with_another_shape(tensors):
    tensors["conv_stem.weight"] = torch.zeros(1, 3, 3, 3)


@pytest.mark.parametrize("spoil", [without_one, with_one_more, with_another_shape])
def test_tensors_that_fit_in_no_way(tmp_path, spoil):
    tensors = state()
    spoil(tensors)
    source = saved(tmp_path / "w.pth", tensors)
    with pytest.raises(WeightsError, match=r"does not fit test_efficientnet by name \(.*(conv_stem|aux).*nor by order") as caught:
        convert(source, tmp_path / "w.safetensors", NAME)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]
    with pytest.raises(ModelError, match="timm knows no network 'nonet'"):
        read_conversion(source, "nonet")


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_could_run_code_is_refused_and_runs_nothing(tmp_path, zipped):
    content = {"state_dict": state(), "extra": RunsCode(tmp_path / "ran")}
    source = saved(tmp_path / "w.pth", content, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"asks for posix.mkdir, which could run code.*torch\.save\(model\.state_dict"
    ) as caught:
        convert(source, tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]


def test_a_whole_network_is_refused(tmp_path):
    source = saved(tmp_path / "w.pth", torch.nn.Linear(2, 2))
    with pytest.raises(WeightsError, match=r"asks for torch.nn.modules.linear.Linear.*torch\.save\(model\.state_dict"):
        read_conversion(source)


def test_a_program_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:  # what torch.jit.save writes, as far as it is looked at
        archive.writestr("w/constants.pkl", b"")
        archive.writestr("w/data.pkl", b"")
    with pytest.raises(WeightsError, match="TorchScript program"):
        read_conversion(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [None, 3, [], {}, {"epoch": 3}, {"model": {"a": 1}}, [torch.zeros(2)]])
def test_files_without_tensors(tmp_path, content):
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        read_conversion(saved(tmp_path / "w.pth", content))


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", pickle.dumps({"a": RunsCode(Path("ran"))}), b"\x80\x02"])
def test_files_that_are_no_weights(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"is damaged, or") as caught:
        read_conversion(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.integers(0, 1500), position=st.integers(0, 1500), value=st.integers(0, 255), zipped=st.booleans())
def test_damage_is_one_line(tmp_path, kept, position, value, zipped):
    source = saved(tmp_path / "w.pth", {"a": torch.zeros(3), "b": 1}, _use_new_zipfile_serialization=zipped)
    content = bytearray(source.read_bytes())
    content[position % len(content)] = value
    source.write_bytes(content[: len(content) - kept])
    try:
        assert read_conversion(source).tensors
    except WeightsError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message


def test_the_input_is_never_overwritten(tmp_path):
    source = saved(tmp_path / "w.safetensors", state())
    before = source.read_bytes()
    (tmp_path / "link.safetensors").symlink_to(source)
    for target in (source, tmp_path / "link.safetensors"):
        with pytest.raises(RecipeError, match="is the input itself"):
            convert(source, target)
    with pytest.raises(RecipeError, match=r"must end with \.safetensors"):
        convert(source, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="is no file"):
        convert(tmp_path / "none.pth", tmp_path / "x.safetensors")
    assert source.read_bytes() == before


def test_a_safetensors_file_can_be_matched_too(tmp_path):
    tensors = {f"module.{name}": tensor for name, tensor in state().items()}
    convert(saved(tmp_path / "w.pth", tensors), tmp_path / "a.safetensors")
    conversion = convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", NAME)
    assert_tensors(load_file(tmp_path / "b.safetensors"), state())
    assert conversion.matched == "names"
