"""Every bad image is refused by `open_image` itself, in one line, quickly and in little memory."""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pydicom makes the bad DICOM files")

from tests.data.dicom_files import SECRET
from tests.serving.bad_dicom import bad_dicom
from tests.serving.bad_images import bad_images, tolerated

from lesionlens.core.errors import ImageError
from lesionlens.data.image import open_image

SECONDS = 2.0
MEMORY_MIB = 300
PIXELS = 24_000_000
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_there_are_hundreds_and_all_differ() -> None:
    images = [*bad_images(), *bad_dicom()]
    assert len(images) >= 600
    assert len({name for name, _ in images}) == len({content for _, content in images}) == len(images)


def outcome(name: str, content: bytes) -> str:
    """What is wrong with how one image is refused; empty if nothing."""
    started = time.process_time()
    try:
        open_image(content, "the image", PIXELS)
        return f"{name}: accepted"
    except ImageError as error:
        message = str(error)
    seconds = time.process_time() - started
    if "\n" in message or not message.startswith("the image") or SECRET in message or "/" in message.replace("://", ""):
        return f"{name}: {message!r}"
    return f"{name}: {seconds:.1f} s" if seconds > SECONDS else ""


@pytest.mark.slow
def test_each_is_refused_in_one_line_and_in_time() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of some that it then refuses
        wrong = [outcome(name, content) for name, content in [*bad_images(), *bad_dicom()]]
    assert [line for line in wrong if line] == []


def test_tolerated_ones_are_read() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, content in tolerated():
            assert min(open_image(content).size) >= 64


PEAK = """
import json, resource, warnings
warnings.simplefilter("ignore")
from lesionlens.core.errors import ImageError
from lesionlens.data.image import open_image
from tests.serving.bad_dicom import bad_dicom
from tests.serving.bad_images import bad_images
images = [*bad_images(), *bad_dicom()]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rest = peak()
for _, content in images:
    try:
        open_image(content, max_pixels=24_000_000)
    except ImageError:
        pass
print(json.dumps(peak() - rest))
"""


@pytest.mark.alone
@pytest.mark.slow
def test_none_takes_much_memory() -> None:
    pytest.importorskip("resource", reason="peak memory is not told here")
    done = subprocess.run([sys.executable, "-c", PEAK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) < MEMORY_MIB
