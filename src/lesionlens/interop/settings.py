"""Which other systems a server speaks with: whom it listens to, and whom it sends results."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from lesionlens.core.errors import RecipeError

AE_TITLE = re.compile(r"[!-?A-\[\]-~]([ -?A-\[\]-~]{0,14}[!-?A-\[\]-~])?")  # PS3.5 6.2 VR AE, without @
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peer(NamedTuple):
    """Who may open an association: its AE title, and the addresses it may come from."""

    ae_title: str
    network: Network

    def matches(self, ae_title: str, address: str) -> bool:
        """Whether this is the peer at an address."""
        return self.ae_title == ae_title and self.covers(address)

    def covers(self, address: str) -> bool:
        """Whether an address is one of this peer's."""
        ip = ipaddress.ip_address(address)
        mapped = getattr(ip, "ipv4_mapped", None)
        return (mapped or ip) in self.network


class DicomTarget(NamedTuple):
    """Where DICOM results are sent: AE title, host, port."""

    ae_title: str
    host: str
    port: int


@dataclass(frozen=True)
class ExchangeSettings:
    """Other systems of one server.

    Attributes:
        dicom_port: to receive images at; None: none are received. 0 picks a free one.
        dicom_host: address to listen on.
        dicom_ae: AE title of this server.
        dicom_allow: who may send; empty: anybody, on loopback only.
        dicom_target: where reports and heat maps of received images are sent; None: nowhere.
        fhir_target: base URL of a FHIR server that gets every prediction; empty: none.
        fhir_token: file of the bearer token for it.
        webhook: URL that is told about every prediction; empty: none.
        webhook_key: file of the key that signs what is told.

    Raises:
        RecipeError: if these do not fit together.
    """

    dicom_port: int | None = None
    dicom_host: str = "127.0.0.1"
    dicom_ae: str = "LESIONLENS"
    dicom_allow: tuple[Peer, ...] = ()
    dicom_target: DicomTarget | None = None
    fhir_target: str = ""
    fhir_token: Path | None = None
    webhook: str = ""
    webhook_key: Path | None = None

    def __post_init__(self) -> None:
        if self.dicom_port is None and self.dicom_target is not None:
            raise RecipeError("--dicom-target gets results of received images, and none are received; add --dicom PORT")
        if self.dicom_port is not None and not 0 <= self.dicom_port <= 65535:
            raise RecipeError(f"dicom port {self.dicom_port}; it must be from 0 to 65535")
        _check_ae_title(self.dicom_ae, "--dicom-ae")
        for url, option in ((self.fhir_target, "--fhir-target"), (self.webhook, "--webhook")):
            if url:
                check_url(url, option)
        for file, url, option in ((self.fhir_token, self.fhir_target, "fhir"), (self.webhook_key, self.webhook, "webhook")):
            if file is not None and not url:
                raise RecipeError(f"{file} is for a {option} target, and there is none; add it, or leave the file out")

    @property
    def sends(self) -> tuple[str, ...]:
        """Kinds of deliveries that have a target."""
        kinds = ("sr", "sc") if self.dicom_target is not None else ()
        return kinds + (("fhir",) if self.fhir_target else ()) + (("webhook",) if self.webhook else ())


def read_peer(text: str) -> Peer:
    """A peer from `AE@ADDRESS` or `AE@NETWORK/BITS`.

    Raises:
        RecipeError: if it is neither.
    """
    ae_title, _, network = text.rpartition("@")
    _check_ae_title(ae_title, f"--dicom-allow {text!r}")
    try:
        return Peer(ae_title, ipaddress.ip_network(network))
    except ValueError as error:
        raise RecipeError(
            f"--dicom-allow {text!r}: {error}; write AE@ADDRESS, for example SCOPE@192.0.2.7 or SCOPE@192.0.2.0/24"
        ) from error


def read_target(text: str) -> DicomTarget:
    """A target from `AE@HOST:PORT`.

    Raises:
        RecipeError: if it is not of that form.
    """
    ae_title, _, place = text.rpartition("@")
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise RecipeError(f"--dicom-target {text!r}; write AE@HOST:PORT, for example ARCHIVE@192.0.2.8:11112")
    _check_ae_title(ae_title, f"--dicom-target {text!r}")
    return DicomTarget(ae_title, host.strip("[]"), int(port))


def check_url(url: str, option: str) -> None:
    """See that a URL can be sent to, and holds no secret that a log would show.

    Raises:
        RecipeError: if not.
    """
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise RecipeError(f"{option}: the URL holds a name or a password, which would be logged; give it in a file")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise RecipeError(f"{option} {url!r}; it must be http:// or https:// with a host, without a query")


def read_secret(path: Path) -> str:
    """The one line of a file that only its owner may read.

    Raises:
        RecipeError: if it is missing, empty, or others may read it.
    """
    if not path.is_file():
        raise RecipeError(f"there is no file {path}; write the secret into it, and chmod 600 it")
    if path.stat().st_mode & 0o077:
        raise RecipeError(f"{path} can be read by others, and holds a secret; chmod 600 it")
    secret = path.read_text(encoding="utf-8").strip()
    if not secret or "\n" in secret:
        raise RecipeError(f"{path} must hold the secret in one line")
    return secret


def _check_ae_title(text: str, option: str) -> None:
    if not AE_TITLE.fullmatch(text):
        raise RecipeError(f"{option}: AE title {text!r}; it must be 1 to 16 printable ASCII characters without backslash and @")
