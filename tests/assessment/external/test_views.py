import numpy as np
import pytest

from lesionlens.assessment.external.binary import Cases
from lesionlens.assessment.external.views import by_lesion, closed_set, restricted, view_scores
from lesionlens.core.labels import HAM10000
from lesionlens.data.index import Record
from lesionlens.evaluation.predictions import Origin

MEL, NV, BKL = (HAM10000.index(code) for code in ("mel", "nv", "bkl"))
ORIGIN = Origin("made up", 0, "external", False, None, "external")


def cases_of(labels: list[int], lesions: list[str], seed: int = 0) -> Cases:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(7), len(labels)).astype(np.float32)
    truth = np.array(labels)
    malignant = np.array([False if k < 0 else HAM10000.malignant[k] for k in labels])
    return Cases(probabilities, truth, malignant, truth == MEL, np.array(lesions), HAM10000)


def records_of(count: int) -> tuple[Record, ...]:
    return tuple(Record(f"I{n}", f"I{n}.jpg", "nv", f"L{n}", age=40.0 if n else None) for n in range(count))


def test_the_closed_set_keeps_probabilities_and_leaves_out_what_the_model_lacks() -> None:
    cases = cases_of([MEL, -1, NV], ["a", "b", "c"])
    predictions = closed_set(cases, records_of(3), ORIGIN)
    assert predictions.image_ids.tolist() == ["I0", "I2"]
    assert predictions.labels.tolist() == [MEL, NV]
    assert predictions.probabilities == pytest.approx(cases.probabilities[[0, 2]], abs=1e-6)
    assert np.isnan(predictions.age[0])


def test_a_probability_of_zero_stays_finite() -> None:
    cases = cases_of([MEL], ["a"])
    cases.probabilities[0] = np.eye(7, dtype=np.float32)[MEL]
    assert np.isfinite(closed_set(cases, records_of(1), ORIGIN).logits).all()


def test_restricted_by_hand() -> None:
    """Dirichlet probabilities over seven classes, of which the data have two: p_mel / (p_mel + p_nv)."""
    cases = cases_of([MEL, NV, NV], ["a", "b", "c"])
    predictions = restricted(closed_set(cases, records_of(3), ORIGIN))
    assert predictions is not None
    assert predictions.codes == ("mel", "nv")
    assert predictions.labels.tolist() == [0, 1, 1]
    p = cases.probabilities
    assert predictions.probabilities[:, 0] == pytest.approx(p[:, MEL] / (p[:, MEL] + p[:, NV]), abs=1e-5)


def test_an_absent_class_is_an_error_in_the_full_view_only() -> None:
    cases = cases_of([MEL, NV], ["a", "b"])
    cases.probabilities[:] = 0.01
    cases.probabilities[0, [BKL, MEL]] = 0.6, 0.35
    cases.probabilities[1, NV] = 0.9
    scores = view_scores(closed_set(cases, records_of(2), ORIGIN), 50, 0.95)
    assert scores["full"]["metrics"]["accuracy"]["value"] == 0.5
    assert scores["restricted"]["metrics"]["accuracy"]["value"] == 1.0
    assert "divided by their sum" in scores["restricted"]["view"]


def test_reasons_for_no_restricted_view() -> None:
    one = view_scores(closed_set(cases_of([NV, NV], ["a", "b"]), records_of(2), ORIGIN), 50, 0.95)
    assert one["restricted"] == {"reason": "fewer than two classes of the model have images"}
    every = view_scores(closed_set(cases_of(list(range(7)), list("abcdefg")), records_of(7), ORIGIN), 50, 0.95)
    assert "nothing to restrict" in every["restricted"]["reason"]


def test_a_lesion_has_the_mean_of_its_photographs() -> None:
    cases = cases_of([NV, MEL, NV, MEL], ["b", "a", "b", "a"])
    lesions, rows, n_contradicting = by_lesion(cases, cases.clusters)
    assert rows.tolist() == [1, 0]
    assert n_contradicting == 0
    assert lesions.labels.tolist() == [MEL, NV]
    assert lesions.probabilities[0] == pytest.approx(cases.probabilities[[1, 3]].mean(axis=0))
    assert lesions.probabilities.sum(axis=1) == pytest.approx(1)


def test_a_lesion_with_two_diagnoses_is_left_out_and_counted() -> None:
    cases = cases_of([NV, MEL, NV], ["a", "a", "b"])
    lesions, rows, n_contradicting = by_lesion(cases, cases.clusters)
    assert (len(lesions), rows.tolist(), n_contradicting) == (1, [2], 1)
