"""Score an archive on a cluster: plan, resume, spread, and count."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from lesionlens.bundle.bundle import Bundle, open_bundle
from lesionlens.bundle.sources import LIST
from lesionlens.cluster.connection import Cluster, connected
from lesionlens.cluster.files import Folder
from lesionlens.cluster.manifest import SUMMARY, Manifest, Request, check_request, finished_parts, read_manifest
from lesionlens.cluster.results import part_counts, require_pyarrow
from lesionlens.cluster.shards import Shard, cut_shards
from lesionlens.cluster.sources import archive_sources
from lesionlens.cluster.workers import Crew, Done, Scorer, Settings, result_of
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.progress import SILENT, Reporter
from lesionlens.data.decoded_image import NoteTally
from lesionlens.data.files import LeftOut

NOTE_EVERY_S = 10.0
FOOTER_READERS = 16


@dataclass(frozen=True)
class Scoring:
    """How an archive is scored.

    Attributes:
        settings: how every process predicts.
        shard_size: images of a shard; the work that is done again when a process dies.
        processes: number of processes; 0 takes as many as the CPUs of the cluster allow.
    """

    settings: Settings = field(default_factory=Settings)
    shard_size: int = 1000
    processes: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.shard_size <= 1_000_000:
            raise RecipeError(f"shard size = {self.shard_size}; it must be from 1 to 1000000")
        if self.processes < 0 or self.settings.threads < 1:
            raise RecipeError(
                f"{self.processes} processes of {self.settings.threads} threads; there must be 0 processes or more, and each has "
                "1 thread or more"
            )


@dataclass
class Counts:
    """What became of an archive so far.

    Attributes:
        rows: results that are on disk.
        failed: images among them that could not be used.
        done: shards that are on disk.
        lost: reason for every shard that is not, by the name of its first source.
        before: images that earlier calls had finished.
        processes_lost: processes that died.
        seconds: time of this call.
        notes: what decoding assumed.
        left_out: lines on files that are not used.
    """

    rows: int = 0
    failed: int = 0
    done: int = 0
    lost: dict[str, str] = field(default_factory=dict)
    before: int = 0
    processes_lost: int = 0
    seconds: float = 0.0
    notes: NoteTally = field(default_factory=NoteTally)
    left_out: list[str] = field(default_factory=list)

    def to_json(self, manifest: Manifest) -> dict[str, Any]:
        """Content of `_summary.json`."""
        return {
            "format": 1,
            "bundle": manifest.request.bundle,
            "shards": len(manifest.shards),
            "shards_done": self.done,
            "shards_lost": self.lost,
            "images": self.rows,
            "images_failed": self.failed,
            "images_in_this_call": self.rows - self.before,
            "seconds_of_this_call": round(self.seconds, 2),
            "processes_lost_in_this_call": self.processes_lost,
            "left_out": self.left_out,
            "notes_in_this_call": self.notes.lines(),
        }


def score_archive(
    bundle: Path,
    arguments: Sequence[str],
    out: str,
    scoring: Scoring | None = None,
    address: str = "",
    listed: Iterable[str] = (),
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Score the images of an archive on a cluster, and write one Parquet file for each shard.

    A shard is written completely or not at all and under one name, so whatever dies, no image is lost or scored twice; the same
    call resumes. What `out` holds is the same as one process writes, row for row.

    Args:
        bundle: folder of the bundle; it is sent to every process.
        arguments: files, folders, patterns and URLs of images and tars, or `-`; see `archive_sources`.
        out: folder of the results, a path that every node sees or a URL.
        scoring: how.
        address: of the cluster, see `connected`; it is not asked for anything if nothing is left to score.
        listed: what `-` stands for.
        reporter: told of the plan, of processes that start and die, and of progress.

    Returns:
        Content of `_summary.json`: `images images_failed shards shards_done shards_lost seconds_of_this_call` and others.

    Raises:
        ArtifactError: if `out` holds other results.
        BundleError: if the bundle is damaged, or does not run on a node.
        ClusterError: if the head node is lost; what is done stays.
        DataError: if there is no image.
        StorageError: if `out` cannot be written.
    """
    require_pyarrow()
    scoring, opened, folder = scoring or Scoring(), open_bundle(bundle), Folder(out)
    manifest = _plan(opened, arguments, listed, folder, scoring, reporter)
    counts, todo = _finished(folder, manifest, reporter)
    started = time.monotonic()
    try:
        if todo:
            with connected(address) as cluster:
                reporter.note(cluster.text())
                _run(opened, folder, cluster, scoring, todo, counts, reporter)
    finally:
        counts.seconds = time.monotonic() - started
        summary = counts.to_json(manifest)
        folder.write(SUMMARY, (json.dumps(summary, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape"))
    return summary


def _plan(
    bundle: Bundle, arguments: Sequence[str], listed: Iterable[str], folder: Folder, scoring: Scoring, reporter: Reporter
) -> Manifest:
    """The plan in the folder, or a new one that is written there."""
    lines = list(listed) if LIST in arguments else []
    digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest() if lines else ""
    settings = scoring.settings
    request = Request(bundle.id, settings.runtime, settings.variant, tuple(arguments), digest, scoring.shard_size)
    before = read_manifest(folder)
    if before is not None:
        check_request(folder, before.request, request)
        reporter.note(f"going on with {folder.name}: {before.text()}; images added since it was planned are not in it")
        return before
    left_out = LeftOut()
    shards = tuple(cut_shards(archive_sources(arguments, lines, left_out), scoring.shard_size))
    if not shards:
        raise DataError(f"no image in {', '.join(arguments)}; give files, tars, or folders that hold some")
    manifest = Manifest(request, bundle.name, shards, tuple(left_out.lines()))
    manifest.write(folder)
    reporter.note(f"planned {manifest.text()}")
    return manifest


def _finished(folder: Folder, manifest: Manifest, reporter: Reporter) -> tuple[Counts, list[Shard]]:
    """What earlier calls did, and the shards that are left."""
    numbers, counts = finished_parts(folder, manifest.shards), Counts(left_out=list(manifest.left_out))
    done = [shard for shard in manifest.shards if shard.number in numbers]
    with ThreadPoolExecutor(FOOTER_READERS) as pool:
        for rows, failed in pool.map(lambda shard: part_counts(folder, shard.file, shard.hash), done):
            counts.rows, counts.failed = counts.rows + rows, counts.failed + failed
    counts.done, counts.before = len(done), counts.rows
    if done:
        reporter.note(f"{len(done):,} of {len(manifest.shards):,} shards are finished, {counts.rows:,} images")
    return counts, [shard for shard in manifest.shards if shard.number not in numbers]


def _run(
    bundle: Bundle, folder: Folder, cluster: Cluster, scoring: Scoring, todo: list[Shard], counts: Counts, reporter: Reporter
) -> None:
    ray, settings = cluster.ray, scoring.settings
    content = ray.put({path.name: path.read_bytes() for path in sorted(bundle.path.iterdir()) if path.is_file()})
    scorer = ray.remote(Scorer).options(num_cpus=settings.threads, max_restarts=0, max_task_retries=0)

    def hire() -> tuple[Any, Any]:
        worker = scorer.remote()
        return worker, worker.start.remote(content, bundle.id, settings)

    def most() -> int:
        return scoring.processes or max(1, cluster.room(settings.threads))

    crew = Crew[Shard](cluster, hire, lambda worker, shard: worker.score.remote(shard.line(), folder.name), most, reporter)
    progress = _Progress(reporter, len(todo), counts)
    for done in crew.run(todo):
        _count(done, counts)
        counts.processes_lost = crew.lost
        progress.note()


def _count(done: Done[Shard], counts: Counts) -> None:
    """Add a shard to the counts; one that cannot be read is recorded, and the others go on.

    Raises:
        LesionLensError: whatever else a process reports, such as a full disk.
    """
    if done.answer is None:
        counts.lost[done.job.sources[0]] = done.reason
        return
    try:
        scored = result_of(done.answer)
    except DataError as error:
        counts.lost[done.job.sources[0]] = str(error)
        return
    counts.done += 1
    counts.rows += scored["rows"]
    counts.failed += scored["failed"]
    counts.left_out += scored["left_out"]
    for name, notes in scored["notes"]:
        counts.notes.add(name, notes)


class _Progress:
    """Notes on how far an archive is, every few seconds."""

    def __init__(self, reporter: Reporter, todo: int, counts: Counts) -> None:
        self.reporter, self.todo, self.counts = reporter, todo, counts
        self.shards_before = counts.done
        self.started = self.last = time.monotonic()

    def note(self) -> None:
        """Say how far it is, unless that was said a moment ago."""
        now, done = time.monotonic(), self.counts.done - self.shards_before + len(self.counts.lost)
        if now - self.last < NOTE_EVERY_S and done < self.todo:
            return
        self.last = now
        seconds = max(now - self.started, 1e-9)
        rate = (self.counts.rows - self.counts.before) / seconds
        left = f", about {timedelta(seconds=round(seconds / done * (self.todo - done)))} left" if done < self.todo else ""
        self.reporter.note(f"{done:,} of {self.todo:,} shards, {self.counts.rows:,} images, {rate:,.0f} images/s{left}")
