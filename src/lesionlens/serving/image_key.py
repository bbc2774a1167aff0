"""Kept images encrypted at rest: AES-256-GCM with one key file, by the library `cryptography`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib.util
import os
from pathlib import Path

from lesionlens.core.artifact import atomic_file
from lesionlens.core.errors import ArtifactError, RecipeError, StorageError
from lesionlens.serving.messages import Buffer

KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_BYTES = 8
MAGIC = b"LLE1"  # no image format begins so; a file without it is a plain image
HEAD_BYTES = len(MAGIC) + KEY_ID_BYTES + NONCE_BYTES


class ImageKey:
    """Encrypts and decrypts kept images.

    A file is `MAGIC`, the key's id, a random nonce, and what AES-256-GCM makes of the image (NIST SP 800-38D). The
    name of the image is authenticated with it, so that one file cannot be passed off as another.

    Args:
        key: 32 bytes.

    Raises:
        RecipeError: if the library `cryptography` is not installed.
    """

    def __init__(self, key: bytes) -> None:
        if importlib.util.find_spec("cryptography") is None:
            raise RecipeError("--image-key needs cryptography; install it with: pip install 'lesionlens[encrypt]'")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self.id = hashlib.sha256(b"lesionlens image key" + key).digest()[:KEY_ID_BYTES]

    def encrypt(self, data: Buffer, name: str) -> bytes:
        """The content of the file `name`."""
        nonce = os.urandom(NONCE_BYTES)  # random nonces are safe for 2**32 images
        return MAGIC + self.id + nonce + self._cipher.encrypt(nonce, bytes(data), name.encode())

    def decrypt(self, content: bytes, name: str) -> bytes:
        """The image in a file that `encrypt` made.

        Raises:
            ArtifactError: if it was encrypted with another key, or changed.
        """
        from cryptography.exceptions import InvalidTag

        if content[len(MAGIC) :][:KEY_ID_BYTES] != self.id:
            raise ArtifactError("a kept image is encrypted with another key; start the server with that key file")
        nonce = content[HEAD_BYTES - NONCE_BYTES : HEAD_BYTES]
        try:
            return self._cipher.decrypt(nonce, content[HEAD_BYTES:], name.encode())
        except InvalidTag as error:
            raise ArtifactError("a kept image is damaged or was changed; restore it from a backup") from error


def is_encrypted(content: bytes) -> bool:
    """Whether a kept file is encrypted."""
    return content.startswith(MAGIC)


def create_key(path: Path) -> None:
    """Write a new random key, mode 0600, as one line of base64.

    Raises:
        RecipeError: if the file exists: without its key, no image can be read again.
        StorageError: if it cannot be written.
    """
    if path.exists():
        raise RecipeError(f"{path} exists; a key is never overwritten, since its images could not be read again. Give a new name")
    with atomic_file(path, mode=0o600) as temporary:
        temporary.write_bytes(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")


def read_key(path: Path) -> ImageKey:
    """The key in a file, for images; see `read_key_bytes`."""
    return ImageKey(read_key_bytes(path))


def read_key_bytes(path: Path) -> bytes:
    """The 32 bytes of the key in a file.

    Raises:
        RecipeError: if the file is missing, readable by others, or holds no key.
        StorageError: if it may not be read.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise RecipeError(f"there is no key file {path}; create one with: lesionlens record create-key {path}") from error
    except OSError as error:
        raise StorageError(f"key file {path} cannot be read ({error.strerror}); check its owner and mode") from error
    if mode & 0o077:
        raise RecipeError(f"key file {path} has mode {mode & 0o777:04o}, so others may read it; run: chmod 600 {path}")
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise RecipeError(
            f"{path} holds no key of {KEY_BYTES} bytes in base64; create one with: lesionlens record create-key FILE"
        )
    return key
