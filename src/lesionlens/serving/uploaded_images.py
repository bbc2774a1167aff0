"""The uploaded images that the server still has: in memory for some minutes, on disk with `--keep-images`."""

from __future__ import annotations

import asyncio
import hashlib

from lesionlens.core.errors import ArtifactError, StorageError
from lesionlens.serving.image_key import read_key
from lesionlens.serving.images import KeptImages, RecentImages, images_folder
from lesionlens.serving.messages import Buffer
from lesionlens.serving.problems import Problem
from lesionlens.serving.settings import ServingSettings

DROP_SECONDS = 1.0
UNTIL = "until `lesionlens record retain` deletes them"


class UploadedImages:
    """Where uploads are, and for how long.

    Args:
        settings: of the server.

    Raises:
        LesionLensError: if the key file cannot be used.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._minutes = settings.image_minutes
        self._encrypted = settings.image_key is not None
        key = None if settings.image_key is None else read_key(settings.image_key)
        self.recent = RecentImages(settings.image_bytes, 60 * settings.image_minutes)
        folder = images_folder(settings.record, settings.image_folder)
        self._on_disk = None if folder is None else KeptImages(folder, key)
        self.kept = self._on_disk if settings.keep_images else None

    async def keep(self, data: Buffer) -> None:
        """Write an upload to disk, where images are kept.

        Raises:
            Problem: `record_unwritable`.
        """
        if self.kept is None:
            return
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            await asyncio.to_thread(self.kept.put, sha256, data)
        except (StorageError, OSError) as error:
            raise Problem("record_unwritable", "the image cannot be kept, and without it there is no prediction") from error

    async def get(self, id_: str, sha256: str) -> bytes:
        """The upload of a prediction.

        Raises:
            Problem: `image_gone`.
        """
        image = self.recent.get(id_)
        if image is None and self.kept is not None:
            try:
                image = await asyncio.to_thread(self.kept.get, sha256)
            except ArtifactError as error:
                raise Problem("image_gone", str(error)) from error
        if image is None:
            raise Problem("image_gone", f"{self.rule}; lay style=map over your own copy")
        return image

    async def remove(self, id_: str, sha256: str = "") -> bool:
        """Forget the upload of a prediction, and delete the kept one with this hash; an earlier start may have kept it.

        Args:
            id_: of the prediction.
            sha256: of the upload; empty: another prediction is of the same image, which stays.

        Returns:
            Whether a kept image was deleted.
        """
        self.recent.remove(id_)
        if not sha256 or self._on_disk is None:
            return False
        return await asyncio.to_thread(self._on_disk.remove, sha256)

    async def drop_old(self) -> None:
        """Forget uploads in memory as soon as their time is over; runs until it is cancelled."""
        while True:
            await asyncio.sleep(DROP_SECONDS)
            self.recent.drop()

    @property
    def rule(self) -> str:
        """How long the server has images, in words."""
        if self.kept is None:
            return f"images stay in memory for at most {self._minutes:g} minutes and are not kept"
        return f"images are kept in {self.kept.folder.name}, {'encrypted' if self._encrypted else 'not encrypted'}"

    @property
    def note(self) -> str:
        """The rule, and what it means for the operator."""
        if self.kept is None:
            meaning = f"later reviews are written without the picture. --keep-images keeps images {UNTIL}"
        elif self._encrypted:
            meaning = f"{UNTIL}; without the key file nobody can read them"
        else:
            meaning = f"{UNTIL}; whoever can read the disk can see them. --image-key FILE encrypts new ones"
        return f"{self.rule}: {meaning}"
