"""Generate the tables of README.md and docs/ from `benchmarks/results/`.

    python benchmarks/readme.py [--check]

A table stands in every page that has its markers, between `<!-- table: name -->` and `<!-- end -->`. With `--check`
nothing is written, and the exit code is 1 if a page differs from what the results give.
`results/grids/NAME.json`, the `table.json` of a grid, gives the table `grid-NAME`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import model_tables
from lesionlens.experiments import formats

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))  # a test loads this file from elsewhere

import avx2_table  # noqa: E402  beside this file

RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
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
    scores = {name: read(f"{name}/scores.json")["metrics"] for name in runs}
    rows = [[words, *(interval(scores[name][metric]) for metric in names)] for name, words in runs.items()]
    return table(["split and settings", *(METRICS[name] for name in names)], rows)


def speed() -> str:
    latency, training, intervals, times = (read(f"{name}.json") for name in ("latency", "training", "intervals", "times"))
    ms = {name: f"{row['median_ms']:.0f} ms" for name, row in latency["latency"].items()}
    step, cold = training["networks"]["convnext_tiny"], latency["targets"]
    (demo,) = (row["seconds"] for row in times["rows"] if row["what"].startswith("`make demo`"))
    ours, loop = (intervals[name]["median_s"] for name in ("ours", "scikit_learn_loop_scaled"))
    rows = [
        [
            f"training, ConvNeXt-Tiny, {training['size']} px",
            f"{step['ours']['median']:.1f} images/s",
            f"{step['plain']['median']:.1f} images/s (plain loop, fp32)",
        ],
        [
            f"prediction with heat maps, ConvNeXt-Tiny, {latency['size']} px",
            f"{ms['openvino int8 with maps']} (int8)",
            f"{ms['pytorch fp32 with maps']} (PyTorch)",
        ],
        [f"{intervals['resamples']:,} resamples of every metric", f"{ours:.2f} s", f"{loop:.0f} s (scikit-learn)"],
        [
            "`lesionlens predict`, cold start",
            f"{cold['cold start, s']['value']:.1f} s, {cold['cold start, MB']['value']:.0f} MB",
            "",
        ],
        ["`make demo`, images to report", f"{demo:.0f} s", ""],
    ]
    return table([f"on {times['machine']}", "LesionLens", "compared with"], rows)


def times() -> str:
    result = read("times.json")
    rows = [[row["what"], f"{row['seconds']:.0f} s"] for row in result["rows"]]
    return table([f"on {result['machine']}, from a fresh clone", "time"], rows) + f"\n\n`{result['command']}`"


def intervals() -> str:
    result = read("intervals.json")
    rows = [
        ["LesionLens", f"{result['ours']['median_s']:.2f} s"],
        ["a loop over scikit-learn (extrapolated)", f"{result['scikit_learn_loop_scaled']['median_s']:.0f} s"],
    ]
    what = f"{result['resamples']} resamples of {result['images']} cases, every metric, 1 thread"
    return table([what, "median"], rows) + "\n\n`python benchmarks/intervals.py`"


def coverage() -> str:
    """Overall metrics one by one; of the metrics of diagnoses the lowest and the highest coverage."""
    result = read("coverage.json")
    scenarios = result["scenarios"]
    names = list(dict.fromkeys(name.split()[0] for rows in scenarios.values() for name in rows))
    n = result["simulations"]
    rows = [[name.replace("_", " "), *(covered(name, each, n) for each in scenarios.values())] for name in names]
    note = (
        f"Share of {n} simulations in which the 95 % interval contains the truth; of the metrics of a diagnosis "
        "the lowest and highest over the diagnoses that had enough lesions for an interval in at least half of the simulations. "
        "The last four columns are paired differences; differences of the ECE have no interval."
    )
    return "\n\n".join([table(["metric", *scenarios], rows), note, f"`{result['command']}`"])


def decision_coverage() -> str:
    result = read("decision_coverage.json")
    scenarios, n = result["scenarios"], result["simulations"]
    names = list(dict.fromkeys(name for rows in scenarios.values() for name in rows))
    rows = [[name, *(_share_covered(each.get(name), n) for each in scenarios.values())] for name in names]
    note = f"Share of {n} simulations in which the 95 % interval contains the truth, of those that printed one."
    return "\n\n".join([table(["number", *scenarios], rows), note, f"`{result['command']}`"])


def _share_covered(row: dict[str, float] | None, simulations: int) -> str:
    return "-" if row is None or row["n"] < simulations / 2 else f"{row['coverage']:.3f}"


def conformal() -> str:
    result = read("conformal.json")
    codes = list(result["rows"][0]["per_class"])
    rows = []
    for row in result["rows"]:
        low, high = row["binomial_interval"]
        covered_new = f"{row['new_lesions_covered']} ({low} to {high})"
        classes = [f"{row['per_class'][code]:.2f}" for code in codes]
        rows.append([f"{row['score']}, {row['group']}", covered_new, *classes, f"{row['size']:.2f}"])
    head = ["sets", f"new lesions covered in {result['splits']} splits", *codes, "mean size"]
    note = (
        f"{', '.join(result['names'])}: {result['n_images']} images of {result['n_lesions']} lesions, half of which are the "
        f"validation split each time. In brackets: the {result['level']:.0%} interval of Binomial({result['splits']}, "
        f"{result['coverage']:g}). Coverage of diagnoses is the mean over the splits and over lesions."
    )
    return "\n\n".join([table(head, rows), note, f"`{result['command']}`"])


def grid(path: Path) -> str:
    result = json.loads(path.read_text(encoding="utf-8"))
    return "\n\n".join(part(result) for part in (formats.caption, formats.scores_table, formats.conclusion))


def covered(name: str, rows: dict[str, dict[str, float]], simulations: int) -> str:
    of_metric = [row for key, row in rows.items() if key.split()[0] == name and row["n"] >= simulations / 2]
    ends = sorted({f"{each['coverage']:.3f}" for each in of_metric})
    return " to ".join(dict.fromkeys((ends[0], ends[-1]))) if ends else "-"


def augmentation() -> str:
    result = read("augmentation.json")
    sizes = [key for key in result if key.startswith("size ")]
    names = list(result[sizes[0]]["ms_per_image"])
    cells = [[f"{result[size]['ms_per_image'][name]['median_ms']:.2f}" for size in sizes] for name in names]
    what = f"the paper's ten transforms (table 3), batch {result['batch']}, {result['threads']} threads: ms per image"
    rows = [[name.replace("ours", "LesionLens"), *row] for name, row in zip(names, cells, strict=True)]
    return table([what, *(f"{size[5:]} px" for size in sizes)], rows) + f"\n\n`{result['command']}`"


def training() -> str:
    result = read("training.json")
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
        f"training step, {result['size']} px, batch {result['batch']}",
        "LesionLens, images/s",
        "plain loop",
        "times faster",
        "time waiting for images",
    ]
    return table(head, rows) + f"\n\n`{result['command']}`"


def latency() -> str:
    if not (RESULTS / "latency.json").is_file():
        return "Not measured on a quiet machine yet: `python benchmarks/latency.py`"
    result = read("latency.json")
    times = {name: f"{row['median_ms']:.1f} ({row['p95_ms']:.1f})" for name, row in result["latency"].items()}
    names = [name for name in times if not name.endswith(" with maps")]
    rows = [[name, times[name], times.get(f"{name} with maps", "")] for name in names]
    what = f"{result['network']}, {result['size']} px, batch 1, {result['threads']} threads: ms per image, median (p95)"
    missing = [f"Left out: {name}, because {reason}." for name, reason in result.get("left_out", {}).items()]
    return "\n\n".join(
        [table([what, "without heat maps", "with"], rows), targets_table(result["targets"]), *missing, f"`{result['command']}`"]
    )


def avx2() -> str:
    if not (RESULTS / "avx2.json").is_file():
        return "Not measured on a quiet machine yet: `python benchmarks/avx2.py`"
    return avx2_table.text(read("avx2.json"), table)


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
    load = f"{first['clients']} clients on loopback, {first['rounds']} rounds of {first['seconds']:g} s"
    what = f"{load}, {first['machine']['cores']} cores"
    return table([what, *runs], rows) + f"\n\n`{first['command']}`"


def networks() -> str:
    if not (RESULTS / "networks.json").is_file():
        return "Not measured yet: `python benchmarks/networks.py --out benchmarks/results/networks.json`"
    result = read("networks.json")
    rows = [network_row(name, row) for name, row in result["networks"].items()]
    head = ["network", "parameters, M", "MACs, G", "heat maps", "in the bundle", "trains and exports at", "CPU latency, ms"]
    timed = next((row["latency"] for row in result["networks"].values() if "latency" in row), None)
    times = (
        f"Latency of torch, fp32, one image, {timed['threads']} threads, median (p95); one network after the other."
        if timed
        else "Latency is not measured yet, because it needs a quiet machine: the same command with `--latency`."
    )
    return "\n\n".join([table(head, rows), times, f"`{result['command']}`"])


def metadata() -> str:
    result = read("metadata.json")
    names = {"nll": "negative log-likelihood", "macro_auc": "macro AUC", "balanced_accuracy": "balanced accuracy"}
    rows = [[f"{steps} steps", *(difference(each[name]) for name in names)] for steps, each in result["steps"].items()]
    first = next(iter(result["steps"].values()))
    alone = ["the image alone", *(f"{first[name]['second']:.3f}" for name in names)]
    what = f"{result['n_images']} {result['split']} images of {result['n_lesions']} lesions, {result['folds']} folds by lesion"
    return table([what, *names.values()], [alone, *rows]) + f"\n\n`{result['command']}`"


def difference(metric: dict[str, float]) -> str:
    low, high = metric["low"], metric["high"]
    return f"{metric['first']:.3f}: {metric['difference']:+.3f} ({low:+.3f} to {high:+.3f})"


def network_row(name: str, row: dict[str, Any]) -> list[str]:
    counts = [f"{row['parameters'] / 1e6:.1f}", f"{row['macs'] / 1e9:.2f}"]
    if not row["trains_and_exports"]:
        return [name, *counts, "", "", row["reason"], ""]
    time = f"{row['latency']['median_ms']:.0f} ({row['latency']['p95_ms']:.0f})" if "latency" in row else ""
    maps = row["heat_map"].removeprefix("grad-cam (").removesuffix(")")
    return [name, *counts, maps, "yes" if row["maps_in_bundle"] else "no", f"{row['trial_size']} px", time]


def explanation() -> str:
    result = read("explanation.json")
    located = result["faithfulness"]["localisation"]
    names = {
        "pointing_game": "maximum inside the lesion",
        "energy_inside": "share of the map inside the lesion",
        "best_iou": "best IoU",
    }
    subjects = {
        "this network": located["metrics"],
        "networks with random weights": located["controls"]["random_weights"],
        "this network's map of another image": located["controls"]["other_image"],
        "a fixed blob in the centre": located["controls"]["centre"],
    }
    rows = [[words, *(interval(row[name]) for name in names)] for words, row in subjects.items()]
    what = f"{result['model']}, {result['input_size']} px, {located['metrics']['n']} test images: map from"
    parity = result["parity"]
    same = (
        f"Closed form against captum's LayerGradCam, {parity['classes']} diagnoses of {parity['images']} images: "
        f"the largest difference is {parity['largest_difference_of_range']:.1e} of a map's range."
    )
    return "\n\n".join([table([what, *names.values()], rows), same, "`python benchmarks/explanation.py CHECKPOINT ...`"])


TABLES = {
    "explanation": explanation,
    "networks": networks,
    "metadata": metadata,
    "latency": latency,
    "avx2": avx2,
    "compression": compression,
    "leak": leak,
    "speed": speed,
    "tried": tried,
    "times": times,
    "intervals": intervals,
    "coverage": coverage,
    "decision_coverage": decision_coverage,
    "conformal": conformal,
    "augmentation": augmentation,
    "training": training,
    "serving": serving,
    **model_tables.TABLES,
    **{f"grid-{path.stem}": partial(grid, path) for path in sorted((RESULTS / "grids").glob("*.json"))},
}


def with_tables(text: str) -> str:
    """Replace every table of a page by the one that the results give."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}\n{block[3]}", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    stale = {page: with_tables(text) for page, text in texts.items() if with_tables(text) != text}
    for page, text in stale.items():
        print(f"{page.relative_to(ROOT)} {'differs from the results' if check else 'written'}")
        if not check:
            page.write_text(text, encoding="utf-8")
    sys.exit(bool(stale) if check else 0)


if __name__ == "__main__":
    main()
