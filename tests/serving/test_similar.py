"""Confirmed lesions that look alike, and images to label next."""

import numpy as np
import pytest

from lesionlens.serving.entries import pack_features
from lesionlens.serving.history import History
from lesionlens.serving.identifiers import Identifiers
from lesionlens.serving.problems import Problem
from lesionlens.serving.similar import label_next, similar

SURE = {"mel": 0.9, "nv": 0.1}


@pytest.fixture(scope="module")
def server(either_server):
    """With either record."""
    return either_server


@pytest.fixture
def clinic(clinic):
    clinic.history = History(clinic.record)
    yield clinic
    clinic.history.close()


def test_the_nearest_confirmed_lesions_each_once(clinic):
    near, nearer, far = (
        clinic.add("A", name, vector=vector, **SURE)
        for name, vector in (("L1", [1, 0.5, 0]), ("L1", [1, 0.1, 0]), ("L2", [0, 1, 0]))
    )
    clinic.add("A", "L3", vector=[1, 0, 0], **SURE)  # no histology
    own = clinic.add("A", "L4", vector=[1, 0, 0], **SURE)
    clinic.add("A", "L4", vector=[1, 0, 0.01], **SURE)  # the same lesion
    for lesion, dx in (("L1", "mel"), ("L2", "nv"), ("L4", "nv")):
        clinic.histology("A", lesion, dx)
    found = similar(clinic.history, own, 5)
    assert [(each["prediction"]["id"], each["histology"]) for each in found["items"]] == [(nearer, "mel"), (far, "nv")]
    assert found["searched"] == 3
    assert found["items"][0]["similarity"] == pytest.approx(1 / 1.01**0.5, abs=1e-3)
    assert near not in {each["prediction"]["id"] for each in found["items"]}
    assert len(similar(clinic.history, own, 1)["items"]) == 1
    with pytest.raises(Problem):
        similar(clinic.history, own, 5, token_name="other")
    with pytest.raises(Problem):
        similar(clinic.history, Identifiers().new(), 5)


def test_a_prediction_of_version_1_has_no_features(clinic):
    old = clinic.add("B", "L1", **SURE)
    clinic.add("A", "L1", vector=[1, 0], **SURE)
    clinic.histology("A", "L1", "mel")
    assert similar(clinic.history, old, 5) == {"prediction": old, "searched": 1, "items": []}


def test_label_next_takes_the_least_decided_of_every_kind(clinic):
    sure = clinic.add(vector=[0, 0, 1], **SURE)
    unsure = clinic.add(vector=[1, 0, 0], mel=0.51, nv=0.49)
    clinic.add(vector=[1, 0.01, 0], mel=0.52, nv=0.48)  # alike
    other = clinic.add(vector=[0, 1, 0], mel=0.6, nv=0.4)
    clinic.review(clinic.add(vector=[1, 1, 1], mel=0.5, nv=0.5), "mel")
    clinic.add(vector=[1, 1, 0])  # not usable
    found = label_next(clinic.history, 10)
    assert [each["prediction"]["id"] for each in found["items"]] == [unsure, other, sure]
    assert found["items"][0]["margin"] == pytest.approx(0.02)
    assert found["searched"] == 4


def test_features_that_say_nothing_are_not_stored():
    assert pack_features(np.zeros(3, np.float32)) is None
    assert pack_features(np.array([np.inf, 1], np.float32)) is None
    assert np.linalg.norm(np.frombuffer(pack_features(np.array([3e38, 3e38], np.float32)), "<f2")) == pytest.approx(1, abs=1e-3)


def test_over_the_api(server, lesion_image):
    def send(seed, **fields):
        files = {"file": ("lesion.jpg", lesion_image(seed))}
        return server.client.post("/v1/predictions", files=files, data=fields).json()

    known, asked = send(501, case="S", lesion="L1"), send(502)
    dx = known["probabilities"][0]["code"]
    server.client.post("/v1/lesions/S/L1/histology", json={"dx": dx}).raise_for_status()
    found = server.client.get(f"/v1/predictions/{asked['id']}/similar").json()["items"]
    assert (found[0]["prediction"]["id"], found[0]["histology"]) == (known["id"], dx)
    assert 0 < found[0]["similarity"] <= 1
    to_label = server.client.get("/v1/label-next").json()  # those of other tests, too, of which some are alike
    margins = [each["margin"] for each in to_label["items"]]
    assert to_label["searched"] >= len(margins) > 0
    assert margins == sorted(margins)
    assert known["id"] not in {each["prediction"]["id"] for each in to_label["items"]}
