"""Score an archive on a Ray cluster of one and of two nodes, and with a process killed, against one process without Ray.

    python benchmarks/scale.py --data data/HAM10000 [--bundle BUNDLE] [--images 0] [--out benchmarks/results/scale.json]

Every node is a group of processes with one CPU on this machine, so two of them need two idle cores. The rows of every run are
compared with those of the single process: all columns but the times. Without --bundle it makes one of MobileNetV2 with random
weights: its time is that of trained ones. --images 0 takes all images below --data.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from lesionlens.bundle.benchmark import machine, versions
from lesionlens.bundle.bundle import open_bundle
from lesionlens.cluster.results import TIMES, columns_of, read_results, without_times
from lesionlens.data.files import LeftOut, image_files
from output import write_or_print
from ray_cluster import Command, ray_cluster
from source_version import commit

NETWORK, SIZE, CALIBRATION = "mobilenetv2_100", 192, 60
MOST_EXAMPLES = 3


def own_bundle(folder: Path) -> Path:
    """A bundle of a network with random weights, in fp32 and int8."""
    from workshop import Workshop

    return Workshop(folder, NETWORK, SIZE, CALIBRATION, 0.5).bundle(NETWORK).path


def words(options: argparse.Namespace) -> list[str]:
    chosen = ["--variant", options.variant, "--runtime", options.runtime, "--batch-size", str(options.batch_size)]
    return ["predict", str(options.bundle), "-", "--threads", "1", *chosen]


def single(options: argparse.Namespace, listed: Path, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One process without Ray: its time, and its rows."""
    out = folder / "single.jsonl"
    command = [sys.executable, "-m", "lesionlens", *words(options), "--out", str(out)]
    started = time.monotonic()
    with listed.open("rb") as stream:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, stdin=stream, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    rows = [columns_of(json.loads(line)) for line in out.read_text(encoding="utf-8").splitlines()]
    steps = {name: round(median(row[name] for row in rows if name in row), 3) for name in TIMES}
    facts = {"seconds": round(seconds, 2), "images_per_second": round(len(rows) / seconds, 2), "median_ms": steps}
    return facts, [without_times(row) for row in rows]


def on_ray(
    options: argparse.Namespace, listed: Path, folder: Path, nodes: int, killed: bool = False
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Processes on a cluster, one on each node; one of them is killed when a third of the shards is done."""
    out = folder / f"ray-{nodes}{'-killed' if killed else ''}"
    with ray_cluster(nodes) as cluster:
        started = time.monotonic()
        command = Command(cluster, *words(options), "--out", out, "--shard-size", options.shard_size, listed=listed)
        process = int(command.until(r"process (\d+) on .* is ready")[1])
        ready = time.monotonic()
        if killed:
            shards = len((out / "_shards.jsonl").read_text(encoding="utf-8").splitlines())
            while len(list(out.glob("part-*"))) < max(1, shards // 3):
                time.sleep(0.05)
            os.kill(process, signal.SIGKILL)
        code, ended = command.end(), time.monotonic()
    if code:
        raise SystemExit("\n".join(command.lines))
    summary = json.loads((out / "_summary.json").read_text(encoding="utf-8"))
    size = sum(path.stat().st_size for path in out.glob("part-*"))
    facts = {
        "nodes": nodes,
        "seconds": round(ended - started, 2),
        "seconds_to_first_process": round(ready - started, 2),
        "images_per_second_after_that": round(summary["images"] / (ended - ready), 2),
        "processes_lost": summary["processes_lost_in_this_call"],
        "shards_lost": summary["shards_lost"],
        "bytes_per_row": round(size / max(1, summary["images"]), 1),
    }
    return facts, [without_times(row) for row in read_results(str(out))]


def compared(found: list[dict[str, Any]], expected: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """How many rows are missing, twice, or different from those of the single process."""
    wanted = {row["source"]: row for row in expected}
    sources = [row["source"] for row in found]
    different = [row["source"] for row in found if wanted.get(row["source"]) != row]
    in_order = sources == list(wanted)
    return {
        "rows": len(found),
        "missing": len(wanted.keys() - set(sources)),
        "twice": len(sources) - len(set(sources)),
        "different": len(different),
        "examples": different[:MOST_EXAMPLES],
        "equal": in_order and not different,
    }


def benchmark(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    if options.bundle is None:
        options.bundle = own_bundle(folder / "workshop")
    paths = sorted(image_files(options.data, LeftOut()))[: options.images or None]
    listed = folder / "images.txt"
    listed.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    bundle = open_bundle(options.bundle)
    alone, expected = single(options, listed, folder)
    print(f"one process: {alone['images_per_second']:.1f} images/s", file=sys.stderr)
    runs = {}
    for name, nodes, killed in (("1 process", 1, False), ("2 processes", 2, False), ("2 processes, one killed", 2, True)):
        facts, rows = on_ray(options, listed, folder, nodes, killed)
        runs[name] = {**facts, "compared": compared(rows, expected)}
        print(f"{name}: {facts['images_per_second_after_that']:.1f} images/s, {runs[name]['compared']}", file=sys.stderr)
    return {
        "command": f"python benchmarks/scale.py --data data/HAM10000 --batch-size {options.batch_size}",
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "network": bundle.name,
        "size": bundle.spec.size,
        "variant": options.variant,
        "runtime": options.runtime,
        "batch_size": options.batch_size,
        "shard_size": options.shard_size,
        "images": len(paths),
        "bytes_per_image": round(sum(path.stat().st_size for path in paths) / max(1, len(paths))),
        "single": alone,
        "ray": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--variant", default="fp32")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--shard-size", type=int, default=250)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lesionlens-scale-") as folder:
        result = benchmark(options, Path(folder))
    write_or_print(result, options.out)
    if not all(run["compared"]["equal"] for run in result["ray"].values()):
        sys.exit("rows differ from those of the single process; see `compared`")


if __name__ == "__main__":
    main()
