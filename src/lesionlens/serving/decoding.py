"""The server's side of the decoders: a few processes with limits of memory and time, replaced when they die."""

from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np

from lesionlens.bundle.runtime import Prepared
from lesionlens.core.errors import BundleError
from lesionlens.data.image import InputSpec
from lesionlens.serving.messages import Buffer, Owned, receive, send
from lesionlens.serving.problems import Problem

WALL_FACTOR = 5
START_SECONDS = 60.0
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031
ATTEMPTS = 2  # where the process is ended from outside, which says nothing about the image
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS)
KILLED = Problem(
    "decoder_killed",
    "the process that decodes images was ended from outside, twice (is the machine out of memory?); send the image again",
    {"Retry-After": "5"},
)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class DecodeLimits(NamedTuple):
    """What decoding one upload may take; see `ServingSettings`."""

    pixels: int
    decode_bytes: int
    decode_seconds: float


Reply = tuple[dict[str, Any], Owned]


class _Job(NamedTuple):
    head: dict[str, Any]
    data: Buffer
    future: Future[Reply]


class Decoders:
    """Processes that decode and draw; each is driven by a thread of its own.

    Args:
        spec: how images are prepared.
        limits: of one image.
        count: processes.

    Attributes:
        deaths: processes that had to be replaced.
    """

    def __init__(self, spec: InputSpec, limits: DecodeLimits, count: int) -> None:
        self._spec = spec
        self._limits = limits
        self.deaths = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        processes = [_Process(spec, limits) for _ in range(count)]
        self._threads = [threading.Thread(target=self._work, args=(process,), daemon=True) for process in processes]
        for process in processes:
            process.wait_ready()
        for thread in self._threads:
            thread.start()

    def submit(self, head: dict[str, Any], data: Buffer) -> Future[Reply]:
        """Queue an operation of `decoder`; the future fails with a Problem if the image cannot be used."""
        future: Future[Reply] = Future()
        self._jobs.put(_Job({**head, "max_pixels": self._limits.pixels, "decode_bytes": self._limits.decode_bytes}, data, future))
        return future

    def close(self) -> None:
        """Finish the queued operations, then end the processes."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, process: _Process) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            for attempt in range(ATTEMPTS):
                try:
                    if process.dead:
                        process = _Process(self._spec, self._limits)
                        process.wait_ready()
                    job.future.set_result(process.call(job.head, job.data))
                except Exception as error:  # it belongs to the caller that waits for the reply
                    self.deaths += process.dead
                    if isinstance(error, Problem) and error.code == KILLED.code and attempt + 1 < ATTEMPTS:
                        continue
                    job.future.set_exception(error)
                break
            del job
        process.close()


def prepared(reply: dict[str, Any], data: Buffer) -> Prepared:
    """The image in the reply to the operation `prepare`."""
    pixels = np.frombuffer(data, dtype=np.uint8).reshape(reply["shape"])
    width, height = reply["size"]
    spacing = reply["pixel_spacing_mm"] and tuple(reply["pixel_spacing_mm"])
    size, notes = (width, height), tuple(reply["notes"])
    return Prepared("", pixels, size, reply["timings_ms"], reply["frames"], notes, pixel_spacing_mm=spacing)


class _Process:
    def __init__(self, spec: InputSpec, limits: DecodeLimits) -> None:
        self._seconds = limits.decode_seconds
        self.dead = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lesionlens.serving.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries print the content of files there
            bufsize=0,
            env={**os.environ, **ENVIRONMENT},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        _widen(self._stdin.fileno())
        _widen(self._stdout.fileno())
        setup = {"spec": spec.to_json(), "decode_bytes": limits.decode_bytes, "decode_seconds": limits.decode_seconds}
        send(self._stdin, setup)

    def wait_ready(self) -> None:
        try:
            receive(_Deadline(self._stdout, START_SECONDS).read)
        except (EOFError, TimeoutError) as error:
            self.close()
            raise BundleError("the process that decodes images does not start; reinstall lesionlens") from error

    def call(self, head: dict[str, Any], data: Buffer) -> Reply:
        try:
            send(self._stdin, head, data)
            seconds = WALL_FACTOR * head.get("time_factor", 1) * self._seconds
            reply, content = receive(_Deadline(self._stdout, seconds).read)
        except (EOFError, TimeoutError, BrokenPipeError) as error:
            raise self._failure(isinstance(error, TimeoutError)) from error
        if "problem" in reply:
            raise Problem(reply["problem"], reply["detail"])
        return reply, content

    def close(self) -> None:
        self.dead = True
        self._stdin.close()
        self._stdout.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _failure(self, late: bool) -> Problem:
        if late:
            self._process.kill()
        status = self._process.wait()
        self.close()
        if status <= 0 and not late and -status not in (signal.SIGPROF, *CRASHES):
            return Problem(KILLED.code, KILLED.detail, KILLED.headers)
        if late or status == -signal.SIGPROF:
            detail = f"decoding took more than {self._seconds:g} s of processor time; save the image again as JPEG or PNG"
            return Problem("decoding_too_slow", detail)
        return Problem("image_unreadable", "the image makes its decoder crash; save it again as JPEG or PNG")


class _Deadline:
    """Reads from a pipe that together may take so many seconds."""

    def __init__(self, stream: Any, seconds: float) -> None:
        self._stream = stream
        self._until = time.monotonic() + seconds
        self._poll = select.poll()
        self._poll.register(stream, select.POLLIN | select.POLLHUP)

    def read(self, size: int) -> Owned:
        data = bytearray(size)
        at = 0
        while at < size:
            if not self._poll.poll(max(0.0, 1000 * (self._until - time.monotonic()))):
                raise TimeoutError
            count = self._stream.readinto(memoryview(data)[at:])
            if not count:
                break
            at += count
        return data if at == size else data[:at]


def _widen(pipe: int) -> None:
    """Let a pipe hold a whole image, so that neither side waits for the other (Linux)."""
    if sys.platform == "linux":
        import fcntl

        try:
            fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
        except PermissionError:  # the system allows this user no more; it works all the same, a little slower
            return
