"""Predictions as DICOM objects and FHIR resources over HTTP."""

import io
import json

import pytest

pytest.importorskip("highdicom", reason="the extra `interop` is not installed")
pytest.importorskip("fhir.resources", reason="the extra `interop` is not installed")

import numpy as np
import pydicom
from PIL import Image
from tests.interop.clinic import check_object, dicom_image

from lesionlens.serving.access import create_token
from lesionlens.serving.identifiers import Identifiers

pytestmark = pytest.mark.slow  # DICOM libraries and many servers; tests/interop is the quick one

NO_ONE = Identifiers().new()


@pytest.fixture(scope="module")
def server(either_server):
    """With either record."""
    return either_server


@pytest.fixture(scope="module")
def upload(lesion_image):
    return dicom_image(np.asarray(Image.open(io.BytesIO(lesion_image(1, size=(128, 96))))))


@pytest.fixture(scope="module")
def made(server, upload):
    done = server.predict(upload, name="a.dcm")
    assert done.status_code == 201
    return done.json()


def refusal(response):
    return response.status_code, response.json()["code"]


def test_a_report_of_a_dicom_upload(server, made, upload, tmp_path):
    response = server.client.get(f"/v1/predictions/{made['id']}/sr.dcm")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/dicom")
    report = pydicom.dcmread(io.BytesIO(response.content))
    assert report.StudyInstanceUID == pydicom.dcmread(io.BytesIO(upload)).StudyInstanceUID
    assert made["bundle"]["id"] == report.DeviceSerialNumber
    check_object(response.content, tmp_path)


def test_a_heat_map_of_a_dicom_upload(server, made):
    response = server.client.get(f"/v1/predictions/{made['id']}/sc.dcm")
    if made["outcome"] == "not_usable":
        assert refusal(response) == (404, "map_not_found")
    else:
        capture = pydicom.dcmread(io.BytesIO(response.content))
        assert capture.pixel_array.shape[2] == 3
        assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID


def test_other_uploads_have_no_dicom_result(server, lesion_image):
    id_ = server.predict(lesion_image(2)).json()["id"]
    for name in ("sr.dcm", "fhir?study=true"):
        response = server.client.get(f"/v1/predictions/{id_}/{name}")
        assert refusal(response) == (404, "dicom_result_not_found")
        assert "is no DICOM file" in response.json()["detail"]


def test_fhir_with_and_without_the_study(server, made):
    plain = server.client.get(f"/v1/predictions/{made['id']}/fhir")
    named = server.client.get(f"/v1/predictions/{made['id']}/fhir?study=true")
    assert plain.headers["content-type"] == "application/fhir+json"
    kinds = [[entry["resource"]["resourceType"] for entry in response.json()["entry"]] for response in (plain, named)]
    assert "ImagingStudy" not in kinds[0]
    assert "ImagingStudy" in kinds[1]
    assert "P-17" not in plain.text
    assert "P-17" in named.text
    report = plain.json()["entry"][-1]["resource"]
    assert (report["resourceType"], report["identifier"][0]["value"]) == ("DiagnosticReport", made["id"])


@pytest.mark.parametrize("name", ["sr.dcm", "sc.dcm", "fhir"])
def test_no_such_prediction(server, name):
    assert refusal(server.client.get(f"/v1/predictions/{NO_ONE}/{name}")) == (404, "prediction_not_found")
    assert refusal(server.client.get(f"/v1/predictions/x/{name}")) == (404, "prediction_not_found")


def test_tokens_see_their_own_results_only(start_server, upload, tmp_path):
    tokens = tmp_path / "tokens.json"
    one, other, review = (
        create_token(tokens, name, role) for name, role in (("a", "predict"), ("b", "predict"), ("r", "review"))
    )
    server = start_server("--tokens", str(tokens))

    def get(path, token):
        return server.client.get(path, headers={"Authorization": f"Bearer {token}"})

    id_ = server.predict(upload, headers={"Authorization": f"Bearer {one}"}).json()["id"]
    for name in ("sr.dcm", "fhir?study=true"):
        path = f"/v1/predictions/{id_}/{name}"
        assert [get(path, token).status_code for token in (one, other, review)] == [200, 404, 200]
    for path in ("/v1/deliveries", "/v1/shadow"):
        assert refusal(get(path, one)) == (403, "role_missing")
    assert get("/v1/deliveries", review).json() == {"items": [], "next": None}
    server.stop()


def test_an_image_that_is_gone(start_server, upload):
    server = start_server("--image-minutes", "0")
    id_ = server.predict(upload).json()["id"]
    assert refusal(server.client.get(f"/v1/predictions/{id_}/sr.dcm")) == (410, "image_gone")
    assert json.loads(server.client.get(f"/v1/predictions/{id_}/fhir").text)["type"] == "collection"
    server.stop()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--dicom-target", "A@127.0.0.1:104"), "add --dicom PORT"),
        (("--dicom", "0", "--dicom-host", "0.0.0.0"), "--dicom-allow"),
        (("--dicom", "0", "--dicom-allow", "SCOPE"), "AE title"),
        (("--fhir-target", "ftp://host"), "http://"),
        (("--fhir-target", "http://127.0.0.1", "--fhir-token", "/nowhere/token"), "there is no file"),
    ],
)
def test_options_that_do_not_fit_are_refused(start_server, options, words):
    with pytest.raises(AssertionError, match=words):
        start_server(*options)
