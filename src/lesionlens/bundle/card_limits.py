"""The limits of a model, found by rules from what was measured, most important first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MELANOMA = "mel"
LARGEST_ECE = 0.05
SIGNIFICANT = 0.05

Facts = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Limit:
    """Something that limits what a model's scores mean, or whom they hold for.

    Attributes:
        rank: place in the order of importance, 1 first.
        name: of the rule that found it.
        text: whole sentences.
    """

    rank: int
    name: str
    text: str


def limits(facts: Facts, further: Iterable[Limit] = ()) -> list[Limit]:
    """What limits a model, most important first.

    Args:
        facts: the content of bundle.json, or the same keys of a run. `calibrated_scores` are those with the temperature
            applied, where `scores` are not; `external` names further data sets that were scored; `skin_tone` is true where
            scores by skin tone exist.
        further: what was found elsewhere, such as the gap between subgroups.
    """
    own = [Limit(rank, rule.__name__.strip("_"), text) for rank, rule in RULES.items() if (text := rule(facts))]
    return sorted([*own, *further])


def _not_measured(facts: Facts) -> str:
    return "" if facts["scores"] else "It was not measured: there are no scores of a test split."


def _leaks(facts: Facts) -> str:
    origin = facts["origin"]
    rate = origin.get("leak_rate")
    if not origin["leaks"] and not rate:
        return ""
    share = "Images of one lesion" if not rate else f"{_percent(rate)} of the test images show a lesion that"
    verb = "may be in training and in test" if not rate else "is also in training"
    return f"The split leaks, so every score is too high: {share} {verb} (protocol {origin['protocol']})."


def _split(facts: Facts) -> str:
    split = (facts["scores"] or {}).get("split", "test")
    if split == "test":
        return ""
    why = "the network was trained on them" if split == "train" else "they chose the epoch of the network"
    return f"The scores are of the {split} split, not of a test split: {why}, so the scores are too high."


def _synthetic(facts: Facts) -> str:
    drawn = facts["origin"]["source"] == "synthetic"
    return "The images were drawn by a program. The scores say nothing about skin." if drawn else ""


def _unknown_lesion(facts: Facts) -> str:
    origin = facts["origin"]
    unknown, total = origin.get("n_unknown_lesion", 0), origin["images"].get("test", 0)
    if not unknown:
        return ""
    return f"{unknown} of {total} test images have no lesion id, so whether their lesion was trained on is unknown."


def _patients(facts: Facts) -> str:
    rate = facts["origin"].get("patient_leak_rate")
    return f"{_percent(rate)} of the test images are of a patient who is also in training." if rate else ""


def _missed(facts: Facts) -> str:
    """Malignant images that the first choice calls benign, and the sensitivity for melanoma."""
    scores, diagnoses = facts["scores"], facts["labels"]["diagnoses"]
    malignant = [place for place, diagnosis in enumerate(diagnoses) if diagnosis["malignant"]]
    if not scores or not malignant:
        return ""
    benign = [place for place in range(len(diagnoses)) if place not in malignant]
    total = sum(sum(scores["confusion"][row]) for row in malignant)
    missed = sum(scores["confusion"][row][column] for row in malignant for column in benign)
    if not total:
        return "No malignant lesion was tested."
    text = f"The most probable diagnosis is benign for {missed} of {total} malignant images ({_percent(missed / total)})."
    melanoma = scores["per_class"].get(MELANOMA, {}).get("recall", {})
    if melanoma.get("value") is not None:
        text += f" It is melanoma for {_percent(melanoma['value'])}{_interval(melanoma)} of the images of melanoma."
    return text


def _external(facts: Facts) -> str:
    if facts.get("external"):
        return ""
    return "No data set of another centre was scored, so how it performs with other cameras and patients is unknown."


def _calibration(facts: Facts) -> str:
    calibrated = facts.get("calibrated_scores")
    scores = calibrated or facts["scores"]
    if not scores:
        return ""
    ece = scores["metrics"]["ece"]
    value, p = ece["value"], ece.get("p")
    if value is None or (value <= LARGEST_ECE and (p is None or p >= SIGNIFICANT)):
        return ""
    before = "" if calibrated or "temperature" in scores else ", before the temperature that `lesionlens export` fits"
    error = f"{_percent(value)}{_interval(ece)}"
    if p is not None and p >= SIGNIFICANT:
        return f"Calibration is uncertain: ECE {error}, which so few images cannot tell from 0 (p = {p:.2f}){before}."
    tested = "" if p is None else f"; p {'below 0.001' if p < 0.001 else f'= {p:.3f}'} that they are calibrated"
    return f"The probabilities are off by {error} on average (ECE{tested}){before}."


def _metadata(facts: Facts) -> str:
    told = facts.get("metadata")
    if not told:
        return ""
    return (
        f"It is told {_words(told['fields'])} of the patient. How they go with diagnoses follows whom the clinics of the "
        "training images saw, so elsewhere they may mislead."
    )


def _few_lesions(facts: Facts) -> str:
    scores = facts["scores"]
    if not scores:
        return ""
    least = scores.get("least_lesions", 0)
    lesions = {code: row.get("n_lesions", row["n"]) for code, row in scores["per_class"].items()}
    few = [f"{code} ({n})" for code, n in lesions.items() if 0 < n < least]
    absent = [code for code, n in lesions.items() if not n]
    texts = []
    if few:
        texts.append(f"Fewer than {least} lesions were tested of {_words(few)}, too few for an interval.")
    if absent:
        texts.append(f"No image of {_words(absent)} was tested.")
    return " ".join(texts)


def _not_sure(facts: Facts) -> str:
    decision = facts.get("decision")
    if "variants" not in facts or (decision and decision["threshold"] is not None):
        return ""
    return 'It never says "not sure": every usable image gets a diagnosis, however doubtful.'


def _gate(facts: Facts) -> str:
    if "variants" not in facts or facts.get("gate"):
        return ""
    return "It does not check whether an image is a usable dermoscopic image."


def _skin_tone(facts: Facts) -> str:
    if facts.get("skin_tone"):
        return ""
    return "Skin tone is not recorded with the images, so there are no scores by skin tone."


def _licence(facts: Facts) -> str:
    text = facts["licences"]["data"]
    if text.startswith("not stated"):
        return "The licence of the training images is not stated, so whether the weights may be used is open."
    if "NC" in text.split(";")[0]:
        return f"The training images are licensed for non-commercial use only ({text.split(';')[0]})."
    return ""


RULES: dict[int, Callable[[Facts], str]] = {
    10: _not_measured,
    20: _leaks,
    30: _split,
    40: _synthetic,
    50: _unknown_lesion,
    60: _patients,
    70: _missed,
    80: _external,
    90: _few_lesions,
    95: _metadata,
    100: _calibration,
    120: _not_sure,
    130: _gate,
    150: _skin_tone,
    160: _licence,
}  # by rank; what comes from other results has a rank between these


def _percent(share: float) -> str:
    """A share in per cent with one decimal; `0.0 %` is said only of 0."""
    text = f"{100 * share:.1f}"
    return "below 0.1 %" if text == "0.0" and share > 0 else f"{text} %"


def _interval(metric: Mapping[str, Any]) -> str:
    low, high = metric["low"], metric["high"]
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f" (interval {100 * low:.1f} to {100 * high:.1f} %)"


def _words(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
