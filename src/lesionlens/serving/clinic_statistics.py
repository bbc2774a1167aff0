"""How well the model does on the clinic's own lesions: agreement with reviewers, and sensitivity and calibration on histology.

Every lesion counts once, with its newest usable prediction; an image of no lesion is a lesion of its own, and the same image
sent again counts once. So the cases are independent enough for Wilson's interval. Histology is taken of lesions that
somebody suspected: sensitivity and calibration on them are not those of all lesions, which `note` says.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from lesionlens.core.wilson import wilson
from lesionlens.serving.history import History
from lesionlens.serving.worklist import LAST_HISTOLOGY, LAST_REVIEW

NOTE = (
    "Lesions with histology are those that somebody suspected; sensitivity, specificity and calibration on them are not "
    "those of all lesions."
)
KNOWN = f"""SELECT input_sha256, outcome, case_id, lesion_id, frame, answer, review, histology FROM (
    SELECT a.id, a.input_sha256, a.outcome, s.case_id, s.lesion_id, s.frame, p.answer, {LAST_REVIEW} AS review,
    {LAST_HISTOLOGY} AS histology FROM answers a JOIN payloads p ON p.id = a.id JOIN subjects s ON s.prediction = a.id
    WHERE a.bundle_id = ?) AS judged WHERE review IS NOT NULL OR histology IS NOT NULL ORDER BY id DESC"""
BINS = (0.0, 0.05, 0.2, 0.5, 0.8, 1.0)  # of the malignant share
LEAST_LESIONS = 20  # below it there are counts and no interval


class Judged(NamedTuple):
    """A lesion of which a person or histology said something.

    Attributes:
        outcome: of its newest prediction.
        probabilities: by code; empty for an image that is not usable.
        malignant: by code.
        share: malignant share; None for an image that is not usable.
        review: newest conclusion, or None.
        histology: last diagnosis, or None.
    """

    outcome: str
    probabilities: dict[str, float]
    malignant: dict[str, bool]
    share: float | None
    review: str | None
    histology: str | None


def clinic_statistics(history: History, bundle_id: str) -> dict[str, Any]:
    """Statistics as `ClinicStatistics` in `worklist_schemas`, of the predictions of one bundle."""
    lesions = _lesions(history, bundle_id)
    return {"bundle": bundle_id, "agreement": agreement(lesions), "confirmed": confirmed(lesions), "note": NOTE}


def agreement(lesions: list[Judged]) -> dict[str, Any]:
    """How often the newest review agrees with the model's diagnosis, and with malignant or benign."""
    reviewed = [each for each in lesions if each.review is not None]
    named = [each for each in reviewed if each.outcome == "diagnosis" and each.review in each.malignant]
    return {
        "reviewed": len(reviewed),
        "not_comparable": len(reviewed) - len(named),
        "diagnosis": proportion(sum(_leading(each) == each.review for each in named), len(named)),
        "malignant": proportion(
            sum(each.malignant[_leading(each)] == each.malignant[str(each.review)] for each in named), len(named)
        ),
    }


def confirmed(lesions: list[Judged]) -> dict[str, Any]:
    """Sensitivity, specificity and calibration of malignant against benign on lesions with histology.

    A malignant lesion is found if the outcome is a malignant diagnosis or "not sure", since both have a person look.
    """
    known = [each for each in lesions if each.histology is not None]
    usable = [each for each in known if each.share is not None and each.histology in each.malignant]
    truth = [each.malignant[str(each.histology)] for each in usable]
    called = [each.outcome == "not_sure" or each.malignant[_leading(each)] for each in usable]
    found = sum(is_called for is_called, is_malignant in zip(called, truth, strict=True) if is_malignant)
    cleared = sum(not is_called for is_called, is_malignant in zip(called, truth, strict=True) if not is_malignant)
    by_dx = {
        code: [each for each in usable if each.histology == code] for code in sorted({str(each.histology) for each in usable})
    }
    return {
        "lesions": len(known),
        "left_out": len(known) - len(usable),
        "sensitivity": proportion(found, sum(truth)),
        "specificity": proportion(cleared, len(truth) - sum(truth)),
        "by_diagnosis": {code: proportion(sum(_leading(each) == code for each in of), len(of)) for code, of in by_dx.items()},
        "calibration": calibration([each.share for each in usable if each.share is not None], truth),
    }


def calibration(shares: list[float], truth: list[bool]) -> dict[str, Any]:
    """Malignant shares against what histology found: in the large, the Brier score, and by bins of the share.

    Args:
        shares: predicted, in [0, 1].
        truth: whether the lesion is malignant.
    """
    predicted, observed = np.array(shares, float), np.array(truth, float)
    bins = []
    for low, high in pairwise(BINS):
        inside = (predicted >= low) & ((predicted < high) | (high == BINS[-1]))
        n = int(inside.sum())
        mean = float(predicted[inside].mean()) if n else None
        bins.append({"low": low, "high": high, "predicted": mean, "observed": proportion(int(observed[inside].sum()), n)})
    return {
        "predicted": float(predicted.mean()) if len(shares) else None,
        "observed": proportion(int(observed.sum()), len(truth)),
        "brier": float(np.square(predicted - observed).mean()) if len(shares) else None,
        "bins": bins,
    }


def proportion(hits: int, n: int) -> dict[str, Any]:
    """A proportion with Wilson's interval of 95 %; below `LEAST_LESIONS` only the counts.

    >>> proportion(3, 4)
    {'hits': 3, 'n': 4, 'value': None, 'low': None, 'high': None}
    """
    if n < LEAST_LESIONS:
        return {"hits": hits, "n": n, "value": None, "low": None, "high": None}
    low, high = wilson(np.array(hits / n), np.array(float(n)))
    return {"hits": hits, "n": n, "value": hits / n, "low": float(low), "high": float(high)}


def _leading(each: Judged) -> str:
    return max(each.probabilities, key=lambda code: each.probabilities[code])


def _lesions(history: History, bundle_id: str) -> list[Judged]:
    """Every lesion once: its newest usable prediction, with the newest review and histology that any of its images has."""
    by_lesion: dict[tuple[str, ...], list[Judged]] = {}
    with history.reading() as connection:
        for sha256, outcome, case, lesion, frame, text, review, histology in history.rows(connection, KNOWN, (bundle_id,)):
            rows = (body := json.loads(text))["probabilities"]
            key = (case, lesion) if lesion else (sha256, str(frame))
            probabilities = {row["code"]: row["probability"] for row in rows}
            malignant = {row["code"]: row["malignant"] for row in rows}
            judged = Judged(outcome, probabilities, malignant, body["malignant_share"], review, histology)
            by_lesion.setdefault(key, []).append(judged)
    return [_one(group) for group in by_lesion.values()]


def _one(group: list[Judged]) -> Judged:
    newest = next((each for each in group if each.probabilities), group[0])
    review = newest.review or next((each.review for each in group if each.review), None)
    return newest._replace(review=review)
