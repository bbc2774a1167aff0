"""Sending: what a target that refuses, redirects or is not there makes of it."""

import json

import pytest
from tests.interop.clinic import result, source_image
from tests.interop.web_target import WebTarget

from lesionlens.interop.senders import DeliveryError, send_dicom, send_json, signature
from lesionlens.interop.settings import DicomTarget


def test_json_arrives_as_it_is():
    with WebTarget() as target:
        send_json(f"{target.url}/x", b'{"a": 1}', {"Content-Type": "application/json"})
        (posted,) = target.requests
    assert (posted.path, json.loads(posted.body)) == ("/x", {"a": 1})


def test_a_refusal_names_the_status_only():
    with WebTarget() as target:
        target.down = True
        with pytest.raises(DeliveryError, match="responded with HTTP status 503"):
            send_json(target.url, b"{}", {})


def test_a_redirect_is_not_followed():
    with WebTarget() as other, WebTarget() as target:
        target.redirect = other.url
        with pytest.raises(DeliveryError):
            send_json(target.url, b"{}", {"Authorization": "Bearer secret"})
        assert other.requests == []


def test_nobody_there():
    with WebTarget() as target:
        url = target.url
    with pytest.raises(DeliveryError, match="cannot be reached"):
        send_json(url, b"{}", {})


def test_the_signature_is_hmac_of_the_body():
    # RFC 4231, test case 2
    expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature(b"what do ya want for nothing?", "Jefe") == expected


def test_no_archive():
    pytest.importorskip("pynetdicom", reason="the extra `interop` is not installed")
    from lesionlens.interop.structured_report import structured_report

    content = structured_report(result(), source_image())
    with pytest.raises(DeliveryError, match="no association with ARCHIVE at 127.0.0.1:1; is it running"):
        send_dicom(DicomTarget("ARCHIVE", "127.0.0.1", 1), content)
