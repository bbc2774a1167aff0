"""The API with what is known of the patient: fields of the form, what is missing, and what is refused."""

import csv
import io

import pytest

from lesionlens.serving.problems import Problem
from lesionlens.serving.schemas import ModelInfo, Prediction
from lesionlens.serving.upload import parse_form


def send(server, image: bytes, **fields: str):
    return server.client.post("/v1/predictions", files={"file": ("lesion.jpg", image)}, data=fields)


@pytest.fixture(scope="module")
def metadata_server(start_server, metadata_bundle):
    return start_server(bundle=metadata_bundle)


def test_fields_of_the_form_are_used_and_the_missing_are_named(metadata_server, lesion_image):
    alone = metadata_server.predict(lesion_image()).json()
    told = send(metadata_server, lesion_image(), age="55", sex="Female")
    assert told.status_code == 201
    body = told.json()
    Prediction.model_validate(body)
    assert alone["metadata"] == {"used": {}, "missing": ["age", "sex"]}
    assert body["metadata"] == {"used": {"age": 55.0, "sex": "female"}, "missing": []}
    shares = [[row["probability"] for row in each["probabilities"]] for each in (alone, body)]
    assert max(abs(one - other) for one, other in zip(*shares, strict=True)) > 1e-4
    logged = metadata_server.client.get(f"/v1/predictions/{body['id']}").json()
    assert logged["metadata"] == body["metadata"]


def test_the_history_as_csv_has_them(metadata_server, lesion_image):
    send(metadata_server, lesion_image(), age="61")
    text = metadata_server.client.get("/v1/predictions", params={"format": "csv", "limit": 1}).text
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["age"], row["sex"], row["metadata_missing"]) == ("61.0", "", "sex")


def test_an_idempotency_key_belongs_to_one_patient(metadata_server, lesion_image):
    files, key = {"file": ("lesion.jpg", lesion_image(71))}, {"Idempotency-Key": "patient-1"}

    def post(age: str):
        return metadata_server.client.post("/v1/predictions", files=files, data={"age": age}, headers=key)

    first, again, other = post("55"), post("55"), post("61")
    assert (first.status_code, again.content) == (201, first.content)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"age": "old"}, "the form has age 'old'; it must be years from 0 to 120"),
        ({"sex": "x"}, "the form has sex 'x'; it must be female or male"),
        (
            {"dx_type": "histo"},
            "the form has 'dx_type', which no network may see: how a diagnosis was made is known only after it",
        ),
        ({"dataset": "vienna"}, "the form has 'dataset', which no network may see: the clinic"),
    ],
)
def test_what_is_refused(metadata_server, lesion_image, fields, detail):
    response = send(metadata_server, lesion_image(), **fields)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
    assert detail in response.json()["detail"]


def test_a_bundle_of_images_alone_refuses_a_patient(server, lesion_image):
    response = send(server, lesion_image(), age="50")
    assert response.status_code == 422
    assert "this bundle was trained on images only" in response.json()["detail"]
    assert send(server, lesion_image(), age="", note="x").status_code == 201
    assert server.client.get("/v1/model").json()["metadata"] is None


def test_the_model_says_what_it_takes(metadata_server):
    facts = metadata_server.client.get("/v1/model").json()
    ModelInfo.model_validate(facts)
    assert facts["metadata"] == {"fields": ["age", "sex"], "choices": {"sex": ["female", "male"]}}


def form(*fields: tuple[str, bytes]) -> bytearray:
    parts = [f'--X\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n" for name, value in fields]
    return bytearray(b"".join(parts) + b"--X--\r\n")


def test_a_form_by_hand():
    upload = parse_form(form(("age", b"5\x005"), ("file", b"abc"), ("sex", b"\xff" * 500), ("note", b"n")), b"X")
    assert bytes(upload.data) == b"abc"
    assert upload.metadata["age"] == "55"
    assert len(upload.metadata["sex"]) <= 200
    assert set(upload.metadata) == {"age", "sex"}
    with pytest.raises(Problem, match="the form has the field `age` twice"):
        parse_form(form(("age", b"1"), ("file", b"abc"), ("age", b"2")), b"X")
