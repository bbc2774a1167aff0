"""The flow of images through an external evaluation, as STARD (Cohen et al. 2016, item 19) asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlens.assessment.external.intention import DIAGNOSED, NOT_SURE, REFUSED, UNREADABLE, Intended


def image_flow(n_index: int, leaked: dict[str, Any], intended: Intended) -> dict[str, Any]:
    """Counts of every step from the index to right and wrong calls.

    Images whose diagnosis the model lacks are in every step; they can be called malignant or benign rightly, but not diagnosed.

    Args:
        n_index: images in the index.
        leaked: `n_leaked` and `kept`, as of `Screening.to_json`.
        intended: every image but the unreadable ones that were found to leak, and the leaked ones that were left out.

    Returns:
        `index`, `unreadable`, `leaked`, `leaked_kept`, `refused`, `not_sure`, `diagnosed`, and `outside` (of the assessed ones);
        `not_diagnosed` by true malignancy; `called` by true malignancy: `malignant` and `benign`; `right_diagnosis`,
        `wrong_diagnosis` and `outside_diagnosed` of the diagnosed ones.
    """
    cases, outcomes = intended.cases, intended.outcomes
    counts = {name: int((outcomes == name).sum()) for name in (UNREADABLE, REFUSED, NOT_SURE, DIAGNOSED)}
    diagnosed, outside = outcomes == DIAGNOSED, cases.labels < 0
    right = diagnosed & (cases.probabilities.argmax(axis=1) == cases.labels)
    called = cases.called_malignant
    sides = {"malignant": cases.malignant, "benign": ~cases.malignant}
    return {
        "index": n_index,
        **counts,
        "leaked": 0 if leaked["kept"] else leaked["n_leaked"],
        "leaked_kept": leaked["n_leaked"] if leaked["kept"] else 0,
        "outside": int(outside.sum()),
        "not_diagnosed": {
            name: {side: int((is_side & (outcomes == name)).sum()) for side, is_side in sides.items()}
            for name in (UNREADABLE, REFUSED, NOT_SURE)
        },
        "called": {
            side: {
                "n": int((is_side & diagnosed).sum()),
                "malignant": int((is_side & diagnosed & called).sum()),
                "benign": int((is_side & diagnosed & ~called).sum()),
            }
            for side, is_side in sides.items()
        },
        "right_diagnosis": int(right.sum()),
        "wrong_diagnosis": int((diagnosed & ~outside & ~right).sum()),
        "outside_diagnosed": int((diagnosed & outside).sum()),
    }


def outcomes_of(usable: np.ndarray, unsure: np.ndarray) -> np.ndarray:
    """The outcome of readable images: refused where the gate says so, else not sure, else diagnosed; text (N,)."""
    return np.where(~usable, REFUSED, np.where(unsure, NOT_SURE, DIAGNOSED))
