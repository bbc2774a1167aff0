"""Decoders: real processes, bounded in memory and time."""

import io
import os
import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image
from tests.serving.bad_dicom import dicom_bombs

from lesionlens.data.image import InputSpec, centre_crop, open_image, prepare
from lesionlens.serving import decoding
from lesionlens.serving.decoder import TRANSPARENT_WEBP_BYTES, WEBP_BYTES
from lesionlens.serving.decoding import DecodeLimits, Decoders, prepared
from lesionlens.serving.problems import Problem
from lesionlens.serving.settings import DECODE_BYTES, PIXELS

SPEC = InputSpec(64, 72, "squash", (0.5,) * 3, (0.5,) * 3)
MIB = 1 << 20


def noise(width, height, form="PNG", mode="RGB"):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, len(mode)), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **({"compress_level": 1} if form == "PNG" else {}))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def decoders():
    found = Decoders(SPEC, DecodeLimits(pixels=30_000_000, decode_bytes=96 * MIB, decode_seconds=2.0), 1)
    yield found
    found.close()


def decode(decoders, data, frame=0):
    return prepared(*decoders.submit({"operation": "prepare", "frame": frame}, data).result(30))


def test_pixels_are_those_of_the_predictor(decoders):
    data = noise(200, 150)
    found = decode(decoders, data)
    assert (found.pixels == centre_crop(prepare(open_image(data), SPEC), 64)).all()
    assert (found.image_size, found.frames) == ((200, 150), 1)
    assert set(found.timings_ms) == {"decode", "resize"}


def test_any_kind_of_buffer_will_do(decoders):
    data = noise(100, 100, "JPEG")
    for buffer in (data, bytearray(data), memoryview(data)):
        assert decode(decoders, buffer).image_size == (100, 100)


@pytest.mark.parametrize(
    ("data", "frame", "code"),
    [
        (b"x", 0, "image_unreadable"),
        (noise(100, 100)[:500], 0, "image_unreadable"),
        (noise(100, 100), 3, "image_unreadable"),
        (noise(31, 31), 0, "image_unreadable"),
        (noise(7000, 4300, "JPEG"), 0, "image_too_large"),
    ],
)
def test_refusals(decoders, data, frame, code):
    with pytest.raises(Problem) as found:
        decode(decoders, data, frame)
    assert found.value.code == code
    assert decoders.deaths == 0


def test_memory_has_an_end_and_the_process_lives(decoders):
    buffer = io.BytesIO()
    Image.new("RGBA", (5000, 5000), (1, 2, 3, 4)).save(buffer, "PNG", compress_level=1)  # needs 100 MB for each copy
    with pytest.raises(Problem) as found:
        decode(decoders, buffer.getvalue())
    assert found.value.code == "image_too_large"
    assert "memory" in found.value.detail
    assert decode(decoders, noise(100, 100)).image_size == (100, 100)


@pytest.mark.slow
def test_time_has_an_end_and_the_process_is_replaced():
    limits = DecodeLimits(pixels=30_000_000, decode_bytes=512 * MIB, decode_seconds=0.1)
    decoders = Decoders(SPEC, limits, 1)
    data = noise(5000, 4000)
    started = time.monotonic()
    with pytest.raises(Problem) as found:
        decode(decoders, data)
    assert found.value.code == "decoding_too_slow"
    assert time.monotonic() - started < 15
    assert decode(decoders, noise(64, 64)).image_size == (64, 64)
    assert decoders.deaths == 1
    decoders.close()


