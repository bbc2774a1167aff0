import os
import stat

import pytest

from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.serving.image_key import HEAD_BYTES, ImageKey, create_key, is_encrypted, read_key
from lesionlens.serving.images import KeptImages

pytest.importorskip("cryptography", reason="the extra `encrypt` is not installed")
IMAGE = b"\xff\xd8\xff\xe0 a photograph" * 50


def test_what_is_encrypted_reads_back_and_shows_nothing():
    key = ImageKey(bytes(32))
    one, other = (key.encrypt(IMAGE, "a") for _ in range(2))
    assert key.decrypt(one, "a") == key.decrypt(other, "a") == IMAGE
    assert one != other  # a nonce of its own each
    assert is_encrypted(one)
    assert not is_encrypted(IMAGE)
    assert IMAGE[:16] not in one


def test_aes_256_gcm_as_the_library_does_it():
    """The file can be read without LesionLens: nonce, then ciphertext and tag, the name authenticated."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    content = ImageKey(bytes(range(32))).encrypt(IMAGE, "name")
    assert AESGCM(bytes(range(32))).decrypt(content[12:24], content[24:], b"name") == IMAGE


@pytest.mark.parametrize("at", [HEAD_BYTES - 1, HEAD_BYTES, -1])
def test_a_changed_byte_is_noticed(at):
    key = ImageKey(bytes(32))
    content = bytearray(key.encrypt(IMAGE, "a"))
    content[at] ^= 1
    with pytest.raises(ArtifactError, match="damaged or was changed"):
        key.decrypt(bytes(content), "a")


def test_another_key_and_another_name_are_refused():
    content = ImageKey(bytes(32)).encrypt(IMAGE, "a")
    with pytest.raises(ArtifactError, match="another key"):
        ImageKey(b"\1" * 32).decrypt(content, "a")
    with pytest.raises(ArtifactError, match="damaged or was changed"):
        ImageKey(bytes(32)).decrypt(content, "b")


def test_a_key_file_is_for_its_owner_and_never_overwritten(tmp_path):
    path = tmp_path / "key"
    create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path).decrypt(read_key(path).encrypt(IMAGE, "a"), "a") == IMAGE
    with pytest.raises(RecipeError, match="never overwritten"):
        create_key(path)
    path.chmod(0o640)
    with pytest.raises(RecipeError, match="mode 0640, so others may read it"):
        read_key(path)


@pytest.mark.parametrize("content", [b"", b"short", b"QUJD\n", b"\0\xff" * 16])
def test_what_is_no_key(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(RecipeError, match="holds no key of 32 bytes"):
        read_key(path)
    with pytest.raises(RecipeError, match="record create-key"):
        read_key(tmp_path / "missing")


def test_kept_images_are_encrypted_and_older_plain_ones_still_read(tmp_path):
    plain, locked = KeptImages(tmp_path), KeptImages(tmp_path, ImageKey(os.urandom(32)))
    plain.put("ab", IMAGE)
    locked.put("cd", memoryview(IMAGE))
    assert (locked.get("ab"), locked.get("cd")) == (IMAGE, IMAGE)
    assert IMAGE[:16] not in locked.path("cd").read_bytes()
    with pytest.raises(ArtifactError, match="start the server with its --image-key"):
        plain.get("cd")
