"""Sending results to other systems: DICOM C-STORE, and HTTP with JSON. Nothing of a patient is in an error."""

from __future__ import annotations

import hashlib
import hmac
import io
import socket
import urllib.error
import urllib.request
from typing import Any, NoReturn

from lesionlens import __version__
from lesionlens.interop.settings import DicomTarget
from lesionlens.interop.source_image import silence_libraries

SECONDS = 30.0
OWN_TITLE = "LESIONLENS"
SIGNATURE = "X-LesionLens-Signature"


class DeliveryError(Exception):
    """A result was not taken; the message says why, and names no patient."""


def send_dicom(target: DicomTarget, content: bytes, own_title: str = OWN_TITLE) -> None:
    """Store one object at a DICOM target.

    Args:
        target: of the association.
        content: a file of PS3.10.
        own_title: calling AE title.

    Raises:
        DeliveryError: if there is no association, or the target does not take the object.
    """
    from pydicom import dcmread
    from pynetdicom import AE

    silence_libraries()
    document = dcmread(io.BytesIO(content))
    ae = AE(ae_title=own_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = SECONDS
    ae.add_requested_context(document.SOPClassUID, document.file_meta.TransferSyntaxUID)
    association = ae.associate(target.host, target.port, ae_title=target.ae_title)
    if not association.is_established:
        raise DeliveryError(_no_association(association, target))
    try:
        status = association.send_c_store(document)
    except ValueError as error:  # no accepted presentation context
        raise DeliveryError(f"{target.ae_title} does not take {document.SOPClassUID.name}") from error
    finally:
        association.release()
    code = status.get("Status")
    if code is None:
        raise DeliveryError(f"{target.ae_title} broke the association off, or did not respond in {SECONDS:g} s")
    if code != 0x0000 and code & 0xF000 != 0xB000:  # 0xB000: a warning, stored all the same
        raise DeliveryError(f"{target.ae_title} refused {document.SOPClassUID.name} with status 0x{code:04X}")


def send_json(url: str, content: bytes, headers: dict[str, str]) -> None:
    """Post JSON to a URL; a redirect is an error, because it might lead elsewhere.

    Raises:
        DeliveryError: if it is not taken.
    """
    request = urllib.request.Request(
        url, content, {"User-Agent": f"lesionlens/{__version__}", "Accept": "application/json", **headers}, method="POST"
    )
    try:
        with _OPENER.open(request, timeout=SECONDS) as response:
            response.read(1 << 20)
    except urllib.error.HTTPError as error:
        error.close()
        raise DeliveryError(f"the target responded with HTTP status {error.code}") from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DeliveryError(f"the target cannot be reached ({type(reason).__name__})") from error


def signature(content: bytes, key: str) -> str:
    """The value of the header that shows who sent a webhook: HMAC-SHA256 of the body, as GitHub writes it."""
    return "sha256=" + hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **options: Any) -> NoReturn:
        raise urllib.error.URLError("a redirect")


_OPENER = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))


def _no_association(association: Any, target: DicomTarget) -> str:
    if association.is_rejected:
        return f"{target.ae_title} rejected the association; is this server's AE title known there?"
    try:
        socket.getaddrinfo(target.host, target.port)
    except OSError:
        return f"{target.host} is no known host"
    return f"there is no association with {target.ae_title} at {target.host}:{target.port}; is it running?"
