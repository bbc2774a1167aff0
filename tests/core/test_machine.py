"""Cores, processor and memory of this process."""

import subprocess
import sys

import numpy as np
import pytest

from lesionlens.core.machine import cores, peak_memory_bytes, processor

COUNT = "from lesionlens.core.machine import peak_memory_bytes; print(peak_memory_bytes())"


def test_there_is_a_core_and_a_name():
    assert cores() >= 1
    assert processor()


def test_what_was_held_once_counts_for_good():
    before = peak_memory_bytes()
    if before is None:
        pytest.skip("this system does not tell the memory of a process")
    np.ones(30_000_000, np.uint8).sum()
    held = np.ones(before + 50_000_000, np.uint8)
    del held
    assert peak_memory_bytes() > before + 50_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak of the starting process may be counted in")
def test_the_memory_of_the_process_that_started_this_one_does_not_count():
    held = np.ones(200_000_000, np.uint8)
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < len(held) // 2
