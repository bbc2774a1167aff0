"""What this process runs on: its processor, its cores and its container's share of them, and its peak memory."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
STATUS = Path("/proc/self/status")
SYSTEM = Path("/")
ISA_LIMIT = "ONEDNN_MAX_CPU_ISA"
# What matters to the speed of a network, from the names that Linux gives them; x86 first, then ARM.
INSTRUCTION_SETS = (
    *("sse4_1", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2"),
)
_BEYOND_AVX2 = tuple(name for name in INSTRUCTION_SETS if name.startswith(("avx_vnni", "avx512", "amx")))
_BEYOND = {  # what oneDNN leaves unused under each value of its variable; the names are oneDNN's
    "SSE41": ("avx", "f16c", "fma", "avx2", *_BEYOND_AVX2),
    "AVX": ("f16c", "fma", "avx2", *_BEYOND_AVX2),
    "AVX2": _BEYOND_AVX2,
    "AVX2_VNNI": tuple(name for name in _BEYOND_AVX2 if name != "avx_vnni"),
    "AVX512_CORE": ("avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    "AVX512_CORE_VNNI": ("avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    "AVX512_CORE_BF16": ("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
}


def cores(system: Path = SYSTEM) -> int:
    """Number of cores that this process may keep busy: the default of every number of threads.

    It is the number of cores that the process may run on, but at most the CPU quota of its container,
    rounded up and at least 1. More threads than that would be stopped by the kernel in every period.

    Args:
        system: root of the files of the kernel; another one in tests.
    """
    quota = cpu_quota(system)
    return schedulable_cores() if quota is None else max(1, min(schedulable_cores(), math.ceil(quota)))


def library_threads(system: Path = SYSTEM) -> int:
    """Number of threads to request from a library that knows nothing of CPU quotas; 0 leaves it its own default.

    It is `cores()` where a quota allows fewer cores than the process may run on, else 0.
    """
    available = cores(system)
    return available if available < schedulable_cores() else 0


def schedulable_cores() -> int:
    """Number of cores that the scheduler may put this process on, whatever its quota."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(system: Path = SYSTEM) -> float | None:
    """CPU quota of this process in cores, for example 1.5; None without one.

    Reads `cpu.max` (cgroup v2) and `cpu.cfs_quota_us` (v1) of the process's control group and of every group
    above it; the smallest counts. A file that is missing, unreadable or damaged sets no limit.
    """
    quotas = [quota for group in _control_groups(system) if (quota := _group_quota(group)) is not None]
    return min(quotas, default=None)


def _control_groups(system: Path) -> Iterator[Path]:
    """Folders of the CPU controller that may limit this process. In a container they may all be the root."""
    mounts = system / "sys" / "fs" / "cgroup"
    for line in _text(system / "proc" / "self" / "cgroup").splitlines():
        controllers, _, group = line.partition(":")[2].partition(":")
        if line.startswith("0::"):
            roots = [mounts, mounts / "unified"]
        elif "cpu" in controllers.split(","):
            roots = [mounts / "cpu", mounts / "cpu,cpuacct", mounts / "cpuacct,cpu"]
        else:
            continue
        inside = Path(group.lstrip("/"))
        parts = [] if ".." in inside.parts else [inside, *inside.parents]
        yield from (root / part for root in roots for part in parts or [Path()])


def _group_quota(group: Path) -> float | None:
    limit = _text(group / "cpu.max").split() or [
        _text(group / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    ]
    try:
        quota_us, period_us = (int(value) for value in limit)
    except ValueError:  # `max`, no such file, or damaged
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None  # v1 writes -1 for no limit


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def processor() -> str:
    """Model name of the processor; its architecture where the system gives no name."""
    if sys.platform == "linux" and CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine_facts() -> dict[str, Any]:
    """What the speed of a network depends on: `processor`, `instruction_sets` (None if unknown), `cores` within the quota."""
    known = instruction_sets()
    return {"processor": processor(), "instruction_sets": None if known is None else list(known), "cores": cores()}


def instruction_sets(cpuinfo: Path = CPUINFO) -> tuple[str, ...] | None:
    """Those of `INSTRUCTION_SETS` that this processor has; None where the system does not say.

    Where `ONEDNN_MAX_CPU_ISA` simulates an older processor, those beyond it are left out, because OpenVINO and PyTorch
    leave them unused. ONNX Runtime has no such variable and uses whatever the processor has.

    Args:
        cpuinfo: file of the kernel; another one in tests.

    Example:
        >>> instruction_sets(Path("/no/such/file")) is None
        True
    """
    if not cpuinfo.is_file():
        return None
    lines = (line.partition(":") for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines())
    flags = next((rest.split() for name, _, rest in lines if name.strip().lower() in ("flags", "features")), None)
    if flags is None:
        return None
    here = set(flags) - set(_BEYOND.get(simulated_isa(), ()))
    return tuple(name for name in INSTRUCTION_SETS if name in here)


def simulated_isa() -> str:
    """The value of `ONEDNN_MAX_CPU_ISA`, such as `AVX2`, in capitals; empty if this processor is not told to seem older."""
    return os.environ.get(ISA_LIMIT, "").strip().upper()


def peak_memory_bytes() -> int | None:
    """Peak resident memory of this process; None where the system does not report it."""
    if STATUS.is_file():
        # Not ru_maxrss: on Linux a new process starts with the peak of the one that started it.
        peaks_kib = [line.split()[1] for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:")]
        return 1024 * int(peaks_kib[0]) if peaks_kib else None
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