def test_several_threads_share_the_processes(decoders):
    wrong = []

    def ask(side):
        for _ in range(5):
            if decode(decoders, noise(side, side)).image_size != (side, side):
                wrong.append(side)

    threads = [threading.Thread(target=ask, args=(40 + number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.slow
def test_dicom_bombs_are_refused_within_the_limits_of_the_service():
    """With the service's own limits (256 MiB, 2 s of processor time) none even costs a process."""
    decoders = Decoders(SPEC, DecodeLimits(PIXELS, DECODE_BYTES, decode_seconds=2.0), 1)
    for name, content in dicom_bombs():
        with pytest.raises(Problem) as found:
            decode(decoders, content)
        assert found.value.code in ("image_unreadable", "image_too_large"), name
    assert decoders.deaths == 0
    decoders.close()


class Outside:
    """Ends decoders as the system does, `times` times, as soon as they have a job."""

    def __init__(self, monkeypatch, times, sign=signal.SIGKILL):
        self.left, call = times, decoding._Process.call

        def killed(process, head, data):
            if self.left:
                self.left -= 1
                os.kill(process._process.pid, sign)
                process._process.wait()
            return call(process, head, data)

        monkeypatch.setattr(decoding._Process, "call", killed)


@pytest.mark.slow
def test_a_decoder_that_is_killed_from_outside_is_replaced_and_the_image_decoded(monkeypatch):
    decoders = Decoders(SPEC, DecodeLimits(pixels=30_000_000, decode_bytes=96 * MIB, decode_seconds=2.0), 1)
    Outside(monkeypatch, times=1)
    assert decode(decoders, noise(64, 64)).image_size == (64, 64)
    assert decoders.deaths == 1
    decoders.close()


@pytest.mark.slow
def test_a_decoder_that_is_killed_again_is_not_blamed_on_the_image(monkeypatch):
    decoders = Decoders(SPEC, DecodeLimits(pixels=30_000_000, decode_bytes=96 * MIB, decode_seconds=2.0), 1)
    Outside(monkeypatch, times=2)
    with pytest.raises(Problem) as found:
        decode(decoders, noise(64, 64))
    assert (found.value.code, found.value.status, found.value.headers) == ("decoder_killed", 503, {"Retry-After": "5"})
    assert decoders.deaths == 2
    assert decode(decoders, noise(64, 64)).image_size == (64, 64)
    decoders.close()


def test_a_crash_is_blamed_on_the_image_and_not_tried_again(monkeypatch):
    decoders = Decoders(SPEC, DecodeLimits(pixels=30_000_000, decode_bytes=96 * MIB, decode_seconds=2.0), 1)
    outside = Outside(monkeypatch, times=2, sign=signal.SIGSEGV)
    with pytest.raises(Problem) as found:
        decode(decoders, noise(64, 64))
    assert found.value.code == "image_unreadable"
    assert (decoders.deaths, outside.left) == (1, 1)
    decoders.close()


@pytest.mark.slow
@pytest.mark.parametrize(("colour", "n_bytes"), [((9, 2, 3), WEBP_BYTES), ((9, 2, 3, 99), TRANSPARENT_WEBP_BYTES)])
@pytest.mark.parametrize("lossless", [True, False])
def test_the_largest_webp_is_told_before_it_is_decoded(colour, n_bytes, lossless):
    """The largest is decoded in the memory that there is; of a larger one the reason is its size, and not damage."""
    decoders = Decoders(SPEC, DecodeLimits(PIXELS, DECODE_BYTES, decode_seconds=20.0), 1)
    most = DECODE_BYTES // n_bytes
    width = int((most * 4 / 3) ** 0.5)
    assert decode(decoders, webp(width, most // width, colour, lossless)).image_size == (width, most // width)
    with pytest.raises(Problem) as found:
        decode(decoders, webp(width, most // width + 1, colour, lossless))
    assert found.value.code == "image_too_large"
    assert f"the most is {most:,}" in found.value.detail
    assert decoders.deaths == 0
    decoders.close()


def webp(width, height, colour, lossless):
    buffer = io.BytesIO()
    image = Image.new("RGBA" if len(colour) == 4 else "RGB", (width, height), colour)
    image.save(buffer, "WEBP", lossless=lossless, method=0, quality=0 if lossless else 80)
    return buffer.getvalue()
