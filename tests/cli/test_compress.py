import json
import shutil

import pytest

from lesionlens.cli.main import main


def run(capsys, *arguments):
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code or 0
    return code, *capsys.readouterr()


@pytest.fixture
def folder(small_run, small_bundle, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(small_run, copy, dirs_exist_ok=True)
    return copy


@pytest.mark.slow
def test_a_run_folder_is_all_it_needs(folder, capsys):
    checkpoint = folder / "train" / "best.safetensors"
    options = ("--set", "compression.variants=dynamic-int8", "--rounds", "0", "--compared-images", "4")
    code, out, err = run(capsys, "compress", checkpoint, *options, "--json")
    assert code == 0, err
    content = json.loads(out)
    assert content == json.loads((folder / "compress" / "compression.json").read_text())
    assert [row["variant"] for row in content["rows"]][-1] == "dynamic-int8"
    code, out, err = run(capsys, "compress", checkpoint, *options)
    assert code == 0
    assert out.strip() == (folder / "compress" / "compression.txt").read_text().strip()
    assert "The paper's own count (its table 11)" in out


@pytest.mark.slow
def test_a_variant_that_fails_is_told_by_the_exit_code_and_the_rest_is_made(folder, capsys, monkeypatch):
    from lesionlens.bundle.outputs import Tolerance
    from lesionlens.compression import variants

    monkeypatch.setattr(variants, "INT8_TOLERANCE", Tolerance(1e-6, 1e-6, 1e-6))
    options = ("--set", "compression.variants=int8,dynamic-int8", "--set", "compression.calibration_images=8", "--rounds", "0")
    code, out, err = run(capsys, "compress", folder / "train" / "best.safetensors", *options, "--json")
    assert code == 4
    assert "int8 left out, the table says why" in err
    assert [row["variant"] for row in json.loads(out)["rows"] if row["available"]][-1] == "dynamic-int8"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--set", "compression.variants=int88"), 2, "did you mean int8?"),
        (("--set", "compression.sparsity=2"), 2, "from 0 to below 1"),
        (("--set", "model.name=x"), 2, "only keys of [compression]"),
        (("--bundle", "nowhere"), 4, "nowhere is not a bundle"),
        (("--split-file", "nowhere.json"), 3, "nowhere.json"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, options, code, message):
    exit_code, out, err = run(capsys, "compress", folder / "train" / "best.safetensors", *options)
    assert (exit_code, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_checkpoint_that_is_none(tmp_path, capsys):
    code, _, err = run(capsys, "compress", tmp_path / "x.safetensors")
    assert code == 4
    assert "does not exist" in err
