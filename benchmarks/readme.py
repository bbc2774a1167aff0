"""Puts the tables of `benchmarks/results/` into README.md, between `<!-- table: name -->` and `<!-- end -->`.

    python benchmarks/readme.py [--check]

With `--check` nothing is written, and the exit code is 1 if README.md is not what the results give.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "ece": "calibration error (ECE)",
}


def read(name: str) -> Any:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def interval(metric: dict[str, float]) -> str:
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"


def leak() -> str:
    runs = {name: read(f"{name}/scores.json") for name in ("light-lesion", "light-paper")}
    heads = {"light-lesion": "split by lesion", "light-paper": "the paper's split over images (leaks)"}
    rows = [["test images", *(f"{run['n_images']} of {run['n_lesions']} lesions" for run in runs.values())]]
    rows += [["test images whose lesion was trained on", *(f"{run['leak_rate']:.1%}" for run in runs.values())]]
    rows += [[words, *(interval(run["metrics"][name]) for run in runs.values())] for name, words in METRICS.items()]
    rows += [["melanoma: sensitivity", *(interval(run["per_class"]["mel"]["recall"]) for run in runs.values())]]
    commands = "\n".join(read(f"{name}/run.json")["command"] for name in runs)
    return table(["metric", *heads.values()], rows) + f"\n\n```text\n{commands}\n```"


def tried() -> str:
    runs = {
        "light-lesion-160": "by lesion: 160 px, tau 1.0, 10 epochs",
        "light-lesion": "by lesion: 192 px, tau 0.75, 9 epochs",
        "light-paper-first": "the paper's: 192 px, epoch 5 (validation balanced accuracy, a tie with epoch 9)",
        "light-paper": "the paper's: 192 px, epoch 9 (validation loss)",
    }
    names = ("accuracy", "balanced_accuracy", "macro_auc", "ece")
    found = {name: read(f"{name}/scores.json")["metrics"] for name in runs}
    rows = [[words, *(interval(found[name][metric]) for metric in names)] for name, words in runs.items()]
    return table(["split and settings", *(METRICS[name] for name in names)], rows)


def times() -> str:
    found = read("times.json")
    rows = [[row["what"], f"{row['seconds']:.0f} s"] for row in found["rows"]]
    return table([f"on {found['machine']}, from a fresh clone", "time"], rows) + f"\n\n`{found['command']}`"


def intervals() -> str:
    found = read("intervals.json")
    rows = [
        ["ours", f"{found['ours']['median_s']:.2f} s"],
        ["a loop over scikit-learn (scaled up)", f"{found['scikit_learn_loop_scaled']['median_s']:.0f} s"],
    ]
    what = f"{found['resamples']} resamples of {found['images']} cases, every metric, 1 thread"
    return table([what, "median"], rows) + "\n\n`python benchmarks/intervals.py`"


def augmentation() -> str:
    found = read("augmentation.json")
    sizes = [key for key in found if key.startswith("size ")]
    names = list(found[sizes[0]]["ms_per_image"])
    cells = [[f"{found[size]['ms_per_image'][name]['median_ms']:.2f}" for size in sizes] for name in names]
    what = f"table 3's ten transforms, batch {found['batch']}, {found['threads']} threads: ms per image"
    rows = [[name, *row] for name, row in zip(names, cells, strict=True)]
    return table([what, *(f"{size[5:]} px" for size in sizes)], rows) + f"\n\n`{found['command']}`"


def training() -> str:
    found = read("training.json")
    rows = [
        [
            name,
            f"{row['ours']['median']:.1f}",
            f"{row['plain']['median']:.1f}",
            f"{row['times_faster']:.2f}",
            f"{row['waiting_share']:.1%}",
        ]
        for name, row in found["networks"].items()
    ]
    head = [
        f"training step, {found['size']} px, batch {found['batch']}",
        "ours, images/s",
        "plain loop",
        "times faster",
        "waiting for images",
    ]
    return table(head, rows) + f"\n\n`{found['command']}`"


def latency() -> str:
    if not (RESULTS / "latency.json").is_file():
        return "Not measured on a quiet machine yet: `python benchmarks/latency.py`"
    found = read("latency.json")
    times = {name: f"{row['median_ms']:.1f} ({row['p95_ms']:.1f})" for name, row in found["latency"].items()}
    names = [name for name in times if not name.endswith(" with maps")]
    rows = [[name, times[name], times.get(f"{name} with maps", "")] for name in names]
    what = f"{found['network']}, {found['size']} px, batch 1, {found['threads']} threads: ms per image, median (p95)"
    return "\n\n".join([table([what, "without heat maps", "with"], rows), promises(found["targets"]), f"`{found['command']}`"])


def compression() -> str:
    if not (RESULTS / "compression.json").is_file():
        return "Not measured on a quiet machine yet: `lesionlens compress runs/light/train/best.safetensors`"
    found = read("compression.json")
    rows = [compressed(row) for row in found["rows"] if row["available"]]
    left_out = [f"{row['variant']}: {row['reason']}" for row in found["rows"] if not row["available"]]
    what = f"{found['network']}, {found['input_size']} px, {found['n_images']} test images of {found['n_lesions']} lesions"
    head = [what, "runs with", "accuracy", "balanced accuracy: difference to fp32", "ECE", "file MB", "parameters not zero"]
    head += [*(f"ms at batch {size}" for size in found["batch_sizes"]), "memory MB"]
    said = [f"The bundle runs {found['default']['variant']} by default: {found['default']['why']}", paper_footnote(found)]
    return "\n\n".join([table(head, rows), *left_out, *said, "`lesionlens compress runs/light/train/best.safetensors`"])


def compressed(row: dict[str, Any]) -> list[str]:
    metrics, times = row["metrics"], row["times"] or {}
    balanced = metrics["balanced_accuracy"]
    gap = f"{balanced['value']:.3f}"
    if row["variant"] != "fp32":
        low, high = balanced["difference_low"], balanced["difference_high"]
        gap += f": {100 * balanced['difference']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f}) points"
    each = [times.get(str(size)) for size in row["batch_sizes"]]
    speed = [f"{found['median_ms']:.2f} ({found['p95_ms']:.2f})" if found else "" for found in each]
    peak = row["peak_memory_bytes"]
    plain = [f"{row['size_bytes'] / 1e6:.2f}", f"{row['nonzero_parameters']:,}", *speed, f"{peak / 1e6:.0f}" if peak else ""]
    return [row["variant"], row["runtime"], f"{metrics['accuracy']['value']:.3f}", gap, f"{metrics['ece']['value']:.3f}", *plain]


def paper_footnote(found: dict[str, Any]) -> str:
    before, after, linear = (found["paper_count"][name] for name in ("fp32", "dynamic_int8", "linear"))
    return (
        f"The paper would count {before['parameters']:,} parameters ({before['size_mib']:.2f} MB) in fp32 and "
        f"{after['parameters']:,} ({after['size_mib']:.2f} MB) after dynamic int8: `parameters()` does not show the {linear:,} "
        "numbers that linear layers then hold packed. They are in the file all the same; the table has bytes on disk."
    )


def promises(targets: dict[str, Any]) -> str:
    rows = []
    for name, row in targets.items():
        kind = next((key for key in row if key.startswith("at_")), "")
        wanted = f"{kind.replace('_', ' ')} {row[kind]:g}" if kind else "none loaded"
        value = row["value"]
        measured = f"{value:.3g}" if kind else ("loaded" if value else "none loaded")
        rows.append([name, wanted, f"{measured}{'' if row['met'] else ', **missed**'}"])
    return table(["aim", "wanted", "measured"], rows)


def serving() -> str:
    runs = read("serving.json")["bundles"]
    cells = {
        "bare Predictor, images/s (median of rounds)": lambda run: f"{median(one['images_per_s'] for one in run['bare']):.1f}",
        "server, images/s": lambda run: f"{median(one['images_per_s'] for one in run['served']):.1f}",
        "share of the bare Predictor (goal 0.9)": lambda run: f"{run['share_of_bare']['median']:.2f}",
        "latency p50 / p95 / p99, ms": lambda run: " / ".join(
            f"{median(one['latency_ms'][name] for one in run['served']):.0f}" for name in ("p50", "p95", "p99")
        ),
        "answers": lambda run: ", ".join(f"{kind}: {count}" for kind, count in sorted(run["statuses"].items())),
        "memory, MiB; slope, MiB a minute": lambda run: (
            f"{run['served'][-1]['memory']['mean_mib']:.0f}; {run['served'][-1]['memory']['slope_mib_per_min']:+.1f}"
        ),
        "kill -9 under load: acknowledged, missing": lambda run: f"{run['kill_9']['acknowledged']}, {run['kill_9']['missing']}",
    }
    first = next(iter(runs.values()))
    rows = [[words, *(cell(run) for run in runs.values())] for words, cell in cells.items()]
    load = f"{first['clients']} clients on loopback, {first['rounds']} rounds of {first['seconds']:g} s"
    what = f"{load}, {first['machine']['cores']} cores"
    return table([what, *runs], rows) + f"\n\n`{first['command']}`"


def explanation() -> str:
    found = read("explanation.json")
    located = found["faithfulness"]["localisation"]
    names = {
        "pointing_game": "highest cell inside the lesion",
        "energy_inside": "share of the map inside",
        "best_iou": "best IoU",
    }
    subjects = {
        "this network": located["metrics"],
        "networks with random weights": located["controls"]["random_weights"],
        "this network's map of another image": located["controls"]["other_image"],
        "a fixed blob in the centre": located["controls"]["centre"],
    }
    rows = [[words, *(interval(row[name]) for name in names)] for words, row in subjects.items()]
    what = f"{found['model']}, {found['input_size']} px, {located['metrics']['n']} test images: map of"
    parity = found["parity"]
    same = (
        f"Closed form against captum's LayerGradCam, {parity['classes']} diagnoses of {parity['images']} images: "
        f"largest difference {parity['largest_difference_of_range']:.1e} of a map's range."
    )
    return "\n\n".join([table([what, *names.values()], rows), same, "`python benchmarks/explanation.py CHECKPOINT ...`"])


TABLES = {
    "explanation": explanation,
    "latency": latency,
    "compression": compression,
    "leak": leak,
    "tried": tried,
    "times": times,
    "intervals": intervals,
    "augmentation": augmentation,
    "training": training,
    "serving": serving,
}


def filled(text: str) -> str:
    """The text with every table made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    after = filled(before)
    if parser.parse_args().check:
        sys.exit(after != before)
    readme.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
