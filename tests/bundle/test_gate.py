import dataclasses
import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lesionlens.bundle.bundle import open_bundle, read_bundle, write_facts
from lesionlens.bundle.gate import CHECKS, GATE_FILE, FeatureGaussian, Gate, GateResult, PhotographScore, unit_length
from lesionlens.core.errors import BundleError

GAUSSIAN = FeatureGaussian(
    mean=np.array([0.6, 0.8, 0], np.float32),
    directions=np.array([[0], [0], [1]], np.float32),
    spreads=np.array([0.1], np.float32),
    rest=0.5,
)
LIMITS = {"too_small": 96.0, "blurred": 5.0, "too_dark": 40.0, "too_bright": 220.0, "clipped": 0.4, "not_dermoscopic": 50.0}
LIMITS |= {"no_dermatoscope": 0.5}
PHOTOGRAPHS = PhotographScore(np.array([0, 0, 4], np.float32), -1.0)
GREY = np.random.default_rng(0).integers(100, 140, (32, 32, 3), dtype=np.uint8)


def test_distance_by_hand():
    found = GAUSSIAN.distance(np.array([[3, 4, 0], [0, 0, 7], [6, 8, 0]], np.float32))
    # (0, 0, 1) - mean = (-0.6, -0.8, 1): 1 / 0.1^2 along, 1 / 0.5^2 beyond
    np.testing.assert_allclose(found, [0, 104, 0], atol=1e-4)


