"""Whom to refer when the costs of a miss and of a needless referral are stated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lesionlens.assessment.decisions.cases import Cases, Target, missing, without_bounds
from lesionlens.assessment.decisions.error_rates import ErrorRates
from lesionlens.assessment.decisions.prior import weighted_means
from lesionlens.assessment.decisions.settings import Resampling
from lesionlens.bundle.decision import Decision
from lesionlens.evaluation.intervals import Interval

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
        resampling: of the interval of the saving; the others come from the rates of misses and false alarms.

    Returns:
        `threshold` of the Bayes rule; the `prevalence` at which all is meant; by rule of `RULES` its `cost` per image with an
        interval, and the shares of images that are `referred`, `missed` and `needless`; `saving`: cost of the bundle's rule
        minus that of the Bayes rule, with an interval.
    """
    truth = target.truth(cases)
    if truth.all() or not truth.any():
        return missing(f"all images of the test split are of one side for {target.name}")
    threshold = bayes_threshold(*costs)
    columns = {BAYES: target.scores(cases) >= threshold, **others}
    called = np.stack([columns[name] for name in RULES], axis=1)
    rates = ErrorRates.of(truth, called, weights, cases, resampling.confidence)
    ones, prevalence = np.ones(len(RULES)), rates.prevalence
    cost = rates.combined(0 * ones, costs[0] * prevalence * ones, costs[1] * (1 - prevalence) * ones)
    shares = np.stack(
        [np.average(called, axis=0, weights=weights), prevalence * rates.missed[0], (1 - prevalence) * rates.false_alarms[0]]
    )
    rules = {
        name: {
            "rule": RULES[name],
            "cost": _exact(name, cost[k]).to_json(),
            **dict(zip(SHARES, shares[:, k].tolist(), strict=True)),
        }
        for k, name in enumerate(RULES)
    }
    paid = [np.where(truth, costs[0] * ~columns[name], costs[1] * columns[name]) for name in (CURRENT, BAYES)]
    (saving,) = weighted_means((paid[0] - paid[1])[:, None], weights, cases, resampling)
    stated = {"threshold": threshold, "prevalence": prevalence, "cost_missed": costs[0], "cost_referral": costs[1]}
    return {**stated, "rules": rules, "saving": without_bounds(saving, rates.reason).to_json()}


def _exact(rule: str, cost: Interval) -> Interval:
    """The cost; referring everybody or nobody has no error to estimate."""
    return without_bounds(cost, "exact at this prevalence") if rule in ("all", "none") else cost
