import json
import shutil

import numpy as np
import pytest

from lesionlens.bundle.bundle import open_bundle, read_bundle, write_facts
from lesionlens.bundle.decision import Decision, watched_codes
from lesionlens.core.errors import BundleError
from lesionlens.core.labels import HAM10000, Diagnosis, LabelSet

TWO = LabelSet("two", (Diagnosis("benign", "Benign", False), Diagnosis("cancer", "Cancer", True)))


def probabilities(**shares: float) -> np.ndarray:
    return np.array([[shares.get(code, 0.0) for code in HAM10000.codes]], np.float32)


@pytest.mark.parametrize(
    ("shares", "unsure"),
    [
        ({"nv": 0.9, "mel": 0.1}, True),
        ({"nv": 0.91, "mel": 0.09}, False),
        ({"mel": 0.6, "nv": 0.4}, False),  # it says melanoma
        ({"bcc": 0.5, "mel": 0.3, "nv": 0.2}, True),  # malignant, but no melanoma
        ({"nv": 1.0}, False),
    ],
)
def test_when_a_person_must_look(shares, unsure):
    decision = Decision(("mel",), 0.95, 0.1)
    assert decision.unsure(probabilities(**shares), HAM10000).tolist() == [unsure]


def test_malignant_diagnoses_are_added_up():
    decision = Decision(("bcc", "akiec"), 0.95, 0.3)
    assert decision.unsure(probabilities(nv=0.6, bcc=0.2, akiec=0.2), HAM10000).tolist() == [True]
    assert decision.unsure(probabilities(akiec=0.6, nv=0.4), HAM10000).tolist() == [False]
    assert decision.name == "malignant diagnoses"


def test_without_a_threshold_nothing_is_unsure():
    decision = Decision(("mel",), 0.95, None, "too few")
    assert not decision.unsure(probabilities(nv=0.5, mel=0.5), HAM10000).any()


def test_a_threshold_of_zero_asks_for_every_image_that_is_not_called():
    decision = Decision(("mel",), 0.95, 0.0)
    assert decision.unsure(probabilities(nv=1.0), HAM10000).all()


def test_what_is_watched():
    assert watched_codes(HAM10000) == ("mel",)
    assert watched_codes(TWO) == ("cancer",)
    benign = LabelSet("benign", (Diagnosis("a", "A", False), Diagnosis("b", "B", False)))
    assert watched_codes(benign) == ()


def test_json_and_back():
    for decision in (Decision(("mel",), 0.9, 0.25, validation={"n_images": 3}), Decision((), 0.95, None, "none is malignant")):
        assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


@pytest.mark.parametrize(
    ("watched", "sensitivity", "threshold"),
    [
        (("mel",), 0, 0.1),
        (("mel",), 1, 0.1),
        (("mel",), 0.95, -0.1),
        (("mel",), 0.95, 1.1),
        ((), 0.95, 0.1),
        (("mel",), 0.95, None),
    ],
)
def test_nonsense_is_refused(watched, sensitivity, threshold):
    with pytest.raises(BundleError):
        Decision(watched, sensitivity, threshold)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_the_ends_of_the_range_are_thresholds(threshold):
    assert Decision(("mel",), 0.95, threshold).threshold == threshold


@pytest.mark.parametrize("threshold", [float("inf"), float("-inf"), float("nan")])
def test_a_threshold_that_is_no_number_is_no_json_of_a_decision(threshold):
    with pytest.raises(ValueError, match=f"^threshold {threshold}$"):
        Decision.from_json({**SOUND, "threshold": threshold})


@pytest.fixture
def copy(small_bundle, tmp_path):
    return shutil.copytree(small_bundle, tmp_path / "bundle")


def with_decision(folder, **changed):
    facts = {key: value for key, value in read_bundle(folder).facts.items() if key not in ("format", "id", "files")}
    write_facts(folder, {**facts, **changed})
    return open_bundle(folder)


SOUND = Decision(("mel",), 0.95, 0.1).to_json()


def test_of_a_bundle(copy):
    assert Decision.from_bundle(with_decision(copy, decision=SOUND)) == Decision(("mel",), 0.95, 0.1)
    assert Decision.from_bundle(with_decision(copy, decision=None)) is None


@pytest.mark.parametrize(
    "facts",
    [
        {},
        "mel",
        [],
        {**SOUND, "threshold": "high"},
        {**SOUND, "watched": None},
        {**SOUND, "strange": 1},
        {**SOUND, "sensitivity": "x"},
    ],
)
def test_facts_that_are_not_understood(copy, facts):
    bundle = with_decision(copy, decision=facts)
    with pytest.raises(BundleError, match="third answer cannot be understood"):
        Decision.from_bundle(bundle)


def test_a_diagnosis_that_the_bundle_does_not_know(copy):
    bundle = with_decision(copy, decision={**SOUND, "watched": ["scc"]})
    with pytest.raises(BundleError, match="watches scc, which it does not know"):
        Decision.from_bundle(bundle)


def test_the_promise_in_words():
    assert Decision(("mel",), 0.95, 0.1).promise == "at least 95 % on average over validation splits"
    strict = Decision(("mel",), 0.9, 0.1, guarantee="pac", delta=0.05)
    assert strict.promise == "at least 90 % in all but 5 % of validation splits"
    assert Decision.from_json(json.loads(json.dumps(strict.to_json()))) == strict


@pytest.mark.parametrize(("guarantee", "delta"), [("always", None), ("pac", None), ("expectation", 0.05)])
def test_a_guarantee_that_cannot_be_is_refused(guarantee, delta):
    with pytest.raises(BundleError, match="it must be expectation, or pac with a delta"):
        Decision(("mel",), 0.95, 0.1, guarantee=guarantee, delta=delta)


def test_decisions_of_older_bundles_promise_an_average():
    older = {name: value for name, value in SOUND.items() if name not in ("guarantee", "delta")}
    assert Decision.from_json(older) == Decision(("mel",), 0.95, 0.1)
