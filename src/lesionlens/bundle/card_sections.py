"""Sections of the model card, each from the facts of bundle.json."""

from __future__ import annotations

from typing import Any

from lesionlens.bundle.decision import promise
from lesionlens.bundle.gate import CHECKS, DISTANCE, PHOTOGRAPH
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
    PHOTOGRAPH: "score of photographs without a dermatoscope",
}
INT8_NOTE = (
    "On an x86 processor without int8 products (VNNI; only AVX2 or older AVX-512) sums of int8 may saturate at 16 bits if the "
    "weights use all 8 bits; `compress` narrows them, since 0.2, until none can. Loading int8 there compares its probabilities "
    "with those of fp32 on the images of the self-test, says the difference, and refuses int8 if it exceeds the one recorded "
    f"when int8 was made by more than {SATURATION}."
)
NOT_MEASURED = "Not measured: no predictions of the test split by this checkpoint were given to the export."


def data(facts: dict[str, Any]) -> str:
    """Source, sizes of the splits, and whether they leak."""
    origin = facts["origin"]
    counts = ", ".join(f"{split_name} {count}" for split_name, count in origin["images"].items())
    return f"## Data\nSource {origin['source']}; images: {counts}.\n\n{origin['leak_statement']}"


def metadata(facts: dict[str, Any]) -> str:
    """What the network is told of the patient; empty if it sees images only."""
    told = facts.get("metadata")
    if told is None:
        return ""
    return (
        f"## Patient\nBeside the image, the network is told {', '.join(told['fields'])} of the patient. Each may be missing: "
        "it then counts as unknown, and the prediction names it. Metrics are of predictions that were told what the data set "
        "knows; heat maps explain the image alone."
    )


def concepts(facts: dict[str, Any]) -> str:
    """The concepts that the diagnoses follow from; empty without a concept bottleneck."""
    told = facts.get("concepts")
    if told is None:
        return ""
    names = ", ".join(unit["name"] for unit in told["units"])
    return (
        f"## Concepts\nThe network estimates {len(told['units'])} concepts, {names}, and its diagnoses follow from these "
        "estimates alone. Every prediction names them, with what each adds to the logit of the most probable diagnosis. They are "
        "estimates of a network whose errors are not measured here, and one may contain more than the concept in its name."
    )


def scores(facts: dict[str, Any]) -> str:
    """Every metric with its interval and method, overall and by diagnosis."""
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
    note = f"Means over the {scores['n_classes_averaged']} diagnoses that occur; intervals by lesion{_few(scores)}."
    views = "" if scores["views"] == 1 else f" Measured over {scores['views']} views; the bundle looks once."  # bundles of 0.1.0
    unknown = scores.get("n_unknown_lesion", 0)
    at_most = "at most " if unknown else ""
    where = f"{scores['n_images']} images of {at_most}{scores['n_lesions']} lesions, {scores['split']} split."
    by_class = "\n".join([*heads, *lines])
    return f"## Metrics\n{where} {facts['origin']['leak_statement']}\n\n{table}\n\n{note}{views}\n\n{by_class}{_methods(scores)}"


def _methods(scores: dict[str, Any]) -> str:
    """What the names of the methods mean, as a list."""
    methods = scores.get("methods", {})
    return (
        "\n\nMethods of the intervals:\n\n" + "\n".join(f"- {name}: {text}" for name, text in methods.items()) if methods else ""
    )


def calibration(facts: dict[str, Any]) -> str:
    """The temperature, and calibration before and after it."""
    fitted = facts["temperature"]
    nll, ece = ([f"{fitted[f'{name}_{when}']:.4f}" for when in ("before", "after")] for name in ("nll", "ece"))
    return (
        f"## Calibration\nTemperature {fitted['value']:.4f}, fitted on the {fitted['fitted_on']} split "
        f"({fitted['n_images']} images): negative log-likelihood {nll[0]} before, {nll[1]} after; ECE {ece[0]} and {ece[1]}. "
        "It is inside the graph. It holds for images like those; elsewhere, or with another mix of diagnoses, measure it again."
    )


