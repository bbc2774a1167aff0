"""The corruption table against sums by hand, and against a reference as Hendrycks and Dietterich define it."""

import numpy as np
import pytest

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.robustness.corruption_table import CorruptionTable, against_reference, images_hash
from lesionlens.assessment.robustness.corruptions import STRENGTHS, select_corruptions
from lesionlens.assessment.robustness.responses import Responses
from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000

MEL, NV = HAM10000.index("mel"), HAM10000.index("nv")
TWO = select_corruptions(("jpeg", "blur"))


def logits(called: np.ndarray) -> np.ndarray:
    return np.eye(7, dtype=np.float32)[called]


def table(labels: np.ndarray, clean: np.ndarray, corrupted: np.ndarray, lesion_ids: np.ndarray | None = None) -> dict:
    """A table of classes called for the clean images (N,) and the corrupted ones (2, 5, N)."""
    ids = tuple(f"image {n}" for n in range(len(labels)))
    responses = Responses(ids, np.repeat(logits(clean)[None], 8, axis=0), logits(corrupted), TWO)
    lesions = np.array(ids) if lesion_ids is None else lesion_ids
    return CorruptionTable(responses, labels, lesions, HAM10000, Resampling(400)).to_json()


def test_by_hand() -> None:
    labels = np.array([MEL, MEL, NV, NV, NV])
    clean = np.array([MEL, NV, NV, NV, NV])  # accuracy 4/5, balanced (1/2 + 1) / 2
    corrupted = np.broadcast_to(clean, (2, 5, 5)).copy()
    corrupted[1, 4] = NV  # the strongest blur makes everything a nevus
    result = table(labels, clean, corrupted)
    assert result["clean"]["accuracy"]["value"] == pytest.approx(0.8)
    assert result["clean"]["balanced_accuracy"]["value"] == pytest.approx(0.75)
    assert result["clean"]["malignant_sensitivity"]["value"] == pytest.approx(0.5)
    jpeg, blur = result["rows"]
    assert [cell["strength"] for cell in blur["strengths"]] == list(STRENGTHS)
    worst = blur["strengths"][4]
    assert worst["accuracy"]["value"] == pytest.approx(0.6)
    assert worst["balanced_accuracy"]["value"] == pytest.approx(0.5)
    assert worst["malignant_sensitivity"]["value"] == 0
    assert worst["changed"]["value"] == pytest.approx(0.2)
    assert worst["accuracy_change"]["value"] == pytest.approx(-0.2)
    assert jpeg["error"]["value"] == pytest.approx(0.2)
    assert jpeg["error_above_clean"]["value"] == pytest.approx(0)
    assert blur["error"]["value"] == pytest.approx((4 * 0.2 + 0.4) / 5)
    assert blur["balanced_error"]["value"] == pytest.approx((4 * 0.25 + 0.5) / 5)
    assert result["mean"]["error"]["value"] == pytest.approx((0.2 + 0.24) / 2)
    assert result["mean"]["error_above_clean"]["value"] == pytest.approx(0.02)
    assert worst["balanced_accuracy"]["reason"] == "5 lesions; an interval needs 20"


def test_intervals_are_paired_and_by_lesion() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(7, size=200)
    clean = np.where(rng.random(200) < 0.8, labels, NV)
    corrupted = np.broadcast_to(clean, (2, 5, 200)).copy()
    corrupted[1, :, :10] = (labels[:10] + 1) % 7  # the same ten images at every strength
    result = table(labels, clean, corrupted)
    blur = result["rows"][1]
    change, accuracy = blur["strengths"][0]["accuracy_change"], blur["strengths"][0]["accuracy"]
    assert change["low"] < change["value"] < change["high"]
    assert change["high"] - change["low"] < 0.75 * (accuracy["high"] - accuracy["low"])  # most of the error is shared
    twice = table(np.tile(labels, 2), np.tile(clean, 2), np.tile(corrupted, 2), np.tile([f"lesion {n}" for n in range(200)], 2))
    again = twice["rows"][1]["error_above_clean"]
    assert (again["value"], again["low"]) == pytest.approx(  # copies of photographs add no information
        (blur["error_above_clean"]["value"], blur["error_above_clean"]["low"]), abs=0.004
    )


def test_balanced_accuracy_leaves_out_diagnoses_that_a_resample_lacks() -> None:
    labels = np.array([MEL] + [NV] * 39)
    result = table(labels, labels, np.broadcast_to(labels, (2, 5, 40)).copy())
    assert result["clean"]["balanced_accuracy"]["low"] == 1


class TestReference:
    labels = np.array([MEL, NV] * 10)
    clean = labels.copy()

    def corrupted(self, n_wrong: int) -> np.ndarray:
        called = np.broadcast_to(self.labels, (2, 5, 20)).copy()
        called[:, :, :n_wrong] = HAM10000.index("df")
        return called

    def stress(self, n_wrong: int, n_clean: int = 0) -> dict:
        clean = self.labels.copy()
        clean[:n_clean] = HAM10000.index("df")
        return {**table(self.labels, clean, self.corrupted(n_wrong)), "images_hash": images_hash(("a",), 0)}

    def test_errors_are_divided_by_those_of_the_reference(self) -> None:
        result = against_reference(self.stress(6, 2), images_hash(("a",), 0), {"corruptions": self.stress(8, 3)}, "other.json")
        assert result["mce"] == pytest.approx(6 / 8)
        assert result["relative_mce"] == pytest.approx((6 - 2) / (8 - 3))

    def test_a_reference_that_loses_nothing_has_no_ratio(self) -> None:
        result = against_reference(self.stress(6), images_hash(("a",), 0), {"corruptions": self.stress(0)}, "other.json")
        assert (result["mce"], result["relative_mce"], result["n_relative"]) == (None, None, 0)

    def test_other_images_or_seed(self) -> None:
        with pytest.raises(DataError, match="other.json has other images or another seed"):
            against_reference(self.stress(6), images_hash(("a",), 1), {"corruptions": self.stress(8)}, "other.json")

    def test_a_corruption_less(self) -> None:
        other = self.stress(8)
        other["rows"] = other["rows"][:1]
        with pytest.raises(DataError, match="other.json has no corruption 'blur'"):
            against_reference(self.stress(6), images_hash(("a",), 0), {"corruptions": other}, "other.json")

    @pytest.mark.parametrize("content", [{}, [], {"corruptions": {}}])
    def test_no_such_result(self, content: object) -> None:
        with pytest.raises(DataError, match="other.json holds no corruption table .* lesionlens stress CHECKPOINT"):
            against_reference(self.stress(6), "x", content, "other.json")
