"""Memory that Pillow keeps: pages are no longer cleared for every image, and the pixels are the same."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from PIL import Image
from lesionlens.data.pillow_memory import reuse_memory

if sys.argv[1] == "reuse":
    reuse_memory()
photo = Image.effect_noise((600, 450), 60).convert("RGB")
for number in range(-3, 20):
    if number == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    photo.copy().resize((384, 384), Image.Resampling.BILINEAR)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, Image.core.get_blocks_max())
"""


def faults(kind: str, **variables: str) -> tuple[int, int]:
    command = [sys.executable, "-c", FAULTS, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **variables})
    count, blocks = done.stdout.split()
    return int(count), int(blocks)


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted by Linux")
def test_pages_are_kept():
    before, after = faults("as it is"), faults("reuse")
    assert after[1] == 4
    assert after[0] < before[0] / 4, (before, after)


def test_pillows_own_variables_have_the_last_word():
    assert faults("reuse", PILLOW_BLOCKS_MAX="7")[1] == 7