def gate(facts: dict[str, Any]) -> str:
    """What the gate refuses, and how often."""
    gate = facts.get("gate")
    if gate is None:
        return "## Gate\nNone: whether an image is a usable dermoscopic image at all is not checked."
    found, limits = gate["validation"], gate["thresholds"]
    limit_of = {
        code: f"{MEASURES[check.measure]} {'below' if check.below else 'above'} {limits[code]:.4g}"
        for code, check in CHECKS.items()
        if code in limits
    }
    rows = [f"| {code} | {limit} | {found['rejected'][code]} |" for code, limit in limit_of.items()]
    table = "\n".join(["| reason | when | rejected |", "|---|---|---|", *rows])
    fitted = gate["fitted"]
    few = (
        f" With so few images a new good one may be rejected more often, by up to {found['expected_at_most']:.1%}."
        if found["expected_at_most"] > 2 * gate["rejection_rate"]
        else ""
    )
    drawn = fitted.get("n_photographs", 0)
    photographs = f" What a photograph without a dermatoscope looks like was learnt from {drawn} drawn ones." if drawn else ""
    return (
        f'## Gate\nAn image that fails a check is "not usable" and gets no diagnosis. The thresholds reject at most '
        f"{gate['rejection_rate']:.1%} of the {found['n_images']} images of the {found['split']} split, all checks together "
        f"({found['rejected_by_any']} images).{few} The distance is that of the network's features from those of "
        f"{fitted['n_images']} {fitted['split']} images.{photographs} Images from another device or centre may be rejected "
        f"more often, and a passed gate does not mean that an image is of the kind that the network knows.\n\n{table}"
    )


def decision(facts: dict[str, Any]) -> str:
    """When the prediction is "not sure", and what follows."""
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


def variants(facts: dict[str, Any]) -> str:
    """The variants of the graph."""
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


def explanation(facts: dict[str, Any]) -> str:
    """What the heat maps are."""
    maps = facts["outputs"]["maps"]
    if maps is None:
        return "## Explanation\nThis network has no closed form of Grad-CAM, so the bundle gives no heat maps."
    return (
        f"## Explanation\nGrad-CAM maps of every diagnosis ({maps[1]}x{maps[2]} cells, raw: what a cell adds to the logit, "
        "before the temperature) are an output of the graph. "
        "A map shows where evidence lies, not why, and not that it is right."
    )


def training(facts: dict[str, Any]) -> str:
    """Epochs, time and energy of the training; empty for bundles that do not know them."""
    known = facts.get("training")
    return "" if known is None else f"## Training\n{training_text(known)}"


def training_text(known: dict[str, Any]) -> str:
    """Time and energy of a training in whole sentences.

    >>> training_text({"epochs": 2, "epoch": 1, "seconds": 7200.0, "kwh": None, "grams_co2": None})
    '2 epochs in 2.0 hours, validation included; the weights are of epoch 1. Energy: not measured.'

    Args:
        known: `epochs`, `epoch` of the weights (None if unknown), `seconds`, and the estimates `kwh` and `grams_co2` from the
            stated `watts` and `grams_co2_per_kwh`, each None or absent if not stated.
    """
    seconds = known["seconds"]
    duration = (
        f"{seconds / 3600:.1f} hours"
        if seconds >= 5400
        else f"{seconds / 60:.0f} minutes"
        if seconds >= 90
        else f"{seconds:.0f} seconds"
    )
    epoch = "" if known.get("epoch") is None else f"; the weights are of epoch {known['epoch']}"
    text = f"{known['epochs']} epochs in {duration}, validation included{epoch}."
    if known.get("kwh") is None:
        return f"{text} Energy: not measured."
    text += f" Energy: about {known['kwh']:.2f} kWh, an estimate: {known['watts']:g} W as stated by the user, times that time."
    if known.get("grams_co2") is None:
        return text
    return f"{text} About {known['grams_co2']:.0f} g CO2 at the stated {known['grams_co2_per_kwh']:g} g/kWh."


def licences(facts: dict[str, Any]) -> str:
    """Licences of code, data and weights."""
    return "\n".join(["## Licences", *(f"- {what}: {text}" for what, text in facts["licences"].items())])


def made_from(facts: dict[str, Any]) -> str:
    """Hashes of what the network was made from, and versions."""
    hashes = [f"- {name}: `{value}`" for name, value in facts["origin"]["hashes"].items()]
    versions = ", ".join(f"{name} {value}" for name, value in facts["versions"]["export"].items())
    trained = ", ".join(f"{name} {value}" for name, value in facts["versions"]["training"].items())
    exported = [f"- exported with: {versions}"] if versions else []
    return "\n".join(["## Made from", *hashes, f"- trained with: {trained or 'not recorded'}", *exported])


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
