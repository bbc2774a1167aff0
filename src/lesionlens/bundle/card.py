"""The model card: the same facts as bundle.json, for people."""

from __future__ import annotations

from typing import Any

from lesionlens.bundle.decision import promise
from lesionlens.bundle.gate import CHECKS, DISTANCE
from lesionlens.bundle.quality import BRIGHTNESS, CLIPPED, SHARPNESS, SIDE
from lesionlens.bundle.selftest import SATURATION

OVERALL = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "nll": "Negative log-likelihood",
}
PER_CLASS = ("precision", "recall", "specificity", "f1", "auc")
MEASURES = {
    SIDE: "shorter side in pixels",
    SHARPNESS: "variance of the Laplacian",
    BRIGHTNESS: "mean luma (0 to 255)",
    CLIPPED: "share of pixels at 255 in one colour",
    DISTANCE: "distance from the training images",
}
INT8_NOTE = (
    "int8 uses all 8 bits of the weights. On an x86 processor without int8 products (VNNI; only AVX2 or older AVX-512) its sums "
    "may saturate at 16 bits. Loading it there compares its probabilities with those of fp32 on the images of the self-test, "
    f"says the difference, and refuses int8 if it exceeds the one recorded when int8 was made by more than {SATURATION}."
)
NOT_MEASURED = "Not measured: no predictions of the test split by this checkpoint were given to the export."


def card(facts: dict[str, Any]) -> str:
    """The text of card.md.

    Args:
        facts: the content of bundle.json, see docs/bundle.md.
    """
    sections = (_head, _use, _data, _scores, _calibration, _gate, _decision, _variants, _explanation, _licences, _made_from)
    return "\n\n".join(section(facts) for section in sections) + "\n"


def _head(facts: dict[str, Any]) -> str:
    model = facts["origin"]["recipe"]["model"]["name"]
    rows = [f"| {d['code']} | {d['name']} | {'yes' if d['malignant'] else 'no'} |" for d in facts["labels"]["diagnoses"]]
    table = "\n".join(["| code | diagnosis | malignant |", "|---|---|---|", *rows])
    side = facts["input"]["size"]
    any_malignant = any(d["malignant"] for d in facts["labels"]["diagnoses"])
    without = "" if any_malignant else "\n\nNone of these diagnoses is malignant, so predictions have no malignant share."
    return (
        f"# {facts['name']}\n\n**{facts['intended_use']['status']}**\n\n"
        f"A {model} that gives calibrated probabilities of {len(rows)} diagnoses for one dermoscopic image, "
        f"looked at as {side}x{side} pixels ({facts['input']['resize']}).\n\n{table}{without}"
    )


def _use(facts: dict[str, Any]) -> str:
    use = facts["intended_use"]
    return f"## Use\n- For: {use['for']}\n- Not for: {use['not_for']}"


def _data(facts: dict[str, Any]) -> str:
    origin = facts["origin"]
    counts = ", ".join(f"{split_name} {count}" for split_name, count in origin["images"].items())
    return f"## Data\nSource {origin['source']}; images: {counts}.\n\n{origin['leak_statement']}"


def _scores(facts: dict[str, Any]) -> str:
    scores = facts["scores"]
    if scores is None:
        return f"## Metrics\n{NOT_MEASURED}"
    level = f"{scores['confidence']:.0%}"
    metrics = scores["metrics"]
    rows = [f"| {title} | {_interval(metrics[name])} | {metrics[name].get('method', '')} |" for name, title in OVERALL.items()]
    table = "\n".join([f"| metric | value [{level} interval] | method of the interval |", "|---|---|---|", *rows])
    heads = ["| code | images | " + " | ".join(PER_CLASS) + " |", "|---|---|" + "---|" * len(PER_CLASS)]
    lines = [
        f"| {code} | {row['n']} | " + " | ".join(_interval(row[name]) for name in PER_CLASS) + " |"
        for code, row in scores["per_class"].items()
    ]
    methods = "; ".join(f"{name}: {text}" for name, text in scores.get("methods", {}).items())
    note = f"Means over the {scores['n_classes_averaged']} diagnoses that occur; intervals by lesion{_few(scores)}."
    note += f" Methods: {methods}." if methods else ""
    views = "" if scores["views"] == 1 else f" Measured over {scores['views']} views; the bundle looks once."  # bundles of 0.1.0
    unknown = scores.get("n_unknown_lesion", 0)
    at_most = "at most " if unknown else ""
    where = f"{scores['n_images']} images of {at_most}{scores['n_lesions']} lesions, {scores['split']} part."
    return f"## Metrics\n{where} {facts['origin']['leak_statement']}\n\n{table}\n\n{note}{views}\n\n" + "\n".join(
        [*heads, *lines]
    )


def _calibration(facts: dict[str, Any]) -> str:
    fitted = facts["temperature"]
    nll, ece = ([f"{fitted[f'{name}_{when}']:.4f}" for when in ("before", "after")] for name in ("nll", "ece"))
    return (
        f"## Calibration\nTemperature {fitted['value']:.4f}, fitted on the {fitted['fitted_on']} split "
        f"({fitted['n_images']} images): negative log-likelihood {nll[0]} before, {nll[1]} after; ECE {ece[0]} and {ece[1]}. "
        "It is inside the graph. It holds for images like those; elsewhere, or with another mix of diagnoses, measure it again."
    )


