"""Answers from the assessments: operating points, subgroups, robustness, other data sets."""

from __future__ import annotations

from lesionlens.reporting.documents.answers import Answer, Provider, lacking
from lesionlens.reporting.documents.facts import RunFacts

WHAT = {
    "operating_points": ("decisions", "operating points, predictive values and decision curves"),
    "subgroups": ("subgroups", "scores by age, sex, site and skin tone"),
    "fairness": ("subgroups", "gaps between groups of people"),
    "robustness": ("robustness", "scores under corruption, and agreement of photographs of one lesion"),
    "heterogeneity": ("external", "scores by centre"),
    "external": ("external", "scores on other data sets"),
    "shift": ("external", "how other data sets differ from the training images"),
}


def assessed(name: str) -> Provider:
    """The provider of one assessment."""
    result, what = WHAT[name]

    def answer(facts: RunFacts) -> Answer:
        return lacking(facts, result, what)

    return answer


ASSESSED: dict[str, Provider] = {name: assessed(name) for name in WHAT}