@given(arrays(np.float32, (3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_length_is_one_or_nothing(features):
    found = np.linalg.norm(unit_length(features), axis=1)
    assert all(length == 0 or abs(length - 1) < 1e-5 for length in found)
    assert np.isfinite(GAUSSIAN.distance(features[:, :3])).all()


def test_a_good_image_passes():
    gate_result = Gate(GAUSSIAN, LIMITS, PHOTOGRAPHS).check((600, 450), GREY, np.array([3, 4, 0], np.float32))
    assert gate_result.usable
    assert gate_result.reasons == ()
    assert gate_result.measures.keys() == {check.measure for check in CHECKS.values()}
    assert json.loads(json.dumps(gate_result.to_json()))["reasons"] == []


@pytest.mark.parametrize(
    ("code", "size", "pixels", "features"),
    [
        ("too_small", (600, 95), GREY, [3, 4, 0]),
        ("blurred", (600, 450), np.full((32, 32, 3), 120, np.uint8), [3, 4, 0]),
        ("too_dark", (600, 450), GREY // 4, [3, 4, 0]),
        ("too_bright", (600, 450), GREY + 112, [3, 4, 0]),
        ("clipped", (600, 450), np.where(np.arange(32)[:, None, None] < 16, 255, GREY).astype(np.uint8), [3, 4, 0]),
        ("not_dermoscopic", (600, 450), GREY, [0, 0, -1]),
        ("no_dermatoscope", (600, 450), GREY, [3, 4, 2.5]),  # 0.447 of the length: 4 * 0.447 - 1 = 0.79; distance 21
    ],
)
def test_every_check_has_its_image(code, size, pixels, features):
    gate_result = Gate(GAUSSIAN, LIMITS, PHOTOGRAPHS).check(size, pixels, np.array(features, np.float32))
    assert gate_result.reasons == (code,)
    assert not gate_result.usable
    assert gate_result.to_json()["reasons"] == [{"code": code, "text": CHECKS[code].text}]


def test_all_reasons_are_given():
    gate_result = Gate(GAUSSIAN, LIMITS, PHOTOGRAPHS).check(
        (50, 60), np.zeros((32, 32, 3), np.uint8), np.array([0, 0, 1], np.float32)
    )
    assert gate_result.reasons == ("too_small", "blurred", "too_dark", "not_dermoscopic", "no_dermatoscope")
    assert len(gate_result.texts) == 5


def test_what_a_photograph_is_told_by_is_a_linear_score():
    found = PHOTOGRAPHS.score(np.array([[3, 0, 4], [300, 0, 400], [0, 0, 0]], np.float32))
    np.testing.assert_allclose(found, [2.2, 2.2, -1], atol=1e-6)  # 4 * 0.8 - 1; the length does not count


def test_a_gate_from_before_photographs_were_told_apart():
    older = Gate(GAUSSIAN, {code: limit for code, limit in LIMITS.items() if code != "no_dermatoscope"})
    gate_result = older.check((600, 450), GREY, np.array([3, 4, 2.5], np.float32))
    assert gate_result.usable
    assert "photograph_score" not in gate_result.measures


def test_on_the_threshold_is_usable():
    assert not CHECKS["too_small"].fails(96, 96)
    assert not CHECKS["clipped"].fails(0.4, 0.4)
    assert CHECKS["clipped"].fails(float("nan"), 0.4)
    assert CHECKS["too_small"].fails(float("nan"), 96)


@pytest.mark.parametrize("length", [2, 4, 0])
def test_features_of_another_length(length):
    with pytest.raises(BundleError, match=r"the gate was fitted on \(3,\)"):
        Gate(GAUSSIAN, LIMITS, PHOTOGRAPHS).check((600, 450), GREY, np.ones(length, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers(value):
    with pytest.raises(BundleError, match="NaN or infinite"):
        Gate(GAUSSIAN, LIMITS, PHOTOGRAPHS).check((600, 450), GREY, np.array([1, value, 0], np.float32))


@pytest.fixture
def copy(small_bundle, tmp_path):
    return shutil.copytree(small_bundle, tmp_path / "bundle")


def rewrite(folder, **changes):
    facts = {key: value for key, value in read_bundle(folder).facts.items() if key not in ("format", "id", "files")}
    write_facts(folder, {**facts, **changes})
    return open_bundle(folder)


def test_the_gate_of_a_bundle(small_bundle):
    bundle = open_bundle(small_bundle)
    gate = Gate.from_bundle(bundle)
    assert gate is not None
    assert gate.thresholds == bundle.facts["gate"]["thresholds"]
    assert gate.gaussian.mean.shape == tuple(bundle.outputs["features"])


def test_bundles_from_before_there_were_gates(copy):
    (copy / GATE_FILE).unlink()
    facts = json.loads((copy / "bundle.json").read_text())
    write_facts(copy, {key: value for key, value in facts.items() if key not in ("format", "id", "files", "gate")})
    assert Gate.from_bundle(open_bundle(copy)) is None


def test_a_gate_that_is_gone_or_changed(copy):
    whole = (copy / GATE_FILE).read_bytes()
    (copy / GATE_FILE).write_bytes(whole[:-1] + b"x")
    with pytest.raises(BundleError, match=r"bytes of gate\.npz have changed"):
        open_bundle(copy)
    (copy / GATE_FILE).unlink()
    with pytest.raises(BundleError, match=r"gate\.npz is missing"):
        open_bundle(copy)


def test_a_bundle_that_forgot_to_list_its_gate(copy):
    (copy / GATE_FILE).unlink()
    facts = json.loads((copy / "bundle.json").read_text())
    write_facts(copy, {key: value for key, value in facts.items() if key not in ("format", "id", "files")})
    with pytest.raises(BundleError, match=r"does not list gate\.npz"):
        Gate.from_bundle(open_bundle(copy))


def changed_arrays(folder, change):
    with np.load(folder / GATE_FILE) as archive:
        arrays_ = change({name: archive[name] for name in archive.files})
    np.savez(folder / GATE_FILE, **arrays_)
    return rewrite(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {**a, "mean": a["mean"][:-1]}, "the network gives"),
        (lambda a: {**a, "directions": a["directions"][:-1]}, "the network gives"),
        (lambda a: {**a, "spreads": a["spreads"][:-1]}, "the network gives"),
        (lambda a: {**a, "mean": a["mean"].astype(np.float64)}, "the network gives"),
        (lambda a: {**a, "mean": a["mean"] * np.float32("nan")}, "NaN, infinite or not above 0"),
        (lambda a: {**a, "spreads": 0 * a["spreads"]}, "NaN, infinite or not above 0"),
        (lambda a: {**a, "rest": np.float32(0)}, "NaN, infinite or not above 0"),
        (lambda a: {name: value for name, value in a.items() if name != "rest"}, "cannot be read"),
    ],
)
def test_arrays_that_do_not_fit(copy, change, message):
    bundle = changed_arrays(copy, change)
    with pytest.raises(BundleError, match=message):
        Gate.from_bundle(bundle)


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_damaged_file_with_the_right_hash(copy, damage):
    (copy / GATE_FILE).write_bytes(damage)
    bundle = rewrite(copy)
    with pytest.raises(BundleError, match="cannot be read"):
        Gate.from_bundle(bundle)


@pytest.mark.parametrize("facts", [{}, {"thresholds": {}}, {"thresholds": dict.fromkeys(CHECKS, "much")}, [1], "gate"])
def test_facts_that_are_not_understood(copy, facts):
    bundle = rewrite(copy, gate=facts)
    with pytest.raises(BundleError, match="gate cannot be understood"):
        Gate.from_bundle(bundle)


def test_thresholds_that_are_no_numbers(copy):
    bundle = open_bundle(copy)
    limits = {**bundle.facts["gate"]["thresholds"], "blurred": float("nan")}
    broken = dataclasses.replace(bundle, facts={**bundle.facts, "gate": {**bundle.facts["gate"], "thresholds": limits}})
    with pytest.raises(BundleError, match="gate cannot be understood"):
        Gate.from_bundle(broken)


def test_a_verdict_in_words():
    gate_result = GateResult(False, ("blurred", "too_dark"), {"sharpness": 1.23456789})
    assert "out of focus" in gate_result.texts[0]
    assert gate_result.to_json()["measures"] == {"sharpness": 1.2346}
