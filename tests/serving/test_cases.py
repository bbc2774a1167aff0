"""Cases over the API: pseudonyms, the same image twice, lesions over time, histology, one prediction deleted."""

import csv
import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from tests.data.dicom_files import SECRET, plain

from lesionlens.serving.case_schemas import Case, CasePage, Deleted, Histology, Lesion
from lesionlens.serving.cases import visits_of
from lesionlens.serving.export import json_export
from lesionlens.serving.image_key import create_key
from lesionlens.serving.record import open_record
from lesionlens.serving.schemas import Prediction


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The folder of kept images."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def clinic(start_server, new_record, images):
    return start_server("--keep-images", "--image-folder", str(images), record=new_record())


def send(server, image, **fields):
    return server.client.post("/v1/predictions", files={"file": ("lesion.jpg", image)}, data=fields)


def made(server, image, **fields):
    response = send(server, image, **fields)
    assert response.status_code == 201, response.text
    return response.json()


def enter(server, case, lesion, dx, **fields):
    return server.client.post(f"/v1/lesions/{case}/{lesion}/histology", json={"dx": dx, **fields})


def test_a_prediction_says_what_its_image_shows(clinic, lesion_image):
    body = made(clinic, lesion_image(301), case="S-1", lesion="L1", site="torso", taken="2025-03-01")
    Prediction.model_validate(body)
    told = {name: body[name] for name in ("case", "lesion", "site", "taken", "same_image")}
    assert told == {"case": "S-1", "lesion": "L1", "site": "trunk", "taken": "2025-03-01", "same_image": None}
    assert clinic.client.get(f"/v1/predictions/{body['id']}").json() == body
    (row,) = csv.DictReader(io.StringIO(clinic.client.get("/v1/predictions", params={"format": "csv", "limit": 1}).text))
    assert (row["case"], row["lesion"], row["lesion_site"], row["taken"]) == ("S-1", "L1", "trunk", "2025-03-01")


def test_the_same_image_is_recognised(clinic, lesion_image):
    first = made(clinic, lesion_image(302))
    again = made(clinic, lesion_image(302), case="S-2")
    assert (first["same_image"], again["same_image"]) == (None, first["id"])
    assert made(clinic, lesion_image(302))["same_image"] == first["id"]


def test_a_lesion_over_time(clinic, lesion_image):
    days = ["2025-06-01", "2025-01-01", "2025-06-01"]
    bodies = [made(clinic, lesion_image(310 + at), case="T-1", lesion="L1", taken=day) for at, day in enumerate(days)]
    made(clinic, lesion_image(310), case="T-1", lesion="L1", taken="2025-06-01")  # the first image again
    lesion = clinic.client.get("/v1/lesions/T-1/L1").json()
    Lesion.model_validate(lesion)
    assert [visit["day"] for visit in lesion["visits"]] == ["2025-01-01", "2025-06-01"]
    assert lesion["images"][0]["id"] == bodies[1]["id"]
    spread, shares = lesion["visits"][1]["malignant_share"], [bodies[at]["malignant_share"] for at in (0, 2)]
    assert spread["count"] == 2  # the same image counts once
    assert spread["mean"] == pytest.approx(sum(shares) / 2)
    assert spread["sd"] == pytest.approx(abs(shares[0] - shares[1]) / 2**0.5)
    case = clinic.client.get("/v1/cases/T-1").json()
    Case.model_validate(case)
    assert [each["lesion"] for each in case["lesions"]] == ["L1"]


def test_cases_are_listed_by_their_newest_image(clinic, lesion_image):
    for case in ("P-1", "P-2", "P-1"):
        newest = made(clinic, lesion_image(320), case=case)
    page = clinic.client.get("/v1/cases", params={"limit": 1}).json()
    CasePage.model_validate(page)
    (first,) = page["items"]
    assert (first["case"], first["images"], first["unreviewed"], first["newest"]) == ("P-1", 2, 2, newest["id"])
    following = clinic.client.get("/v1/cases", params={"limit": 1, "cursor": page["next"]}).json()
    assert following["items"][0]["case"] == "P-2"


