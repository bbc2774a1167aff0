"""Write the measurements of `benchmarks/results/scale.json` and what follows from them into docs/scale.md.

    python benchmarks/scale_tables.py [--check]

A table stands between `<!-- scale: name -->` and `<!-- end -->`. With `--check` nothing is written, and the exit code is 1 if
the page is not what the results give.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from markdown_tables import ROOT, table

DOCUMENT = ROOT / "docs" / "scale.md"
RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
BLOCK = re.compile(r"(<!-- scale: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
COMMAND = "python benchmarks/scale.py --data data/HAM10000 --out benchmarks/results/scale.json"

ARCHIVES = (10_000, 1_000_000, 100_000_000)
CLUSTERS = {"1 machine of 2 cores": (1, 2), "1 machine of 16 cores": (1, 16), "50 machines of 16 cores": (50, 16)}
# Assumptions, stated on the page; replace them by your own.
CPU_HOUR_USD, GB_MONTH_USD, REQUEST_USD, NETWORK_GBIT = 0.05, 0.023, 4e-7, 10.0
TAR_IMAGES = 1000


def measured(result: dict[str, Any]) -> str:
    alone = result["single"]
    rows = [
        ["without Ray, 1 process, with its start", f"{alone['images_per_second']:.1f}", f"{alone['seconds']:.0f} s", "-", "-"]
    ]
    for name, run in result["ray"].items():
        same = run["compared"]
        equal = "all" if same["equal"] else f"{same['different']} differ, {same['missing']} missing, {same['twice']} twice"
        speed, start = f"{run['images_per_second_after_that']:.1f}", f"{run['seconds_to_first_process']:.0f} s"
        rows.append([f"on Ray, {name}", speed, f"{run['seconds']:.0f} s", start, f"{equal} of {same['rows']:,}"])
    what = f"{result['network']}, {result['size']} px, {result['variant']}, {result['images']:,} images"
    steps = result["single"]["median_ms"]
    note = (
        f"Each process has 1 thread and batches of {result['batch_size']}; a shard has {result['shard_size']} images. Median per "
        f"image: decode {steps['decode_ms']:.1f} ms, resize {steps['resize_ms']:.1f} ms, network {steps['network_ms']:.1f} ms. "
        f"An image has {result['bytes_per_image'] / 1e3:.0f} kB, and its row {result['ray']['2 processes']['bytes_per_row']:.0f} "
        "bytes. Speed on Ray is counted from the first process that is ready."
    )
    head = [what, "images/s", "time in all", "until the first process is ready", "rows equal to those of one process"]
    return "\n\n".join([table(head, rows), note, f"`{result['command']}`"])


def arithmetic(result: dict[str, Any]) -> str:
    pair = result["ray"]["2 processes"]["images_per_second_after_that"]
    per_process = pair / 2
    start_s = result["ray"]["1 process"]["seconds_to_first_process"]
    row_bytes, image_bytes = result["ray"]["2 processes"]["bytes_per_row"], result["bytes_per_image"]
    rows = []
    for images in ARCHIVES:
        for name, (machines, cores) in CLUSTERS.items():
            work_s = images / (per_process * machines * cores)
            cpu_hours = (start_s + work_s) / 3600 * machines * cores
            stream = per_process * cores * image_bytes * 8 / 1e9
            rows.append(
                [
                    f"{images:,}",
                    name,
                    duration(start_s + work_s),
                    f"{cpu_hours:,.1f}",
                    f"{cpu_hours * CPU_HOUR_USD + images / TAR_IMAGES * REQUEST_USD:,.2f}",
                    f"{size(images * image_bytes)} / {size(images * row_bytes)}",
                    f"{stream:.2f}",
                    bottleneck(start_s, work_s, stream, result["single"]["median_ms"]),
                ]
            )
    head = ["images", "cluster", "time", "CPU hours", "USD", "images / results", "Gbit/s into a machine", "bottleneck"]
    month = ARCHIVES[-1] * image_bytes / 1e9 * GB_MONTH_USD
    note = (
        f"From the measured {pair:.1f} images/s of two processes, half of it for each core, {start_s:.0f} s until processes are "
        f"ready, and {image_bytes / 1e3:.0f} kB an image; a core elsewhere is faster or slower, and cores that share memory slow "
        f"each other down. Assumed, not measured: {CPU_HOUR_USD} USD for a CPU hour, {REQUEST_USD * 1e6:g} USD for a million "
        f"requests with tars of {TAR_IMAGES:,} images, {GB_MONTH_USD} USD for a gigabyte and month, {NETWORK_GBIT:g} Gbit/s "
        f"into each machine. Keeping {ARCHIVES[-1]:,} such images costs {month:,.0f} USD a month. "
        f"As loose files they are {ARCHIVES[-1]:,} requests, {ARCHIVES[-1] * REQUEST_USD:,.0f} USD, and a listing of "
        f"{ARCHIVES[-1] // 1000:,} pages; in tars, {ARCHIVES[-1] // TAR_IMAGES:,} shards, which one driver plans and counts."
    )
    return "\n\n".join([table(head, rows), note, "`python benchmarks/scale_tables.py` computes it"])


def bottleneck(start_s: float, work_s: float, stream_gbit: float, steps: dict[str, float]) -> str:
    """What limits the work: its start, the network into a machine, or the step that takes most of a core."""
    if start_s > work_s:
        return "the start"
    if stream_gbit > NETWORK_GBIT:
        return "the network"
    name = max(steps, key=steps.__getitem__)
    words = {"decode_ms": "decoding", "resize_ms": "resizing", "network_ms": "the neural network"}
    return f"CPU: {words[name]} ({steps[name] / sum(steps.values()):.0%})"


def duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def size(n_bytes: float) -> str:
    for unit, length in (("TB", 1e12), ("GB", 1e9)):
        if n_bytes >= length:
            return f"{n_bytes / length:.1f} {unit}"
    return f"{n_bytes / 1e6:.1f} MB"


TABLES = {"measured": measured, "arithmetic": arithmetic}


def with_tables(text: str) -> str:
    """The page with what the results give, or with the command that makes them."""
    if not RESULTS.is_file():
        return BLOCK.sub(lambda block: f"{block[1]}Not measured on a quiet machine yet: `{COMMAND}`\n{block[3]}", text)
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]](result)}\n{block[3]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = DOCUMENT.read_text(encoding="utf-8")
    made = with_tables(text)
    if made != text and not check:
        DOCUMENT.write_text(made, encoding="utf-8")
    sys.exit(made != text and check)


if __name__ == "__main__":
    main()
