"""Write the metrics of `benchmarks/results/gate.json` into docs/gate.md, between `<!-- metrics -->` and `<!-- end -->`.

    python benchmarks/gate_tables.py [--check]

With `--check` nothing is written, and the exit code is 1 if docs/gate.md is not what the results give.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from markdown_tables import ROOT, table

DOCUMENT = ROOT / "docs" / "gate.md"
RESULTS = ROOT / "benchmarks" / "results" / "gate.json"
BLOCK = re.compile(r"(<!-- metrics -->\n).*?(<!-- end -->)", re.DOTALL)
IMAGES = {
    "test": "HAM10000, test split: good images",
    "ood/cutlery": "photographs of cutlery",
    "ood/clinical": "clinical close-ups (skin, no dermatoscope)",
    "isic2017": "ISIC 2017: dermoscopic, another source",
}


def interval(metric: dict[str, float]) -> str:
    return f"{metric['value']:.1%} ({metric['low']:.1%} to {metric['high']:.1%})"


def methods(result: dict[str, Any]) -> str:
    """The comparison of the distances."""
    comparison = result["chosen_on_made_outliers"]
    rows = [
        [name, f"{found['found_at_0.01']:.1%}", f"{found['found_at_0.02']:.1%}", f"{found['auroc']:.3f}"]
        for name, found in comparison["methods"].items()
    ]
    kinds, count = comparison["outliers"]["distance"], comparison["outliers"]["count_of_each"]
    caught = ", ".join(f"{kind} {found['rejected']:.0%}" for kind, found in comparison["whole_gate"].items())
    good = result["gate"]["validation"]["n_images"]
    return (
        f"Mean over {', '.join(kinds)}, {count} images of each, with {good} validation images as good ones. "
        "The columns give the share of outliers detected when 1 % or 2 % of the good images are rejected:\n\n"
        f"{table(['method', 'detected at 1 %', 'detected at 2 %', 'AUROC'], rows)}\n\n"
        f"Share of each kind that the whole gate rejects, all checks together: {caught}."
    )


def real(result: dict[str, Any]) -> str:
    """The gate on real images, by variant."""
    rows = []
    for variant, found in result["reported_by_variant"].items():
        for name, words in IMAGES.items():
            counts, some = found[name]["outcomes"], found[name]["n_images"]
            share = f"kept {interval(found[name]['kept'])}" if name == "test" else f"rejected {interval(found[name]['rejected'])}"
            reasons = ", ".join(f"{code} {number}" for code, number in found[name]["reasons"].items() if number)
            outcomes = f"{counts['diagnosis']} / {counts['not_sure']} / {counts['not_usable']}"
            rows.append([variant, words, str(some), share, outcomes, reasons])
    return table(["variant", "images", "number", "gate (95 % interval)", "diagnosis / not sure / not usable", "reasons"], rows)


def unsure(result: dict[str, Any]) -> str:
    """The outcome "not sure" on the test split."""
    names = {
        "sensitivity": "melanomas called melanoma or not sure",
        "called": "melanomas called melanoma",
        "not_sure": "not sure, of all images",
        "accuracy_answered": "accuracy where a diagnosis is given",
        "balanced_accuracy_answered": "balanced accuracy where a diagnosis is given",
    }
    usable = {v: found["not_sure_on_test"]["usable_images"] for v, found in result["reported_by_variant"].items()}
    rows = [
        ["images", *(f"{f['n_images']}, with {f['n_watched']} melanomas of {f['n_lesions']} lesions" for f in usable.values())]
    ]
    rows += [[words, *(interval(found[name]) for found in usable.values())] for name, words in names.items()]
    first = next(iter(result["reported_by_variant"].values()))
    lost = ", ".join(
        f"{v} {found['not_sure_on_test']['melanomas_not_usable']}" for v, found in result["reported_by_variant"].items()
    )
    whole = first["not_sure_on_test"]["accuracy_of_all_without_a_third_answer"]
    other = first["isic2017"]["melanoma_sensitivity_of_usable"]
    rules = ", ".join(f"{name} {found['not_sure']:.1%}" for name, found in result["rules_on_validation"].items())
    return (
        f"{table(['usable images of the test split', *usable], rows)}\n\n"
        f"Melanomas of the test split that the gate rejects, which must reach a person another way: {lost}. "
        f'Accuracy over all test images without the outcome "not sure": {whole:.1%}. '
        f"Images left to a person at the same sensitivity on the validation split, by rule: {rules}.\n\n"
        f"**On another source the sensitivity is not reached**: of {other['n_images']} usable melanomas of ISIC 2017, "
        f"{interval(other)} are called melanoma or not sure, although the target for images like HAM10000's is 95 %. "
        "Choose the threshold on images of the place where the bundle will work."
    )


def photographs(result: dict[str, Any]) -> str:
    """Drawn kinds of photographs, and skin tones."""
    drawn, shifted = result["photographs"], result["tones"]
    kinds = table(
        ["kind", "taught all kinds", "not taught this kind"],
        [[kind.replace("_", " "), f"{s['taught']:.0%}", f"{s['held_out']:.0%}"] for kind, s in drawn["share_told"].items()],
    )
    rows = [
        [tone.replace("-", "\u2212"), f"{f['any']:.1%}", ", ".join(f"{code} {x:.1%}" for code, x in f.items() if code != "any")]
        for tone, f in shifted["by_ita_deg"].items()
    ]
    return (
        f"The check `no_dermatoscope` alone, at a threshold that rejects 1 % of the validation images; {drawn['n_tested']} drawn "
        f"photographs of each kind, of validation lesions. The share told:\n\n{kinds}\n\n"
        f"Dark skin: {shifted['n_images']} validation images, as they are and with the skin shifted to an individual typology "
        "angle (degrees; 55 and more is very light, below \u221230 dark). Only the lightness is shifted, so this shows whether "
        "an image is refused for being dark, and not how the network judges real dark skin:\n\n"
        f"{table(['ITA', 'refused', 'reasons'], rows)}"
    )


def metrics(result: dict[str, Any]) -> str:
    cost = result["cost_ms"]
    return "\n\n".join(
        [
            f"### Which distance\n\n{methods(result)}",
            f"### Real images\n\n{real(result)}",
            f"### Without a dermatoscope, and dark skin\n\n{photographs(result)}",
            f"### Not sure, on the test split\n\n{unsure(result)}",
            f"### Cost\n\nOne check takes {cost['check_median']:.2f} ms of one core (p95 {cost['check_p95']:.2f}), of which "
            f"{cost['quality_median']:.2f} ms measure the quality.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = DOCUMENT.read_text(encoding="utf-8")
    content = metrics(json.loads(RESULTS.read_text(encoding="utf-8")))
    updated = BLOCK.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)
    if options.check:
        sys.exit(int(updated != text))
    DOCUMENT.write_text(updated, encoding="utf-8")


if __name__ == "__main__":
    main()
