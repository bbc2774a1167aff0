"""Whom to refer when the costs of a miss and of a needless referral are stated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import Cases, Target, missing, too_few
from lesionlens.assessment.decisions.operating_points import Resampling, without_bounds
from lesionlens.assessment.decisions.prior import weighted_means
from lesionlens.bundle.decision import Decision

BAYES, CURRENT, FIRST = "bayes", "bundle", "first choice"
RULES = {
    BAYES: "refer where the probability reaches the threshold of the costs",
    CURRENT: "refer what the bundle calls so or leaves as not sure",
    FIRST: "refer where the first choice is such a diagnosis",
    "all": "refer everybody",
    "none": "refer nobody",
}
SHARES = ("referred", "missed", "needless")


def bayes_threshold(cost_missed: float, cost_referral: float) -> float:
    """Probability from which a referral costs less than none: cost_referral / (cost_referral + cost_missed) (Elkan 2001).

    >>> bayes_threshold(19, 1)
    0.05
    """
    return cost_referral / (cost_referral + cost_missed)


def bundle_referrals(target: Target, cases: Cases, decision: Decision) -> dict[str, np.ndarray]:
    """Whom the rules that state no costs refer, bool (N,) each.

    Args:
        target: what must not be missed.
        cases: calibrated by the temperature, as the bundle is.
        decision: the bundle's rule for "not sure".
    """
    first = np.isin(cases.probabilities.argmax(axis=1), [cases.label_set.index(code) for code in target.codes])
    everybody = np.ones(len(cases), dtype=bool)
    unsure = decision.unsure(cases.probabilities, cases.label_set)
    return {CURRENT: first | unsure, FIRST: first, "all": everybody, "none": ~everybody}


def referral_costs(
    target: Target,
    cases: Cases,
    others: Mapping[str, np.ndarray],
    costs: tuple[float, float],
    weights: np.ndarray,
    resampling: Resampling,
) -> dict[str, Any]:
    """Expected cost of each rule of referral on the test split, JSON-ready.

    Args:
        target: what must not be missed; a referral of another lesion is needless.
        cases: calibrated (for the clinic, if `weights` are its), of the test split.
        others: whom the other rules refer, from `bundle_referrals`.
        costs: of a miss and of a needless referral.
        weights: of the images, (N,): ones, or those of a clinic's prevalence.
        resampling: of the intervals.

    Returns:
        `threshold` of the Bayes rule; by rule of `RULES` its `cost` per image with an interval, and the shares of images that are
        `referred`, `missed` and `needless`; `saving`: cost of the bundle's rule minus that of the Bayes rule, with an interval.
    """
    truth = target.truth(cases)
    if truth.all() or not truth.any():
        return missing(f"all images of the test split are of one side for {target.name}")
    threshold = bayes_threshold(*costs)
    columns = {BAYES: target.scores(cases) >= threshold, **others}
    referred = np.stack([columns[name] for name in RULES], axis=1)
    missed, needless = truth[:, None] & ~referred, ~truth[:, None] & referred
    cost = costs[0] * missed + costs[1] * needless
    names = list(RULES)
    saving = cost[:, [names.index(CURRENT)]] - cost[:, [names.index(BAYES)]]
    means = weighted_means(np.hstack([cost, saving]), weights, cases, resampling)
    reason = too_few(min(len(np.unique(cases.lesion_ids[side])) for side in (truth, ~truth)), "of the rarer side")
    *of_rules, of_saving = (without_bounds(each, reason).to_json() for each in means)
    shares = np.average(np.stack([referred, missed, needless]), axis=1, weights=weights)
    rules = {
        name: {"rule": RULES[name], "cost": of_rules[k], **dict(zip(SHARES, shares[:, k].tolist(), strict=True))}
        for k, name in enumerate(RULES)
    }
    return {"threshold": threshold, "cost_missed": costs[0], "cost_referral": costs[1], "rules": rules, "saving": of_saving}
