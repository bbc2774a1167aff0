"""Artifacts on disk: written atomically and stamped with the hashes of their inputs."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lesionlens.core.errors import ArtifactError, StorageError

BLOCK_BYTES = 1 << 20


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk under `path` into a clear error.

    Raises:
        StorageError: in place of the OSError for no space, quota, no permission or a read-only disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"no space left while writing {path}; earlier artifacts are kept. Free some space and run the same command again"
            ) from error
        if error.errno == errno.EFBIG:
            raise StorageError(f"{path} exceeds the limit for file sizes; raise it (ulimit -f)") from error
        if error.errno == errno.EISDIR:
            raise StorageError(f"{path} is a folder; give the file to write with --out") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(f"may not write {path} ({error.strerror}); choose another place with --out") from error
        raise


@contextmanager
def atomic_file(path: Path, mode: int | None = None, flush: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and move it into place only if the block succeeds.

    The folder is created if needed. The file is flushed to disk before it is renamed, so a crash
    leaves the old file or the new one, never a partial one.

    Args:
        path: the file to write.
        mode: its permissions; None follows the umask.
        flush: False for what is checked when it is read and can be made again, such as a cache: a power cut may
            damage it.

    Raises:
        StorageError: if the disk is full or not writable.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(path)
        handle, name = tempfile.mkstemp(prefix=_temporary_prefix(path), suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            if flush:
                with temporary.open("rb") as written:
                    os.fsync(written.fileno())
            temporary.chmod(0o666 & ~_umask() if mode is None else mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, mark: str = "") -> Iterator[Path]:
    """Yield a temporary folder beside `path`, and move it into place only if the block succeeds.

    An existing folder is replaced only if it is empty or LesionLens wrote it.

    Args:
        path: the folder to write.
        mark: name of a file in it that shows that LesionLens wrote it; if empty, a stamp beside it does.

    Raises:
        StorageError: if the disk is full or not writable, or `path` holds what LesionLens did not write.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_replaceable(path, mark)
        _clear_abandoned(path)
        temporary = Path(tempfile.mkdtemp(prefix=_temporary_prefix(path), suffix=".part", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
                path.replace(old / path.name)
                temporary.replace(path)
                shutil.rmtree(old)
            else:
                temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _check_replaceable(path: Path, mark: str) -> None:
    ours = (path / mark).is_file() if mark else stamp_path(path).exists()
    empty = path.is_dir() and not any(path.iterdir())
    if path.exists() and not ours and not empty:
        raise StorageError(f"{path} is not something that LesionLens made, and would be replaced; choose another --out")


def _temporary_prefix(path: Path) -> str:
    return f".{path.name}.{platform.node()}-{os.getpid()}."


def _clear_abandoned(path: Path) -> None:
    """Remove partial files at `path` of killed processes of this machine."""
    pattern = re.compile(re.escape(f".{path.name}.{platform.node()}-") + r"(\d+)\..*\.part")
    for other in path.parent.iterdir():
        match = pattern.fullmatch(other.name)
        if match and not _is_alive(int(match[1])):
            shutil.rmtree(other) if other.is_dir() else other.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ArtifactError: if the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist; run the stage that writes it first") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} is not readable as JSON ({error}); delete it and run its stage again") from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_value(value: Any) -> str:
    """SHA-256 of a JSON-ready value, hexadecimal; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def stamp_path(path: Path) -> Path:
    """Path of the stamp of `path`: `index.csv.stamp.json` beside `index.csv`."""
    return path.with_name(path.name + ".stamp.json")


def write_stamp(path: Path, made_from: dict[str, str], facts: dict[str, Any] | None = None, own: str = "") -> None:
    """Record the inputs of the finished artifact at `path`.

    Args:
        path: the artifact, a file or a folder.
        made_from: hash of each input (artifacts, sections of the recipe) by name.
        facts: further JSON-ready facts.
        own: hash that identifies the content of the artifact; that of the file if empty.
    """
    own = own or (hash_file(path) if path.is_file() else "")
    write_json(stamp_path(path), {"artifact": path.name, "hash": own, "made_from": made_from, "facts": facts or {}})


def read_stamp(path: Path) -> dict[str, Any]:
    """Read the stamp of `path`: keys `artifact`, `hash`, `made_from`, `facts`.

    Raises:
        ArtifactError: if there is none, or it is damaged.
    """
    stamp = read_json(stamp_path(path))
    if not isinstance(stamp, dict) or not {"hash", "made_from", "facts"} <= stamp.keys():
        raise ArtifactError(f"{stamp_path(path)} is not a stamp; delete it and run its stage again")
    return stamp


def is_current(path: Path, made_from: dict[str, str]) -> bool:
    """Whether `path` exists, is unchanged since it was stamped, and was made from these inputs."""
    if not path.exists() or not stamp_path(path).exists():
        return False
    stamp = read_stamp(path)
    unchanged = path.is_dir() or stamp["hash"] == hash_file(path)
    return bool(unchanged and stamp["made_from"] == made_from)
