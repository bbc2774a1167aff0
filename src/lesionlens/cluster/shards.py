"""Shards: what one process scores at a time, and one file of results each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lesionlens.cluster.sources import is_tar
from lesionlens.core.artifact import hash_value

NAME_DIGITS = 6


@dataclass(frozen=True)
class Shard:
    """Some images, or one tar of images.

    Attributes:
        number: from 0, unique in an archive.
        sources: names of the images in order, or the name of one tar.
    """

    number: int
    sources: tuple[str, ...]

    @property
    def file(self) -> str:
        """Name of the file of its results: the same in every attempt, so that a second one replaces the first."""
        return f"part-{self.number:0{NAME_DIGITS}d}.parquet"

    @property
    def tar(self) -> bool:
        """Whether it is a tar."""
        return len(self.sources) == 1 and is_tar(self.sources[0])

    @property
    def images(self) -> int:
        """Number of images; 0 for a tar, whose members are known only when it is read."""
        return 0 if self.tar else len(self.sources)

    @property
    def hash(self) -> str:
        """SHA-256 of its sources."""
        return hash_value(list(self.sources))

    def line(self) -> str:
        """The shard as one line of JSON."""
        return json.dumps([self.number, *self.sources], ensure_ascii=False)

    @classmethod
    def read(cls, line: str) -> Shard:
        """Read what `line` wrote.

        Example:
            >>> Shard.read(Shard(3, ("a.jpg", "b.jpg")).line())
            Shard(number=3, sources=('a.jpg', 'b.jpg'))
        """
        value: list[Any] = json.loads(line)
        return cls(int(value[0]), tuple(value[1:]))


def cut_shards(sources: Iterable[str], size: int) -> Iterator[Shard]:
    """Cut an archive into shards: images in groups of `size` in their order, and every tar by itself.

    Args:
        sources: names of images and tars.
        size: images of a shard, at least 1.

    Example:
        >>> [shard.sources for shard in cut_shards(["a.jpg", "b.jpg", "x.tar", "c.jpg"], 2)]
        [('a.jpg', 'b.jpg'), ('x.tar',), ('c.jpg',)]
    """
    number, images = 0, list[str]()
    for source in sources:
        full = len(images) == size
        if images and (full or is_tar(source)):
            yield Shard(number, tuple(images))
            number, images = number + 1, []
        if is_tar(source):
            yield Shard(number, (source,))
            number += 1
        else:
            images.append(source)
    if images:
        yield Shard(number, tuple(images))
