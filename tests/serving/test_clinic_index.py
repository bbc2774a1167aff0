"""The clinic's own confirmed lesions are read back as an index."""

import json

import pytest
from tests.serving.conftest import option
from typer.testing import CliRunner

from lesionlens.cli.main import app
from lesionlens.core.errors import ArtifactError, DataError
from lesionlens.data.image import open_image
from lesionlens.data.index import read_index
from lesionlens.serving.clinic_index import write_clinic_index
from lesionlens.serving.image_key import create_key, read_key


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def clinic(start_server, new_record, images, lesion_image, tmp_path_factory):
    """A server with an encrypted image folder, two confirmed lesions, one reviewed image, and one of which nothing is known."""
    key = tmp_path_factory.mktemp("key") / "image.key"
    create_key(key)
    options = ("--keep-images", "--image-folder", str(images), "--image-key", str(key))
    server = start_server(*options, record=new_record())

    def send(seed, **fields):
        files = {"file": ("lesion.jpg", lesion_image(seed, form=fields.pop("form", "JPEG")))}
        return server.client.post("/v1/predictions", files=files, data=fields).json()

    known = send(400, case="A", lesion="L1", site="back", form="PNG")
    send(400, case="A", lesion="L1", form="PNG")  # the same image
    send(401, case="A", lesion="L1")
    send(402, case="B", lesion="L1")
    reviewed = send(403)
    send(404)
    label = known["probabilities"][0]["code"]
    for case, lesion in (("A", "L1"), ("B", "L1")):
        server.client.post(f"/v1/lesions/{case}/{lesion}/histology", json={"dx": label}).raise_for_status()
    server.client.post(f"/v1/predictions/{reviewed['id']}/review", json={"conclusion": label}).raise_for_status()
    return server, key, label


def test_it_is_read_back(clinic, images, tmp_path):
    server, key, label = clinic
    written = write_clinic_index(server.record, tmp_path / "out", read_key(key), images=images)
    index = read_index(written.path)
    assert written.images == len(index) == 3
    assert written.left_out == {"the same image again": 1, "no histology": 2}
    assert {(record.lesion_id, record.patient_id, record.dx, record.dx_type) for record in index.records} == {
        ("A/L1", "A", label, "histo"),
        ("B/L1", "B", label, "histo"),
    }
    assert [record.site for record in index.records] == ["back", "", ""]
    for record in index.records:
        data = index.image_path(record).read_bytes()
        assert open_image(data, name=record.path).size == (96, 72)
        assert index.image_path(record).stat().st_mode & 0o777 == 0o600
    assert sorted(record.path.rpartition(".")[2] for record in index.records) == ["jpg", "jpg", "png"]


def test_reviews_on_request_by_the_command(clinic, images, tmp_path):
    server, key, _ = clinic
    options = ["--record", option(server.record), "--image-folder", str(images), "--image-key", str(key), "--reviews", "--json"]
    done = CliRunner().invoke(app, ["record", "index", "--out", str(tmp_path / "out"), *options])
    assert json.loads(done.stdout)["images"] == 4
    records = read_index(tmp_path / "out" / "index.csv").records
    assert sorted(record.dx_type for record in records) == ["histo", "histo", "histo", "review"]


def test_without_the_key_nothing_is_written_half(clinic, images, tmp_path):
    with pytest.raises(ArtifactError, match="encrypted"):
        write_clinic_index(clinic[0].record, tmp_path / "out", images=images)
    assert not (tmp_path / "out" / "index.csv").exists()


def test_a_log_without_kept_images_says_so(server, lesion_image, tmp_path):
    files, fields = {"file": ("lesion.jpg", lesion_image(410))}, {"case": "Z", "lesion": "L1"}
    body = server.client.post("/v1/predictions", files=files, data=fields).json()
    dx = body["probabilities"][0]["code"]
    server.client.post("/v1/lesions/Z/L1/histology", json={"dx": dx}).raise_for_status()
    with pytest.raises(DataError, match="image not kept"):
        write_clinic_index(server.record, tmp_path / "out")
