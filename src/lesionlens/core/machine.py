"""What this process runs on: processor, cores, and how much memory it has taken."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
STATUS = Path("/proc/self/status")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Name of the processor, as well as the system knows it."""
    if sys.platform == "linux" and CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_bytes() -> int | None:
    """Most memory that this process ever had resident; None where the system does not tell."""
    if STATUS.is_file():
        # Not ru_maxrss: on Linux a new process starts with the peak of the one that started it.
        found = [line.split()[1] for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:")]
        return 1024 * int(found[0]) if found else None
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
