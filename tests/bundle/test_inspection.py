import json
import shutil

import numpy as np
import pytest

from lesionlens.bundle import inspection
from lesionlens.bundle.bundle import open_bundle, write_facts
from lesionlens.bundle.engines import installed
from lesionlens.bundle.inspection import export_text, inspect_bundle
from lesionlens.bundle.outputs import Outputs
from lesionlens.bundle.selftest import SelfTest, read_selftest, write_selftest
from lesionlens.core.errors import BundleError


def test_a_sound_bundle(small_bundle):
    found = inspect_bundle(small_bundle)
    assert found.failed == ()
    assert [(check.variant, check.runtime) for check in found.checks] == [("fp32", "openvino"), ("fp32", "onnxruntime")]
    assert {check.result for check in found.checks} <= {"passed", "not installed"}
    text = found.text()
    assert "akiec bcc bkl df mel nv vasc" in text
    assert "balanced_accuracy 0." in text
    assert "not a medical device" in text
    assert "gate        rejects 0 of" in text
    assert "not sure    never: " in text
    assert json.loads(json.dumps(found.to_json()))["selftest"][0]["variant"] == "fp32"


def test_all_images_of_the_selftest_are_looked_at(small_bundle, tmp_path):
    """Opening checks two; the third is wrong here."""
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    selftest = read_selftest(open_bundle(copy))
    wanted = selftest.expected["fp32"]
    wrong = wanted.probabilities.copy()
    wrong[2] = np.roll(wrong[2], 1)
    write_selftest(SelfTest(selftest.images, {"fp32": Outputs(wrong, wanted.features, wanted.maps)}), copy)
    facts = json.loads((copy / "bundle.json").read_text())
    write_facts(copy, {key: value for key, value in facts.items() if key not in ("id", "files")})
    found = inspect_bundle(copy)
    assert set(found.failed) == {f"fp32 on {name}" for name in ("openvino", "onnxruntime") if installed(name)}
    assert "failed: bundle" in found.text()


def test_an_absent_runtime_is_no_failure(small_bundle, monkeypatch):
    monkeypatch.setattr(inspection, "installed", lambda name: name == "onnxruntime")
    found = inspect_bundle(small_bundle)
    assert [check.result for check in found.checks] == ["not installed", "passed"]
    assert found.failed == ()


def test_a_damaged_bundle_is_not_looked_into(small_bundle, tmp_path):
    copy = shutil.copytree(small_bundle, tmp_path / "bundle")
    (copy / "model.onnx").unlink()
    with pytest.raises(BundleError, match="missing"):
        inspect_bundle(copy)


def test_what_export_prints(small_bundle):
    text = export_text(open_bundle(small_bundle))
    assert "compared with torch on 8 images" in text
    assert f"wrote {small_bundle}" in text
