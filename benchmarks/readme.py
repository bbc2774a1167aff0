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
from typing import Any

import future_tables
import model_tables
import speed_tables
from lesionlens.experiments import formats
from markdown_tables import RESULTS, ROOT, interval, read, table

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "ece": "calibration error (ECE)",
}


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


def networks() -> str:
    if not (RESULTS / "networks.json").is_file():
        return "Not measured yet: `python benchmarks/networks.py --out benchmarks/results/networks.json`"
    result = read("networks.json")
    rows = [network_row(name, row) for name, row in result["networks"].items()]
    head = ["network", "parameters, M", "MACs, G", "heat maps", "in the bundle", "trains and exports at", "CPU latency, ms"]
    timed = next((row["latency"] for row in result["networks"].values() if "latency" in row), None)
    times = (
        f"Latency of torch, fp32, one image, {timed['threads']} threads, median (p95); one network after the other; "
        f"{speed_tables.processor(timed['machine'])}. Where there is none, it was not measured."
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


def registration() -> str:
    result = read("registration.json")
    same, other = result["same_lesion"], result["different_lesions"]["accepted"]
    before, after = same["before"], same["after"]
    rows = [
        [f"{result['lesions']} pairs of photographs of one lesion: declined", _count(same["declined"])],
        ["distance of the masks' centres, % of the width: median", *_before_after(before, after, "centre_percent", "p50")],
        ["the same: 90 % of the pairs are below", *_before_after(before, after, "centre_percent", "p90")],
        ["Dice coefficient of the masks: median", *_before_after(before, after, "dice", "p50")],
        ["the same: 90 % of the pairs are above", *_before_after(before, after, "dice", "p10")],
        [f"{other['n']} pairs of different lesions of one diagnosis: accepted", _count(other)],
        ["outline of a lesion: declined", _count(result["outline"]["declined"])],
        ["outline and mask: Dice coefficient, median", f"{result['outline']['dice']['p50']:.2f}"],
    ]
    head = ["photographs that played no part in choosing the thresholds", "measured"]
    return table(head, rows) + f"\n\n`{result['command']}`"


def _count(share: dict[str, float]) -> str:
    return f"{share['hits']} of {share['n']} ({share['low']:.1%} to {share['high']:.1%})"


def _before_after(before: dict[str, Any], after: dict[str, Any], name: str, quantile: str) -> list[str]:
    return [f"{after[name][quantile]:.2f}, {before[name][quantile]:.2f} without registration"]


TABLES = {
    "explanation": explanation,
    "registration": registration,
    "networks": networks,
    "metadata": metadata,
    "leak": leak,
    "tried": tried,
    "intervals": intervals,
    "coverage": coverage,
    "decision_coverage": decision_coverage,
    "conformal": conformal,
    **speed_tables.TABLES,
    **model_tables.TABLES,
    **future_tables.TABLES,
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