def _gate(facts: dict[str, Any]) -> str:
    gate = facts.get("gate")
    if gate is None:
        return "## Gate\nNone: whether an image is a usable dermoscopic image at all is not checked."
    found, limits = gate["validation"], gate["thresholds"]
    limit_of = {
        code: f"{MEASURES[check.measure]} {'below' if check.below else 'above'} {limits[code]:.4g}"
        for code, check in CHECKS.items()
    }
    rows = [f"| {code} | {limit} | {found['rejected'][code]} |" for code, limit in limit_of.items()]
    table = "\n".join(["| reason | when | rejected |", "|---|---|---|", *rows])
    fitted = gate["fitted"]
    few = (
        f" With so few images a new good one may be rejected more often, by up to {found['expected_at_most']:.1%}."
        if found["expected_at_most"] > 2 * gate["rejection_rate"]
        else ""
    )
    return (
        f'## Gate\nAn image that fails a check is "not usable" and gets no diagnosis. The thresholds reject at most '
        f"{gate['rejection_rate']:.1%} of the {found['n_images']} images of the {found['split']} split, all checks together "
        f"({found['rejected_by_any']} images).{few} The distance is that of the network's features from those of "
        f"{fitted['n_images']} {fitted['split']} images. Images from another device or centre may be rejected more often, "
        f"and a passed gate does not mean that an image is of the kind that the network knows.\n\n{table}"
    )


def _decision(facts: dict[str, Any]) -> str:
    title, decision = "## Not sure: have a person look", facts.get("decision")
    if decision is None or decision["threshold"] is None:
        why = "it was exported without one" if decision is None else decision["reason"]
        return (
            f"{title}\nThis bundle has no calibrated third answer ({why}): every usable image gets a diagnosis, however doubtful."
        )
    found, watched = decision["validation"], " + ".join(decision["watched"])
    promised = promise(decision["sensitivity"], decision.get("delta"))
    shares = {name: _interval(found[name]) for name in ("sensitivity", "called", "not_sure", "accuracy_answered")}
    return (
        f"{title}\nAn image whose first choice is not {watched}, but whose probability of {watched} is "
        f'{decision["threshold"]:.4f} or more, is "not sure". The threshold was chosen on the {found["split"]} split '
        f"for a sensitivity of {promised}. There, of {found['n_watched']} images of "
        f'{found["n_lesions"]} lesions with {watched}, {shares["sensitivity"]} were called {watched} or "not sure", '
        f"{shares['called']} called {watched}; of all {found['n_images']} images {shares['not_sure']} were "
        f'"not sure"; accuracy of the rest {shares["accuracy_answered"]}. It holds for images like those.'
    )


def _variants(facts: dict[str, Any]) -> str:
    lines = ["## Variants", "| variant | runs with | float format | file |", "|---|---|---|---|"]
    for name, value in facts["variants"].items():
        default = " (default)" if name == facts["default_variant"] else ""
        graphs = value["graphs"]
        lines.append(
            f"| {name}{default} | {', '.join(graphs)} | {value['precision']} | {', '.join(sorted(set(graphs.values())))} |"
        )
    if any("int8" in name for name in facts["variants"]):
        lines += ["", INT8_NOTE]
    return "\n".join(lines)


def _explanation(facts: dict[str, Any]) -> str:
    maps = facts["outputs"]["maps"]
    if maps is None:
        return "## Explanation\nThis network has no closed form of Grad-CAM, so the bundle gives no heat maps."
    return (
        f"## Explanation\nGrad-CAM maps of every diagnosis ({maps[1]}x{maps[2]} cells, raw: what a cell adds to the logit, "
        "before the temperature) are an output of the graph. "
        "A map shows where evidence lies, not why, and not that it is right."
    )


def _licences(facts: dict[str, Any]) -> str:
    return "\n".join(["## Licences", *(f"- {what}: {text}" for what, text in facts["licences"].items())])


def _made_from(facts: dict[str, Any]) -> str:
    hashes = [f"- {name}: `{value}`" for name, value in facts["origin"]["hashes"].items()]
    versions = ", ".join(f"{name} {value}" for name, value in facts["versions"]["export"].items())
    trained = ", ".join(f"{name} {value}" for name, value in facts["versions"]["training"].items())
    return "\n".join(["## Made from", *hashes, f"- trained with: {trained or 'not recorded'}", f"- exported with: {versions}"])


def _few(scores: dict[str, Any]) -> str:
    """Which diagnoses have counts and no intervals."""
    least = scores.get("least_lesions", 0)
    few = [f"{code} ({row['n_lesions']})" for code, row in scores["per_class"].items() if 0 < row.get("n_lesions", 0) < least]
    return f"; counts and no interval below {least} lesions: {', '.join(few)}" if few else ""


def _interval(metric: dict[str, Any]) -> str:
    value, low, high = (metric[name] for name in ("value", "low", "high"))
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value:.3f} ({metric['count']} of {metric['of']})" if metric.get("of") else f"{value:.3f}"
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
