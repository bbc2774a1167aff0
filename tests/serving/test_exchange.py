"""A server among other systems: images come from dcmtk's storescu, reports go to its storescp, predictions to a FHIR server."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra `interop` is not installed")

import pydicom
from tests.data.dicom_files import picture
from tests.interop.clinic import check_object, dicom_image
from tests.interop.web_target import WebTarget
from tests.serving.conftest import RunningServer
from tests.serving.dicom_network import Archive, echo, free_port, send

pytestmark = pytest.mark.slow
N_OBJECTS = 20


def dicom_port(server: RunningServer) -> int:
    match = re.search(r"DICOM: \S+ listens on 127\.0\.0\.1:(\d+)", server.log.read_text())
    assert match is not None
    return int(match[1])


def metric(server: RunningServer, name: str) -> float:
    line = next(line for line in server.client.get("/metrics").text.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def lesions(tmp_path_factory, lesion_image) -> list[Path]:
    """Twenty dermoscopic images."""
    import io

    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("lesions")
    for number in range(N_OBJECTS):
        pixels = np.asarray(Image.open(io.BytesIO(lesion_image(number, size=(128, 96)))))
        (folder / f"{number:02}.dcm").write_bytes(dicom_image(pixels))
    return sorted(folder.iterdir())


@pytest.fixture
def serve(start_server) -> Iterator[Callable[..., RunningServer]]:
    """Start servers that end with their test."""
    running: list[RunningServer] = []

    def start(*options: str, **places: Path) -> RunningServer:
        running.append(start_server(*options, **places))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def archive(tmp_path) -> Iterator[Archive]:
    running = Archive(tmp_path / "archive", free_port())
    yield running
    running.stop()


def test_twenty_objects_give_twenty_reports(serve, archive, lesions, tmp_path):
    server = serve("--dicom", "0", "--dicom-target", f"ARCHIVE@127.0.0.1:{archive.port}")
    sent = send(dicom_port(server), lesions)
    assert sent.returncode == 0, sent.stderr
    reports = [pydicom.dcmread(path) for path in archive.wait_for(N_OBJECTS, "SR")]
    wait_until(lambda: metric(server, "lesionlens_deliveries_waiting") == 0)
    images = {pydicom.dcmread(path).SOPInstanceUID: path for path in lesions}
    referred = [
        report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
        for report in reports
    ]
    assert {each.ReferencedSOPInstanceUID for each in referred} == set(images)
    assert {str(report.PatientName) for report in reports} == {"Müller^Anna"}
    predictions = server.client.get("/v1/predictions?limit=500").json()["items"]
    assert len(predictions) == N_OBJECTS
    assert len(archive.objects("SC")) == sum(p["outcome"] != "not_usable" for p in predictions)
    for path in (*archive.objects("SR"), *archive.objects("SC")):
        check_object(path.read_bytes(), tmp_path)


def test_what_is_sent_again_is_predicted_once(serve, archive, lesions):
    server = serve("--dicom", "0", "--dicom-target", f"ARCHIVE@127.0.0.1:{archive.port}")
    for _ in range(2):
        assert send(dicom_port(server), lesions[:2]).returncode == 0
    archive.wait_for(2, "SR")
    wait_until(lambda: metric(server, "lesionlens_deliveries_waiting") == 0)
    assert len(server.client.get("/v1/predictions").json()["items"]) == 2
    assert len(archive.objects("SR")) == 2


def test_results_wait_for_an_archive_that_is_down_even_through_a_restart(serve, lesions, tmp_path):
    port = free_port()
    options = ("--dicom", "0", "--dicom-target", f"ARCHIVE@127.0.0.1:{port}")
    server = serve(*options)
    assert send(dicom_port(server), lesions[:3]).returncode == 0
    wait_until(lambda: metric(server, "lesionlens_delivery_failures_total") >= 3)
    rows = server.client.get("/v1/deliveries?waiting=true").json()["items"]
    assert {row["kind"] for row in rows} >= {"sr"}
    assert "is it running?" in {row["kind"]: row["error"] for row in rows if row["error"]}["sr"]
    server.stop()
    archive = Archive(tmp_path / "archive", port)
    try:
        again = serve(*options, record=server.record)
        archive.wait_for(3, "SR")
        wait_until(lambda: metric(again, "lesionlens_deliveries_waiting") == 0)
        assert all(row["delivered"] for row in again.client.get("/v1/deliveries").json()["items"])
    finally:
        archive.stop()


def test_strangers_are_rejected_and_logged(serve, lesions):
    server = serve("--dicom", "0", "--dicom-allow", "SCOPE@127.0.0.1", "--dicom-allow", "FAR@192.0.2.0/24")
    port = dicom_port(server)
    assert echo(port)
    assert not echo(port, calling="NOBODY")
    assert not echo(port, called="OTHER")
    assert not echo(port, calling="FAR")  # known, but not from here
    assert "Calling AE Title Not Recognized" in send(port, lesions[:1], calling="NOBODY").stderr
    assert send(port, lesions[:1]).returncode == 0
    assert metric(server, "lesionlens_dicom_associations_rejected_total") == 4
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if '"association rejected"' in line]
    assert [(line["unknown"], line["calling_ae"]) for line in lines] == [
        *(("calling", "NOBODY"), ("called", "SCOPE"), ("calling", "FAR"), ("calling", "NOBODY")),
    ]


def test_addresses_from_nowhere_known_are_closed(serve):
    server = serve("--dicom", "0", "--dicom-allow", "SCOPE@192.0.2.7")
    assert not echo(dicom_port(server))
    assert metric(server, "lesionlens_dicom_associations_rejected_total") == 1


def test_wrong_classes_get_no_presentation_context(serve, tmp_path, lesions):
    server = serve("--dicom", "0")
    path = tmp_path / "ct.dcm"
    path.write_bytes(dicom_image(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"))
    assert "No Acceptable Presentation Contexts" in send(dicom_port(server), [path]).stderr
    assert send(dicom_port(server), lesions[:1]).returncode == 0


def test_unreadable_images_are_refused_with_a_status(serve, tmp_path):
    server = serve("--dicom", "0")
    path = tmp_path / "small.dcm"
    path.write_bytes(dicom_image(picture(16, 16)))
    sent = send(dicom_port(server), [path])
    assert "CannotUnderstand" in sent.stderr
    assert server.client.get("/v1/predictions").json()["items"] == []


def test_broken_associations_do_no_harm(serve, lesions):
    server = serve("--dicom", "0")
    port = dicom_port(server)
    for piece in (b"", b"\x01\0\0\0", b"\x01\0\xff\xff\xff\xff" + bytes(1000), b"GET / HTTP/1.1\r\n\r\n", bytes(200)):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
            stranger.sendall(piece)
    for cut in (1000, 20_000):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as camera:
            camera.sendall(association_request() + p_data(lesions[0].read_bytes()[:cut]))
    assert echo(port)
    assert send(port, lesions[:1]).returncode == 0
    assert server.client.get("/readyz").status_code == 200


def test_a_message_without_end_is_cut(serve):
    server = serve("--dicom", "0", "--max-upload-mb", "1")
    with socket.create_connection(("127.0.0.1", dicom_port(server)), timeout=30) as camera:
        camera.sendall(association_request())
        assert camera.recv(6)[:1] == b"\x02"  # accepted
        with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe
            for _ in range(500):
                camera.sendall(p_data(bytes(16_000)))
    assert echo(dicom_port(server))


def test_fhir_and_webhook_wait_for_their_targets(serve, lesion_image, tmp_path):
    key = tmp_path / "key"
    key.write_text("s3cret\n")
    key.chmod(0o600)
    with WebTarget() as target:
        target.down = True
        server = serve(
            *("--fhir-target", f"{target.url}/fhir", "--fhir-token", str(key)),
            *("--webhook", f"{target.url}/hook", "--webhook-key", str(key)),
        )
        made = server.predict(lesion_image(1), name="Anna Müller.jpg").json()

        def errors() -> dict[str, str]:
            return {row["kind"]: row["error"] for row in server.client.get("/v1/deliveries").json()["items"]}

        wait_until(lambda: errors() == dict.fromkeys(("fhir", "webhook"), "the target responded with HTTP status 503"))
        assert metric(server, "lesionlens_deliveries_waiting") == 2
        target.down = False
        wait_until(lambda: metric(server, "lesionlens_deliveries_waiting") == 0)
        bundle, told = target.got("/fhir"), target.got("/hook")
    assert bundle.json["type"] == "transaction"
    assert bundle.headers["authorization"] == "Bearer s3cret"
    assert made["id"] in bundle.json["entry"][-1]["request"]["ifNoneExist"]
    assert told.json["prediction"]["id"] == made["id"]
    assert told.headers["x-lesionlens-signature"] == signature(told.body, "s3cret")
    assert b"Anna" not in told.body + bundle.body
    assert "s3cret" not in server.log.read_text()


def test_fhir_of_a_received_image_names_the_study(serve, lesions):
    with WebTarget() as target:
        server = serve("--dicom", "0", "--fhir-target", target.url)
        assert send(dicom_port(server), lesions[:1]).returncode == 0
        wait_until(lambda: bool(target.requests))
        entries = target.requests[0].json["entry"]
    study = next(entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "ImagingStudy")
    assert study["identifier"][0]["value"] == f"urn:oid:{pydicom.dcmread(lesions[0]).StudyInstanceUID}"
    assert study["subject"]["identifier"]["value"] == "P-17"
    assert "Müller" not in json.dumps(entries, ensure_ascii=False)


def signature(body: bytes, key: str) -> str:
    import hashlib
    import hmac

    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def association_request() -> bytes:
    """A valid A-ASSOCIATE-RQ, as pynetdicom writes it."""
    from pynetdicom import AE
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification

    ae = AE()
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.77.1.7")
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = "SCOPE", "LESIONLENS"
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16382, "1.2.3"
    request.user_information = [length, implementation]
    for number, context in enumerate(ae.requested_contexts):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = ae.requested_contexts
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    encoded: bytes = pdu.encode()
    return encoded


def p_data(data: bytes) -> bytes:
    """A P-DATA-TF with one fragment of a command that goes on."""
    value = (len(data) + 2).to_bytes(4, "big") + b"\x01\x01" + data
    return b"\x04\0" + len(value).to_bytes(4, "big") + value
