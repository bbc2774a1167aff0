"""Tables of time, size and memory, for `readme.py`."""

from __future__ import annotations

from statistics import median
from typing import Any

import avx2_table
from markdown_tables import RESULTS, read, table

KINDS = ("", "_avx2")  # of processor: files end so; with products of int8 (VNNI) and bf16, and with AVX2 alone


def kinds(name: str) -> list[dict[str, Any]]:
    """The results of one benchmark, one for each kind of processor on which it was measured."""
    return [read(f"{name}{kind}.json") for kind in KINDS if (RESULTS / f"{name}{kind}.json").is_file()]


def processor(machine: dict[str, Any]) -> str:
    """A machine by its processor and the instructions that matter here."""
    name = machine.get("processor") or machine["cpu"]
    newer = machine.get("int8_instructions", True)
    return f"{name}, {'AVX-512, VNNI, bf16' if newer else 'AVX2 alone'}"


def speed() -> str:
    latencies, trainings = kinds("latency"), kinds("training")
    columns = [f"{side}, {processor(result['machine'])}" for result in latencies for side in ("LesionLens", "compared with")]
    intervals, times = read("intervals.json"), read("times.json")
    (demo,) = (row["seconds"] for row in times["rows"] if row["what"].startswith("`make demo`"))
    ours, loop = (intervals[name]["median_s"] for name in ("ours", "scikit_learn_loop_scaled"))
    rows = [
        [f"training, ConvNeXt-Tiny, {trainings[0]['size']} px", *(cell for each in trainings for cell in training_cells(each))],
        [
            f"prediction with heat maps, ConvNeXt-Tiny, {latencies[0]['size']} px",
            *(cell for each in latencies for cell in prediction_cells(each)),
        ],
        ["`lesionlens predict`, cold start", *(cell for each in latencies for cell in (cold_cell(each), ""))],
        [f"{intervals['resamples']:,} resamples of every metric", f"{ours:.2f} s", f"{loop:.0f} s (scikit-learn)"],
        ["`make demo`, images to report", f"{demo:.0f} s", ""],
    ]
    filled = [row + [""] * (1 + len(columns) - len(row)) for row in rows]
    return table([f"on {times['machine'].split(' with ')[0]}", *columns], filled)


def training_cells(result: dict[str, Any]) -> list[str]:
    step = result["networks"]["convnext_tiny"]
    rates = f"{step['ours']['median']:.1f} images/s", f"{step['plain']['median']:.1f} images/s (plain loop, fp32)"
    return list(rates)


def prediction_cells(result: dict[str, Any]) -> list[str]:
    times = result["latency"]
    default = result.get("chosen", {"runtime": "openvino", "variant": "int8"})
    best = times[f"{default['runtime']} {default['variant']} with maps"]["median_ms"]
    return [f"{best:.0f} ms ({default['variant']})", f"{times['pytorch fp32 with maps']['median_ms']:.0f} ms (PyTorch)"]


def cold_cell(result: dict[str, Any]) -> str:
    cold = result["targets"]
    return f"{cold['cold start, s']['value']:.1f} s, {cold['cold start, MB']['value']:.0f} MB"


def times() -> str:
    result = read("times.json")
    rows = [[row["what"], f"{row['seconds']:.0f} s"] for row in result["rows"]]
    return table([f"on {result['machine']}, from a fresh clone", "time"], rows) + f"\n\n`{result['command']}`"


def augmentation() -> str:
    result = read("augmentation.json")
    sizes = [key for key in result if key.startswith("size ")]
    names = list(result[sizes[0]]["ms_per_image"])
    cells = [[f"{result[size]['ms_per_image'][name]['median_ms']:.2f}" for size in sizes] for name in names]
    what = f"the paper's ten transforms (table 3), batch {result['batch']}, {result['threads']} threads: ms per image"
    rows = [[name.replace("ours", "LesionLens"), *row] for name, row in zip(names, cells, strict=True)]
    return table([what, *(f"{size[5:]} px" for size in sizes)], rows) + f"\n\n`{result['command']}`"


def training() -> str:
    return "\n\n".join(training_table(result) for result in kinds("training"))


def training_table(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{row['ours']['median']:.1f}",
            f"{row['plain']['median']:.1f}",
            f"{row['times_faster']:.2f}",
            f"{row['waiting_share']:.1%}",
        ]
        for name, row in result["networks"].items()
    ]
    head = [
        f"training step, {result['size']} px, batch {result['batch']}; {processor(result['machine'])}",
        "LesionLens, images/s",
        "plain loop",
        "times faster",
        "time waiting for images",
    ]
    return table(head, rows) + f"\n\n`{result['command']}`"


def latency() -> str:
    results = kinds("latency")
    if not results:
        return "Not measured on a quiet machine yet: `python benchmarks/latency.py`"
    first = results[0]
    names = list(dict.fromkeys(name for result in results for name in result["latency"] if not name.endswith(" with maps")))
    rows = [[name, *(cell for result in results for cell in latency_cells(result, name))] for name in names]
    head = [f"{first['network']}, {first['size']} px, batch 1, {first['threads']} threads: ms per image, median (p95)"]
    head += [f"{side} heat maps, {processor(result['machine'])}" for result in results for side in ("without", "with")]
    return "\n\n".join([table(head, rows), *(remarks(result) for result in results)])


def latency_cells(result: dict[str, Any], name: str) -> list[str]:
    times = {key: f"{row['median_ms']:.1f} ({row['p95_ms']:.1f})" for key, row in result["latency"].items()}
    return [times.get(name, ""), times.get(f"{name} with maps", "")]


