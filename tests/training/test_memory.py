"""Large tensors come from memory that the process kept, not from new pages."""

import subprocess
import sys

import pytest

from lesionlens.training.memory import keep_memory

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SCRIPT = """
import resource, torch
from lesionlens.training.memory import keep_memory
if {keep}:
    assert keep_memory()
for number in range(30):
    torch.zeros(12 << 20)  # 48 MiB
    if number == 15:  # the heap has settled
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(keep):
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(keep=keep)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only the C library of Linux has this option")
def test_kept_memory_is_used_again():
    assert page_faults(keep=True) < page_faults(keep=False) / 10


def test_elsewhere_it_does_nothing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_memory()
