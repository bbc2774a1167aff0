"""A stress test as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def robustness_text(result: Mapping[str, Any]) -> str:
    """Agreement, corruptions, people and hard images, a few lines each.

    Args:
        result: of `stress_network`.
    """
    first = (
        f"{result['name']}: {result['n_images']} {result['split']} images of {result['n_lesions']} lesions; intervals by lesion"
    )
    lines = [first, *_repeatability(result["photographs"], "photographs of one lesion", "lesions")]
    lines += _repeatability(result["views"], "eight views of one image", "images")
    lines += ["", *_corruptions(result["corruptions"]), "", *_people(result)]
    counts = ", ".join(f"{kind} {count}" for kind, count in result["hard"]["counts"].items())
    return "\n".join([*lines, f"hard images: {counts}; {len(result['hard']['images'])} are listed"])


def _repeatability(result: Mapping[str, Any], what: str, units: str) -> list[str]:
    if not result["n_units"]:
        return [f"{what}: not available, because {result['reason']}"]
    metrics = result["metrics"]
    line = (
        f"{what}: {result['n_units']} {units}, one diagnosis {_share(metrics['all_alike'])}, pairs alike "
        f"{_share(metrics['pairs_alike'])}, kappa {_plain(metrics['kappa'])}"
    )
    if "spread" not in metrics:
        return [line]
    return [
        line,
        f"  malignant probability: SD {_plain(metrics['spread'])}, repeatability coefficient {_plain(metrics['coefficient'])}, "
        f"malignancy alike {_share(metrics['malignancy_alike'])}",
    ]


def _corruptions(table: Mapping[str, Any]) -> list[str]:
    clean = table["clean"]
    lines = [
        f"{table['n_images']} images of {table['n_lesions']} lesions under corruption; clean: accuracy "
        f"{_share(clean['accuracy'])}, balanced accuracy {_share(clean['balanced_accuracy'])}",
        f"{'balanced accuracy, %':20} {'1':>6} {'2':>6} {'3':>6} {'4':>6} {'5':>6}   changed at 5   mean error above clean",
    ]
    for row in table["rows"]:
        cells = " ".join(f"{100 * cell['balanced_accuracy']['value']:6.1f}" for cell in row["strengths"])
        changed, above = row["strengths"][-1]["changed"], row["error_above_clean"]
        lines.append(f"{row['title']:20} {cells}   {100 * changed['value']:10.1f} %   {_share(above)}")
    if table["mean"]:
        mean = table["mean"]
        lines.append(f"mean corruption error {_share(mean['error'])}, above clean by {_share(mean['error_above_clean'])}")
    if (reference := table.get("reference")) and reference["mce"] is not None:
        lines.append(f"mean corruption error relative to the reference: {100 * reference['mce']:.1f} %")
    return lines


def _people(result: Mapping[str, Any]) -> list[str]:
    lines = []
    for row in result["published"]:
        readers, network = row["readers"], row["network"]
        at = f" at specificity {100 * readers['specificity']:.1f}" if readers["specificity"] else ""
        name = readers["metric"].replace("_", " ")
        if network["value"] is None:
            lines.append(f"{name}{at}, {row['images']}: not available, because {network['reason']}")
            continue
        lines.append(
            f"{name}{at}, {row['images']}: {_share(network)}; {readers['name']} on other images {100 * readers['value']:.1f}"
        )
    if readers := result["readers"]:
        accuracy = readers["metrics"]["accuracy"]
        lines.append(
            f"{readers['n_answers']} answers to {readers['n_images']} images: readers {_share(accuracy['readers'])}, "
            f"network {_share(accuracy['network'])}, difference {_share(accuracy['difference'])}"
        )
        lines += [f"  {note}" for note in readers["notes"]]
    return lines


def _share(metric: Mapping[str, Any]) -> str:
    return _text(metric, 100, 1)


def _plain(metric: Mapping[str, Any]) -> str:
    return _text(metric, 1, 3)


def _text(metric: Mapping[str, Any], scale: float, digits: int) -> str:
    if metric["value"] is None:
        return f"- ({metric['reason']})"
    value = f"{scale * metric['value']:.{digits}f}"
    if metric["low"] is None:
        return f"{value} ({metric['reason']})"
    return f"{value} ({scale * metric['low']:.{digits}f} to {scale * metric['high']:.{digits}f})"
