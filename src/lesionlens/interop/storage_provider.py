"""Receiving images over DICOM: a C-STORE provider that answers to known peers only.

pynetdicom reads whatever length a peer announces, and waits for it without end. So each connection is given a limit of time
and bytes here, and addresses that no peer may come from are closed before they are read from.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lesionlens.core.errors import RecipeError
from lesionlens.data.dicom.classes import ACCEPTED
from lesionlens.data.dicom.codecs import CODECS
from lesionlens.data.dicom.header import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from lesionlens.interop.settings import ExchangeSettings, Peer
from lesionlens.interop.source_image import require_libraries, silence_libraries

LOG = logging.getLogger("lesionlens.serving")
VERIFICATION = "1.2.840.10008.1.1"
SYNTAXES = (EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN, *CODECS)
ASSOCIATIONS = 10
SILENT_SECONDS = 60.0
HEAD_BYTES = 1 << 20  # beside the images of one message
REJECT = {"calling": (1, 1, 3), "called": (1, 1, 7)}  # result, source, diagnostic: PS3.8 9.3.4
SUCCESS, FAILURE = 0x0000, 0x0110


class Received(NamedTuple):
    """One image that arrived: the peer's AE title, its SOP Instance UID, and the file of PS3.10."""

    ae_title: str
    instance_uid: str
    data: bytes


@dataclass
class AssociationCounts:
    """Associations since the start."""

    accepted: int = 0
    rejected: int = 0
    broken: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str) -> None:
        """Count one."""
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)


class StorageProvider:
    """Listens for associations in threads of its own.

    Args:
        settings: whom to listen to, and where.
        most_bytes: of one image.
        receive: takes one image and returns its DIMSE status; called in the thread of its association.
        counts: of associations, to be counted here.

    Attributes:
        port: it listens at.

    Raises:
        RecipeError: if pynetdicom is missing, or the port cannot be used.
    """

    def __init__(
        self,
        settings: ExchangeSettings,
        most_bytes: int,
        receive: Callable[[Received], int],
        counts: AssociationCounts,
    ) -> None:
        require_libraries("pynetdicom")
        from pynetdicom import AE, evt

        silence_libraries()
        self._counts = counts
        self._settings = settings
        self._most_bytes = most_bytes
        self._receive = receive
        self._ae = AE(ae_title=settings.dicom_ae)
        self._ae.maximum_associations = ASSOCIATIONS
        self._ae.acse_timeout = self._ae.dimse_timeout = self._ae.network_timeout = SILENT_SECONDS
        self._ae.add_supported_context(VERIFICATION)
        for uid in ACCEPTED:
            self._ae.add_supported_context(uid, list(SYNTAXES))
        handlers = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ACCEPTED, lambda event: self._counts.add("accepted")),
            (evt.EVT_ABORTED, self._broken),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
        ]
        address = (settings.dicom_host, settings.dicom_port or 0)
        try:
            server = self._ae.start_server(address, block=False, evt_handlers=handlers)  # type: ignore[arg-type]
        except OSError as error:
            raise RecipeError(
                f"cannot listen for DICOM on {address[0]} port {address[1]} ({error.strerror}); choose another --dicom port"
            ) from error
        assert server is not None
        self._server = server
        self.port = int(server.server_address[1])

    def close(self) -> None:
        """Stop listening; associations that are open are aborted."""
        self._server.shutdown()
        self._ae.shutdown()

    def _opened(self, event: Any) -> None:
        """Close a connection from nowhere known; bound the others."""
        address = str(event.address[0])
        if self._settings.dicom_allow and not any(peer.covers(address) for peer in self._settings.dicom_allow):
            self._reject("address", "", address)
            event.assoc.dul.socket.close()
            return
        bound(event.assoc, self._most_bytes + HEAD_BYTES)

    def _requested(self, event: Any) -> None:
        request = event.assoc.requestor
        calling, called = str(request.primitive.calling_ae_title).strip(), str(request.primitive.called_ae_title).strip()
        problem = "called" if called != self._settings.dicom_ae else ""
        if not may_call(self._settings.dicom_allow, calling, str(request.address)):
            problem = "calling"
        if problem:
            self._reject(problem, calling, str(request.address))
            event.assoc.acse.send_reject(*REJECT[problem])
            event.assoc.kill()

    def _reject(self, why: str, calling: str, address: str) -> None:
        self._counts.add("rejected")
        LOG.warning(json.dumps({"dicom": "association rejected", "unknown": why, "calling_ae": calling, "address": address}))

    def _broken(self, event: Any) -> None:
        self._counts.add("broken")
        LOG.warning(json.dumps({"dicom": "association broken off", "address": str(event.assoc.requestor.address)}))

    def _store(self, event: Any) -> int:
        calling = str(event.assoc.requestor.ae_title).strip()
        try:
            return self._receive(Received(calling, str(event.request.AffectedSOPInstanceUID), event.encoded_dataset()))
        except Exception as error:  # pynetdicom would log it with what the peer sent
            LOG.error(json.dumps({"dicom": "C-STORE failed", "error": type(error).__name__}))
            return FAILURE


def may_call(peers: tuple[Peer, ...], ae_title: str, address: str) -> bool:
    """Whether a caller is one of the peers; without peers everybody is."""
    return not peers or any(peer.matches(ae_title, address) for peer in peers)


def bound(association: Any, most_bytes: int) -> None:
    """End a connection that is silent for `SILENT_SECONDS`, or sends more than `most_bytes` in one message."""
    from pynetdicom import evt

    connection = association.dul.socket
    connection.socket.settimeout(SILENT_SECONDS)
    read, count = connection.recv, [0]

    def bounded(n_bytes: int) -> bytearray:
        count[0] += n_bytes
        if count[0] > most_bytes:
            raise OSError("a message is too long")
        data: bytearray = read(n_bytes)
        return data

    def forget(event: Any) -> None:
        count[0] = 0

    connection.recv = bounded
    association.bind(evt.EVT_DIMSE_RECV, forget)
