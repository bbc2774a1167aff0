"""One prediction as other systems are told of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

UID_ROOT = "2.25."  # of UUIDs written as numbers, PS3.5 B.2


@dataclass(frozen=True)
class Result:
    """A prediction and when it was made.

    Attributes:
        id: of the prediction.
        created: UTC.
        body: the JSON of the prediction; `PredictionBody` in `lesionlens.serving.schemas` describes it.
    """

    id: str
    created: datetime
    body: dict[str, Any]

    def uid(self, part: str) -> str:
        """The DICOM UID of a part of this result: the same whenever it is made again, so that no archive gets it twice.

        Args:
            part: such as `sr`.
        """
        digest = hashlib.sha256(f"lesionlens {self.id} {part}".encode()).digest()
        number = int.from_bytes(digest[:16], "big")
        number = number & ~(0xF << 76) | 0x8 << 76  # a UUID of version 8 (RFC 9562), whose bits its maker chooses
        number = number & ~(0x3 << 62) | 0x2 << 62
        return f"{UID_ROOT}{number}"

    @property
    def usable(self) -> bool:
        """Whether the image was usable, so that there are probabilities."""
        return bool(self.body["probabilities"])

    @property
    def ranked(self) -> list[dict[str, Any]]:
        """The diagnoses with their probabilities, the most probable first; empty if the image was not usable."""
        return sorted(self.body["probabilities"], key=lambda row: -row["probability"])

    @property
    def version(self) -> str:
        """Version of the model: the beginning of the bundle's hash, and the variant."""
        return f"{self.body['bundle']['id'][:12]} {self.body['bundle']['variant']}"
