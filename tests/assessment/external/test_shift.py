import numpy as np
import pytest

from lesionlens.assessment.external.shift import colour_shift, distance_shift, prior_shift
from lesionlens.bundle.gate import DISTANCE, FeatureGaussian, Gate, GateResult
from lesionlens.bundle.reference import COLOURS, HASH_BYTES, Reference
from lesionlens.core.labels import HAM10000


def reference(**changes: np.ndarray) -> Reference:
    fields = {
        "frame_hashes": np.zeros(2, np.uint64),
        "perceptual": np.zeros((2, HASH_BYTES), np.uint8),
        "class_counts": np.array([5, 5, 10, 5, 15, 55, 5]),
        "colour_mean": np.full(6, 0.5, np.float32),
        "colour_sd": np.full(6, 0.1, np.float32),
        "distances": np.array([1.0, 2.0, 3.0, 4.0], np.float32),
    }
    return Reference(**{**fields, **changes})


def gate_of(threshold: float) -> Gate:
    gaussian = FeatureGaussian(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), np.ones(2, np.float32), 1.0)
    return Gate(gaussian, {"not_dermoscopic": threshold})


def results_of(distances: list[float], threshold: float) -> list[GateResult]:
    reasons = [("not_dermoscopic",) if value > threshold else () for value in distances]
    return [GateResult(not reason, reason, {DISTANCE: value}) for value, reason in zip(distances, reasons, strict=True)]


def test_distances_by_hand() -> None:
    shift = distance_shift(results_of([2.5, 3.5, 9.0, 9.5], 5.0), gate_of(5.0), reference())
    assert shift["share_beyond"] == 0.5
    assert shift["auc"] == pytest.approx((2 + 3 + 4 + 4) / 16)  # validation images that each one exceeds
    assert shift["refused"] == {"not_dermoscopic": 2}
    assert shift["external"]["quantiles"]["0.5"] == 6.25
    assert shift["validation"]["n_images"] == 4


def test_what_is_not_known_has_a_reason() -> None:
    assert distance_shift([], None, reference()) == {"reason": "the model has no gate"}
    for unknown in (None, reference(distances=np.zeros(0, np.float32))):
        shift = distance_shift(results_of([1.0, 9.0], 5.0), gate_of(5.0), unknown)
        assert shift["auc"] is None
        assert "not known" in shift["auc_reason"]
        assert shift["share_beyond"] == 0.5
    prior = prior_shift(np.full((2, 7), 1 / 7), np.array([4, 5]), HAM10000, None)
    assert prior["reason"]
    assert prior["estimated_from_observed"] is None
    assert prior["shares"]["mel"] == {"training": None, "observed": 0.5, "estimated": None}
    colour = colour_shift(np.full((3, 6), 0.5), None)
    assert colour["reason"]
    assert colour["statistics"]["red mean"]["difference"] is None


def test_shares_of_diagnoses() -> None:
    shares = np.array([5, 5, 10, 5, 15, 55, 5]) / 100
    probabilities = np.tile(shares, (10, 1))  # the images tell nothing: the estimate is that of training
    prior = prior_shift(probabilities, np.array([4] * 10), HAM10000, reference())
    assert prior["shares"]["nv"] == {"training": 0.55, "observed": 0.0, "estimated": pytest.approx(0.55)}
    assert prior["observed_from_training"] == pytest.approx(0.85)
    assert prior["estimated_from_observed"] == pytest.approx(0.85)


def test_colour_differences_are_in_deviations_of_the_training_images() -> None:
    colours = np.tile([0.6, 0.5, 0.45, 0.5, 0.5, 0.5], (4, 1))
    statistics = colour_shift(colours, reference())["statistics"]
    assert list(statistics) == list(COLOURS)
    assert statistics["red mean"]["difference"] == pytest.approx(1.0)
    assert statistics["blue mean"]["difference"] == pytest.approx(-0.5)
    assert statistics["green SD"]["difference"] == pytest.approx(0.0)


def test_training_images_of_one_colour_have_no_scale() -> None:
    statistics = colour_shift(np.full((2, 6), 0.5), reference(colour_sd=np.zeros(6, np.float32)))["statistics"]
    assert statistics["red mean"]["difference"] is None