def test_a_lesion_is_at_one_site(clinic, lesion_image):
    made(clinic, lesion_image(330), case="C-1", lesion="L1", site="back")
    refused = send(clinic, lesion_image(331), case="C-1", lesion="L1", site="face")
    assert (refused.status_code, refused.json()["code"]) == (409, "lesion_contradicts")
    assert "is on the site back, and this says face" in refused.json()["detail"]
    assert len(clinic.client.get("/v1/lesions/C-1/L1").json()["images"]) == 1
    made(clinic, lesion_image(331), case="C-1", lesion="L1")
    made(clinic, lesion_image(331), case="C-1", lesion="L2", site="face")


def test_an_image_is_assigned_later_and_the_former_assignment_is_kept(clinic, lesion_image):
    body = made(clinic, lesion_image(335), case="WRONG", lesion="L1")
    address = f"/v1/predictions/{body['id']}/subject"
    moved = clinic.client.put(address, json={"case": "RIGHT", "lesion": "L2", "site": "hand"})
    assert moved.status_code == 200
    assert [moved.json()[name] for name in ("case", "lesion", "site", "taken")] == ["RIGHT", "L2", "hand", None]
    assert clinic.client.get("/v1/cases/WRONG").json()["code"] == "case_not_found"
    assert clinic.client.get("/v1/lesions/RIGHT/L2").json()["site"] == "hand"
    assert clinic.client.put(address, json={"lesion": "L2"}).json()["code"] == "invalid_parameter"
    assert clinic.client.put(address, json={"Case": "A"}).status_code == 422
    lines = [json.loads(line) for line in json_export(clinic.record)]
    (move,) = [line for line in lines if line["kind"] == "move" and line["prediction"] == body["id"]]
    assert (move["former"], move["who"]) == ("case=WRONG lesion=L1", "local")
    (line,) = [line for line in lines if line.get("id") == body["id"]]
    assert line["case"] == "RIGHT"


def test_histology_is_entered_and_one_that_contradicts_is_refused(clinic, lesion_image):
    made(clinic, lesion_image(340), case="H-1", lesion="L1")
    first = enter(clinic, "H-1", "L1", "nv", note="excised")
    assert first.status_code == 201
    Histology.model_validate(first.json())
    assert enter(clinic, "H-1", "L1", "nv").status_code == 201
    refused = enter(clinic, "H-1", "L1", "mel")
    assert (refused.status_code, refused.json()["code"]) == (409, "histology_contradicts")
    assert "is nv, entered by local" in refused.json()["detail"]
    assert enter(clinic, "H-1", "L1", "mel", correction=True).json()["code"] == "invalid_parameter"  # no reason
    assert enter(clinic, "H-1", "L1", "mel", correction=True, note="second opinion").status_code == 201
    entries = clinic.client.get("/v1/lesions/H-1/L1").json()["histology"]
    assert [(entry["dx"], entry["correction"]) for entry in entries] == [("nv", False), ("nv", False), ("mel", True)]


@pytest.mark.parametrize(
    ("lesion", "dx", "code"),
    [("L9", "nv", "lesion_not_found"), ("L1", "xyz", "invalid_parameter"), ("L1", "", "invalid_parameter")],
)
def test_histology_of_what_is_not_known(clinic, lesion_image, lesion, dx, code):
    made(clinic, lesion_image(341), case="H-2", lesion="L1")
    assert enter(clinic, "H-2", lesion, dx).json()["code"] == code


