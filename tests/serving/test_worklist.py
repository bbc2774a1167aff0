"""What waits for a person, and what a person must not miss."""

import pytest

from lesionlens.serving.history import History
from lesionlens.serving.worklist import Worklist, disagreement


@pytest.fixture
def read(clinic):
    history = History(clinic.record)
    yield lambda limit=10, token_name=None: Worklist(history).read(limit, token_name)
    history.close()


def test_unreviewed_come_by_malignant_share(clinic, read):
    low, unusable, high = clinic.add(nv=0.9, mel=0.1), clinic.add(), clinic.add(nv=0.2, mel=0.8)
    done = clinic.add(mel=0.99, nv=0.01)
    clinic.review(done, "mel")
    found = read()
    assert [each["id"] for each in found["waiting"]] == [high, low, unusable]
    assert (found["predictions"], found["unreviewed"], found["disagreements"]) == (4, 3, 0)
    assert [each["id"] for each in read(1)["waiting"]] == [high]
    assert read(token_name="other") == {
        **{"predictions": 0, "unreviewed": 0, "disagreements": 0, "is_complete": True},
        **{"waiting": [], "disagreeing": []},
    }


def test_a_sure_nevus_that_is_a_carcinoma_stands_first(clinic, read):
    ids = {
        "false alarm": clinic.add(mel=0.95, nv=0.05),
        "unsure nevus": clinic.add(nv=0.6, bcc=0.4),
        "sure nevus": clinic.add(nv=0.999, bcc=0.001),
        "other": clinic.add(mel=0.9, bcc=0.1),
        "unusable": clinic.add(nv=0.9, mel=0.1),
        "not sure": clinic.add(nv=0.6, mel=0.4, outcome="not_sure"),
    }
    for name, says in zip(ids, ("nv", "bcc", "bcc", "bcc", "unusable", "mel"), strict=True):
        clinic.review(ids[name], says)
    found = read()["disagreeing"]
    assert [each["prediction"]["id"] for each in found] == [
        ids[name] for name in ("sure nevus", "unsure nevus", "false alarm", "other", "unusable")
    ]
    first = {name: found[0][name] for name in ("kind", "by", "says", "certainty")}
    assert first == {"kind": "missed_malignant", "by": "review", "says": "bcc", "certainty": 0.999}


def test_the_newest_review_counts(clinic, read):
    id_ = clinic.add(nv=0.9, mel=0.1)
    clinic.review(id_, "mel")
    assert read()["disagreements"] == 1
    clinic.review(id_, "nv")
    assert read()["disagreements"] == 0


def test_histology_counts_more_than_a_review(clinic, read):
    id_ = clinic.add("A", "L1", nv=0.9, mel=0.1)
    clinic.review(id_, "nv")
    clinic.histology("A", "L1", "mel")
    (found,) = read()["disagreeing"]
    assert (found["by"], found["says"], found["kind"]) == ("histology", "mel", "missed_malignant")
    clinic.add("A", "L2", nv=0.9, mel=0.1)  # another lesion of the case
    assert read()["disagreements"] == 1


def test_what_the_model_does_not_know_is_another_diagnosis():
    rows = [{"code": "nv", "probability": 0.7, "malignant": False}, {"code": "mel", "probability": 0.3, "malignant": True}]
    prediction = {"diagnosis": "nv", "probabilities": rows}
    assert disagreement(prediction, "other", None)["kind"] == "other_diagnosis"
    assert disagreement(prediction, None, None) is None
    assert disagreement(prediction, "mel", "nv") is None  # histology agrees
