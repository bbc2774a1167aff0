"""Cores, processor and memory of this process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lesionlens.core import machine
from lesionlens.core.machine import cores, cpu_quota, library_threads, peak_memory_bytes, processor

COUNT = "from lesionlens.core.machine import peak_memory_bytes; print(peak_memory_bytes())"


def test_there_is_a_core_and_a_name():
    assert cores() >= 1
    assert processor()


def kernel(root: Path, cgroup: str, **files: str) -> Path:
    """A root folder with the kernel's files; double underscores stand for slashes and `_dot_` for a dot."""
    for name, text in {"proc__self__cgroup": cgroup, **files}.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2, V1 = "0::/\n", "3:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n"


@pytest.mark.parametrize(
    ("cgroup", "files", "quota", "expected"),
    [
        (V2, {"sys__fs__cgroup__cpu_dot_max": "200000 100000\n"}, 2.0, 2),
        (V2, {"sys__fs__cgroup__cpu_dot_max": "150000 100000\n"}, 1.5, 2),
        (V2, {"sys__fs__cgroup__cpu_dot_max": "10000 100000\n"}, 0.1, 1),
        (V2, {"sys__fs__cgroup__cpu_dot_max": "1600000 100000\n"}, 16.0, 8),
        (V2, {"sys__fs__cgroup__cpu_dot_max": "max 100000\n"}, None, 8),
        (V2, {}, None, 8),
        (
            "0::/pod/box\n",
            {"sys__fs__cgroup__pod__cpu_dot_max": "300000 100000", "sys__fs__cgroup__pod__box__cpu_dot_max": "max 100000"},
            3.0,
            3,
        ),
        ("0::/../other\n", {"sys__fs__cgroup__cpu_dot_max": "400000 100000"}, 4.0, 4),
        (
            V1,
            {
                "sys__fs__cgroup__cpu,cpuacct__docker__ab__cpu_dot_cfs_quota_us": "250000\n",
                "sys__fs__cgroup__cpu,cpuacct__docker__ab__cpu_dot_cfs_period_us": "50000\n",
            },
            5.0,
            5,
        ),
        (
            V1,  # in a container the group itself is mounted as the root
            {"sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us": "100000", "sys__fs__cgroup__cpu__cpu_dot_cfs_period_us": "100000"},
            1.0,
            1,
        ),
        (
            V1,
            {"sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us": "-1", "sys__fs__cgroup__cpu__cpu_dot_cfs_period_us": "100000"},
            None,
            8,
        ),
        (V2, {"sys__fs__cgroup__cpu_dot_max": "200000"}, None, 8),
        (V2, {"sys__fs__cgroup__cpu_dot_max": "200000 0"}, None, 8),
        (V2, {"sys__fs__cgroup__cpu_dot_max": "two cores"}, None, 8),
        (V2, {"sys__fs__cgroup__cpu_dot_max": ""}, None, 8),
        ("garbage", {"sys__fs__cgroup__cpu_dot_max": "200000 100000"}, None, 8),
    ],
)
def test_the_quota_of_the_container_bounds_the_cores(tmp_path, monkeypatch, cgroup, files, quota, expected):
    monkeypatch.setattr(machine, "schedulable_cores", lambda: 8)
    root = kernel(tmp_path, cgroup, **files)
    assert cpu_quota(root) == quota
    assert cores(root) == expected
    assert library_threads(root) == (0 if expected == 8 else expected)


def test_the_cores_that_the_process_may_run_on_bound_a_larger_quota(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda process: {0, 3}, raising=False)
    root = kernel(tmp_path, V2, sys__fs__cgroup__cpu_dot_max="600000 100000")
    assert cores(root) == 2
    assert library_threads(root) == 0


def test_a_kernel_without_control_groups(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert cores(tmp_path) == machine.schedulable_cores()


@pytest.mark.alone
@pytest.mark.slow  # allocates more than the process has ever held
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


AVX2, NEW = "avx fma avx2", "avx fma avx2 avx_vnni avx512f avx512_vnni avx512_bf16"


@pytest.mark.parametrize(
    ("flags", "limit", "expected"),
    [
        (f"sse {AVX2}", "", AVX2),
        (NEW, "", NEW),
        (NEW, "avx2", AVX2),
        (NEW, "AVX2", AVX2),
        (NEW, "AVX2_VNNI", "avx fma avx2 avx_vnni"),
        (NEW, "AVX512_CORE_VNNI", "avx fma avx2 avx512f avx512_vnni"),
        (NEW, "SSE41", ""),
        (NEW, "DEFAULT", NEW),
    ],
)
def test_instruction_sets(flags, limit, expected, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    found = machine.instruction_sets(tmp_path / "cpuinfo")
    assert found is not None
    assert set(found) == set(expected.split())


def test_instruction_sets_of_arm_and_of_no_file(tmp_path):
    (tmp_path / "cpuinfo").write_text("Features : fp asimd asimddp i8mm\n")
    assert machine.instruction_sets(tmp_path / "cpuinfo") == ("asimd", "asimddp", "i8mm")
    (tmp_path / "empty").write_text("nothing\n")
    assert machine.instruction_sets(tmp_path / "empty") is None
    assert machine.instruction_sets(tmp_path / "none") is None
