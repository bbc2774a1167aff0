"""The plan of an archive: which bundle scores which shards; written before the first image, and followed after every stop.

FOLDER/_manifest.json    what was asked for, and how many shards there are
FOLDER/_shards.jsonl     the sources of every shard, one a line
FOLDER/part-*.parquet    results, one file for each shard; readers of Parquet pass over names that begin with `_`
FOLDER/_summary.json     counts, and what failed
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from lesionlens.cluster.files import Folder
from lesionlens.cluster.shards import Shard
from lesionlens.core.errors import ArtifactError

MANIFEST, SHARDS, SUMMARY = "_manifest.json", "_shards.jsonl", "_summary.json"
FORMAT = 1
PARTS = "part-"


@dataclass(frozen=True)
class Request:
    """What an archive is scored with; a folder of results belongs to one of them.

    Attributes:
        bundle: id of the bundle.
        runtime: as asked for, `auto` included.
        variant: likewise.
        arguments: files, folders, patterns and URLs.
        listed: SHA-256 of the list that `-` stands for; empty without one.
        shard_size: images of a shard.
    """

    bundle: str
    runtime: str
    variant: str
    arguments: tuple[str, ...]
    listed: str
    shard_size: int


@dataclass(frozen=True)
class Manifest:
    """The plan of an archive.

    Attributes:
        request: what was asked for.
        name: of the bundle.
        shards: what is scored.
        left_out: lines on the files that are not used.
    """

    request: Request
    name: str
    shards: tuple[Shard, ...]
    left_out: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Number of images outside tars."""
        return sum(shard.images for shard in self.shards)

    @property
    def tars(self) -> int:
        """Number of tars."""
        return sum(shard.tar for shard in self.shards)

    def text(self) -> str:
        """What is planned, in a few words."""
        parts = [f"{self.images:,} images"] if self.images or not self.tars else []
        parts += [f"{self.tars:,} tars"] if self.tars else []
        return f"{' and '.join(parts)} in {len(self.shards):,} shards"

    def write(self, folder: Folder) -> None:
        """Write the plan; it counts once the manifest, the second file, is there.

        Raises:
            StorageError: if it cannot be written.
        """
        lines = "".join(f"{shard.line()}\n" for shard in self.shards).encode("utf-8", "surrogateescape")
        head = {
            "format": FORMAT,
            "request": asdict(self.request),
            "name": self.name,
            "shards": len(self.shards),
            "shards_hash": hashlib.sha256(lines).hexdigest(),
            "left_out": list(self.left_out),
        }
        folder.write(SHARDS, lines)
        folder.write(MANIFEST, (json.dumps(head, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape"))


def read_manifest(folder: Folder) -> Manifest | None:
    """Read the plan of a folder; None if it is empty.

    Raises:
        ArtifactError: if the folder holds something else, or the plan is damaged.
    """
    files = folder.files()
    if MANIFEST not in files:
        if foreign := [name for name in files if name != SHARDS]:
            raise ArtifactError(f"{folder.name} holds {foreign[0]} and no plan of an archive ({MANIFEST}); choose another --out")
        return None
    try:
        head = json.loads(folder.read(MANIFEST))
        lines = folder.read(SHARDS)
        request = _request(head["request"])
        shards = tuple(Shard.read(line) for line in lines.decode("utf-8", "surrogateescape").splitlines())
        damaged = head["format"] != FORMAT or head["shards_hash"] != hashlib.sha256(lines).hexdigest()
        manifest = Manifest(request, head["name"], shards, tuple(head["left_out"]))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ArtifactError(f"{folder.path(MANIFEST)} is damaged ({error}); choose another --out") from error
    if damaged:
        raise ArtifactError(f"{folder.path(SHARDS)} does not fit {MANIFEST}; choose another --out")
    return manifest


def _request(value: dict[str, Any]) -> Request:
    return Request(**{**value, "arguments": tuple(value["arguments"])})


def check_request(folder: Folder, before: Request, now: Request) -> None:
    """Refuse to go on with another bundle, other images or other settings.

    Raises:
        ArtifactError: naming the difference.
    """
    for field in fields(Request):
        old, new = getattr(before, field.name), getattr(now, field.name)
        if old != new:
            what = {"shard_size": "--shard-size", "arguments": "images", "listed": "list of images"}.get(field.name, field.name)
            raise ArtifactError(
                f"{folder.name} holds results for {what} {_shown(old)}, not {_shown(new)}; choose another --out, or give the "
                "same as before"
            )


def _shown(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def finished_parts(folder: Folder, shards: Iterable[Shard]) -> set[int]:
    """Numbers of the shards whose results are there.

    Raises:
        ArtifactError: if there are results of no shard of the plan.
    """
    by_file = {shard.file: shard.number for shard in shards}
    parts = [name for name in folder.files() if name.startswith(PARTS)]
    if foreign := [name for name in parts if name not in by_file]:
        raise ArtifactError(f"{folder.path(foreign[0])} belongs to no shard of {MANIFEST}; choose another --out")
    return {by_file[name] for name in parts}
