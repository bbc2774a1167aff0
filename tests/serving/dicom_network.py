"""DICOM from Debian's dcmtk on loopback: a camera that sends, an archive that receives."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

SECONDS = 60


def program(name: str) -> str:
    """The path of one of dcmtk's programs, or a skip that names what is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name}: install the Debian package dcmtk")
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def send(
    port: int, files: Iterable[Path], calling: str = "SCOPE", called: str = "LESIONLENS"
) -> subprocess.CompletedProcess[str]:
    """Send files in one association, as a camera does."""
    command = [program("storescu"), "--verbose", "--required", "-aet", calling, "-aec", called, "127.0.0.1", str(port)]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=SECONDS, check=False)


def echo(port: int, calling: str = "SCOPE", called: str = "LESIONLENS") -> bool:
    """Whether a C-ECHO succeeds."""
    command = [program("echoscu"), "-aet", calling, "-aec", called, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).returncode == 0


class Archive:
    """An archive (dcmtk's storescp) that stores what it gets in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        folder.mkdir(exist_ok=True)
        command = [program("storescp"), "-aet", "ARCHIVE", "--output-directory", str(folder), str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_for(self, count: int, modality: str) -> list[Path]:
        """The objects of one modality, once there are so many."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            found = self.objects(modality)
            if len(found) >= count:
                return found
            time.sleep(0.2)
        raise AssertionError(f"{len(found)} of {count} objects of {modality} arrived in {SECONDS} s")

    def objects(self, modality: str) -> list[Path]:
        """Those that are there; storescp names files by modality (SR, and SC for secondary captures)."""
        return sorted(self.folder.glob(f"{modality}*"))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