def remarks(result: dict[str, Any]) -> str:
    """Targets, choice and what was left out on one kind of processor."""
    left_out = [f"Left out: {name}, because {reason}." for name, reason in result.get("left_out", {}).items()]
    chosen = result.get("chosen")
    choice = [f"`lesionlens tune` chose {chosen['variant']} on {chosen['runtime']}."] if chosen else []
    lines = [f"On {processor(result['machine'])}:", targets_table(result["targets"]), *choice, *left_out]
    return "\n\n".join([*lines, f"`{result['command']}`"])


def avx2() -> str:
    results = [read(name) for name in ("avx2_real.json", "avx2.json") if (RESULTS / name).is_file()]
    if not results:
        return "Not measured on a quiet machine yet: `python benchmarks/avx2.py`"
    return "\n\n".join(avx2_table.text(result) for result in results)


def compression() -> str:
    if not (RESULTS / "compression.json").is_file():
        return "Not measured on a quiet machine yet: `lesionlens compress runs/light/train/best.safetensors`"
    result = read("compression.json")
    rows = [compressed(row) for row in result["rows"] if row["available"]]
    left_out = [f"{row['variant']}: {row['reason']}" for row in result["rows"] if not row["available"]]
    what = f"{result['network']}, {result['input_size']} px, {result['n_images']} test images of {result['n_lesions']} lesions"
    head = [what, "runtime", "accuracy", "balanced accuracy: difference to fp32", "ECE", "file, MB", "non-zero parameters"]
    head += [*(f"ms per image, batch {size}" for size in result["batch_sizes"]), "memory, MB"]
    notes = [f"The bundle runs {result['default']['variant']} by default: {result['default']['why']}", paper_footnote(result)]
    return "\n\n".join([table(head, rows), *left_out, *notes, "`lesionlens compress runs/light/train/best.safetensors`"])


def compressed(row: dict[str, Any]) -> list[str]:
    metrics, times = row["metrics"], row["times"] or {}
    balanced = metrics["balanced_accuracy"]
    gap = f"{balanced['value']:.3f}"
    if row["variant"] != "fp32":
        low, high = balanced["difference_low"], balanced["difference_high"]
        gap += f": {100 * balanced['difference']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}) points"
    each = [times.get(str(size)) for size in row["batch_sizes"]]
    speed = [f"{time['median_ms']:.2f} ({time['p95_ms']:.2f})" if time else "" for time in each]
    peak = row["peak_memory_bytes"]
    plain = [f"{row['size_bytes'] / 1e6:.2f}", f"{row['nonzero_parameters']:,}", *speed, f"{peak / 1e6:.0f}" if peak else ""]
    return [row["variant"], row["runtime"], f"{metrics['accuracy']['value']:.3f}", gap, f"{metrics['ece']['value']:.3f}", *plain]


def paper_footnote(result: dict[str, Any]) -> str:
    before, after, linear = (result["paper_count"][name] for name in ("fp32", "dynamic_int8", "linear"))
    return (
        f"Counted as in the paper, the network has {before['parameters']:,} parameters ({before['size_mib']:.2f} MB) in fp32 and "
        f"{after['parameters']:,} ({after['size_mib']:.2f} MB) after dynamic int8, because `parameters()` omits the {linear:,} "
        "packed parameters of quantised linear layers. The file still contains them; the table shows bytes on disk."
    )


def targets_table(targets: dict[str, Any]) -> str:
    rows = []
    for name, row in targets.items():
        kind = next((key for key in row if key.startswith("at_")), "")
        target = f"{kind.replace('_', ' ')} {row[kind]:g}" if kind else "none loaded"
        value = row["value"]
        measured = f"{value:.3g}" if kind else ("loaded" if value else "none loaded")
        rows.append([name, target, f"{measured}{'' if row['met'] else ', **missed**'}"])
    return table(["", "target", "measured"], rows)


def serving() -> str:
    runs = read("serving.json")["bundles"]
    cells = {
        "rounds, seconds each": lambda run: f"{run['rounds']}, {run['seconds']:g}",
        "bare Predictor, images/s (median of rounds)": lambda run: f"{median(one['images_per_s'] for one in run['bare']):.1f}",
        "server, images/s": lambda run: f"{median(one['images_per_s'] for one in run['served']):.1f}",
        "share of the bare Predictor (target: 0.9)": lambda run: f"{run['share_of_bare']['median']:.2f}",
        "latency p50 / p95 / p99, ms": lambda run: " / ".join(
            f"{median(one['latency_ms'][name] for one in run['served']):.0f}" for name in ("p50", "p95", "p99")
        ),
        "responses by HTTP status": lambda run: ", ".join(f"{kind}: {count}" for kind, count in sorted(run["statuses"].items())),
        "memory, MiB; slope, MiB per minute": lambda run: (
            f"{run['served'][-1]['memory']['mean_mib']:.0f}; {run['served'][-1]['memory']['slope_mib_per_min']:+.1f}"
        ),
        "kill -9 under load: acknowledged, missing": lambda run: f"{run['kill_9']['acknowledged']}, {run['kill_9']['missing']}",
    }
    first = next(iter(runs.values()))
    rows = [[words, *(cell(run) for run in runs.values())] for words, cell in cells.items()]
    what = f"{first['clients']} clients on loopback, {first['machine']['cores']} cores"
    return table([what, *runs], rows) + f"\n\n`{first['command']}`"


TABLES = {
    "speed": speed,
    "times": times,
    "augmentation": augmentation,
    "training": training,
    "latency": latency,
    "avx2": avx2,
    "compression": compression,
    "serving": serving,
}
