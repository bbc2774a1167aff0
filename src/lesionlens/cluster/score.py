"""Score one shard: read its images ahead of the network, predict them, and write one file of results."""

from __future__ import annotations

import tarfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from lesionlens.bundle.prediction import Failure, Prediction
from lesionlens.bundle.results import row_of
from lesionlens.bundle.runtime import Predictor
from lesionlens.cluster.files import Folder, filesystem, is_url, opened, store_errors
from lesionlens.cluster.results import columns_of, parquet
from lesionlens.cluster.shards import Shard
from lesionlens.core.errors import DataError, ImageError
from lesionlens.data.files import IMAGE, OTHER, LeftOut, kind_by_name

READERS = 16  # an object store answers in tens of milliseconds, and serves many requests at once

Named = tuple[str, Path | bytes | ImageError]
"""The name of an image, and its path, its content, or why it cannot be read."""


@dataclass(frozen=True)
class Scored:
    """What became of a shard.

    Attributes:
        rows: results that were written.
        failed: how many of them are failures.
        left_out: lines on members of a tar that are no images.
        notes: what decoding assumed, as `NoteTally` counts it; names and notes.
    """

    rows: int
    failed: int
    left_out: tuple[str, ...] = ()
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()


def score_shard(predictor: Predictor, shard: Shard, out: Folder) -> Scored:
    """Predict the images of a shard in their order, and write its file.

    Args:
        predictor: of an open bundle.
        shard: what to score.
        out: where the file of results goes.

    Raises:
        DataError: if a tar cannot be read to its end.
        StorageError: if the results cannot be written.
    """
    left_out = LeftOut()
    images = tar_images(shard.sources[0], left_out) if shard.tar else named_images(shard.sources)
    notes: list[tuple[str, tuple[str, ...]]] = []
    rows = []
    for result in predict_named(predictor, images):
        if isinstance(result, Prediction) and result.notes:
            notes.append((result.source, result.notes))
        rows.append(columns_of(row_of(result, predictor.bundle_variant)))
    content, count, failed = parquet(rows, predictor.bundle.labels.codes, shard.hash)
    out.write(shard.file, content)
    return Scored(count, failed, tuple(left_out.lines()), tuple(notes))


def predict_named(predictor: Predictor, images: Iterator[Named]) -> Iterator[Prediction | Failure]:
    """Predict images from anywhere in their order; every result carries the name of its image."""
    names: deque[str | Failure] = deque()

    def readable() -> Iterator[Path | bytes]:
        for name, image in images:
            if isinstance(image, ImageError):
                names.append(Failure(name, image))
            else:
                names.append(name)
                yield image

    for result in predictor.attempt(readable()):
        yield from _failures_before(names)
        name = names.popleft()
        assert isinstance(name, str)
        yield replace(result, source=name)
    yield from _failures_before(names)


def _failures_before(names: deque[str | Failure]) -> Iterator[Failure]:
    while names and isinstance(names[0], Failure):
        failure = names.popleft()
        assert isinstance(failure, Failure)
        yield failure


def named_images(sources: tuple[str, ...]) -> Iterator[Named]:
    """Images by name: those on disk as paths, those in object stores with their content, which is read ahead."""

    def read(source: str) -> Named:
        if not is_url(source):
            return source, Path(source)
        try:
            with store_errors(source):
                system, path = filesystem(source)
                return source, bytes(system.cat_file(path))
        except DataError as error:
            return source, ImageError(str(error))

    return read_ahead(read, sources) if any(map(is_url, sources)) else map(read, sources)


def read_ahead(read: Callable[[str], Named], sources: tuple[str, ...]) -> Iterator[Named]:
    """The images in their order, with up to `READERS` of them being read."""
    left = iter(sources)
    pool = ThreadPoolExecutor(READERS)
    try:
        queue: deque[Future[Named]] = deque(pool.submit(read, source) for source in islice(left, READERS))
        while queue:
            yield queue.popleft().result()
            queue.extend(pool.submit(read, source) for source in islice(left, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def tar_images(source: str, left_out: LeftOut) -> Iterator[Named]:
    """The images in a tar in their order, read once from its beginning to its end.

    A name that occurs twice is a failure the second time: which image it stands for cannot be told from the name.

    Args:
        source: path or URL of the tar.
        left_out: counts the members that are no images by their names.

    Raises:
        DataError: if it is no tar, or is cut short.
    """
    seen: set[str] = set()
    try:
        with opened(source) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                if member.isdir():
                    continue
                name = f"{source}/{member.name}"
                kind = kind_by_name(member.name.removeprefix("./")) if member.isfile() else OTHER  # no link is followed
                if kind != IMAGE:
                    left_out.add(kind, name)
                elif name in seen:
                    yield name, ImageError(f"{name} occurs twice in its tar; give every image a name of its own")
                else:
                    seen.add(name)
                    content = tar.extractfile(member)
                    assert content is not None
                    yield name, content.read()
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{source} is no complete tar ({error}); write it again") from error