def test_a_deleted_prediction_is_gone_with_its_image_and_recorded(clinic, images, lesion_image):
    image = lesion_image(350)
    body = made(clinic, image, case="SECRETCASE", lesion="L1")
    clinic.client.post(f"/v1/predictions/{body['id']}/review", json={"conclusion": "nv", "note": "SECRETNOTE"})
    enter(clinic, "SECRETCASE", "L1", "nv")
    kept = images / body["input_sha256"]
    assert kept.is_file()
    response = clinic.client.delete(f"/v1/predictions/{body['id']}", params={"reason": "patient asked"})
    assert response.status_code == 200
    Deleted.model_validate(response.json())
    is_file = isinstance(clinic.record, Path)
    assert (response.json()["image"], response.json()["overwritten"]) == (True, is_file)
    assert not kept.exists()
    if is_file:
        files = b"".join(path.read_bytes() for path in clinic.record.parent.glob("record.sqlite*") if path.is_file())
        assert b"SECRETCASE" not in files
        assert b"SECRETNOTE" not in files
        assert body["id"].encode() in files  # that it was deleted stays
    for path in ("", "/image.png", "/maps/mel.png"):
        gone = clinic.client.get(f"/v1/predictions/{body['id']}{path}")
        assert (gone.status_code, gone.json()["code"]) == (410, "prediction_deleted")
    assert clinic.client.delete(f"/v1/predictions/{body['id']}").json()["code"] == "prediction_deleted"
    assert clinic.client.get("/v1/cases/SECRETCASE").status_code == 404
    with closing(open_record(clinic.record, read_only=True)) as connection:
        query = "SELECT who, reason FROM deletions WHERE prediction = ?"
        assert connection.execute(query, (body["id"],)).fetchall() == [("local", "patient asked")]
        assert not connection.execute("SELECT 1 FROM histology WHERE case_id = 'SECRETCASE'").fetchall()


def test_the_image_stays_while_another_prediction_is_of_it(clinic, lesion_image):
    first, second = made(clinic, lesion_image(351)), made(clinic, lesion_image(351))
    assert clinic.client.delete(f"/v1/predictions/{first['id']}").json()["image"] is False
    assert clinic.client.get(f"/v1/predictions/{second['id']}/image.png").status_code == 200
    assert clinic.client.delete(f"/v1/predictions/{second['id']}").json()["image"] is True


def test_what_was_never_there_is_not_found(clinic):
    for id_ in ("01M82VDBJZ10K4N0HN98RYPJT5", "nonsense"):
        assert clinic.client.delete(f"/v1/predictions/{id_}").json()["code"] == "prediction_not_found"
        assert clinic.client.put(f"/v1/predictions/{id_}/subject", json={}).json()["code"] == "prediction_not_found"


def test_a_key_belongs_to_one_lesion(clinic, lesion_image):
    def post(**fields):
        files, headers = {"file": ("lesion.jpg", lesion_image(360))}, {"Idempotency-Key": "lesion-key"}
        return clinic.client.post("/v1/predictions", files=files, data=fields, headers=headers)

    first, again, other = post(case="K", lesion="L1"), post(case="K", lesion="L1"), post(case="K", lesion="L2")
    assert (first.status_code, again.content) == (201, first.content)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_batch_is_of_one_case(clinic, lesion_image):
    files = [("file", (f"{at}.jpg", lesion_image(370 + at))) for at in range(2)]
    batch = clinic.client.post("/v1/batches", files=files, data={"case": "B-1", "lesion": "L1"}).json()
    while not batch["finished"]:
        batch = clinic.client.get(f"/v1/batches/{batch['id']}").json()
    assert len(clinic.client.get("/v1/lesions/B-1/L1").json()["images"]) == 2


def test_visits_of_images_that_are_not_usable():
    image = {"id": "a", "taken": None, "created": "2025-01-01T10:00:00Z", "input_sha256": "x", "image": {"frame": 0}}
    (visit,) = visits_of([{**image, "malignant_share": None}])
    assert visit == {"day": "2025-01-01", "images": ["a"], "malignant_share": None}


@pytest.mark.slow
def test_a_case_of_the_patients_id_in_a_dicom_object(start_server, lesion_image, tmp_path):
    key = tmp_path / "case.key"
    create_key(key)
    server = start_server("--case-key", str(key))
    first, second = made(server, plain()), made(server, plain(), case="OWN")
    assert (first["case"][:6], second["case"]) == ("dicom-", "OWN")
    other = made(server, plain(PatientID="somebody else"))
    assert other["case"] not in (first["case"], None)
    assert made(server, lesion_image(380))["case"] is None
    files = b"".join(path.read_bytes() for path in server.record.parent.glob("record.sqlite*"))
    assert SECRET.encode() not in files
    assert SECRET not in server.log.read_text()


def test_without_a_key_nothing_is_made_of_the_patient(clinic):
    assert made(clinic, plain())["case"] is None
