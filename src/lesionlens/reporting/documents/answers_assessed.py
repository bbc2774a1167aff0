"""Answers from the assessments: operating points, subgroups, robustness, other data sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lesionlens.reporting.documents import assessed_decisions, assessed_external, assessed_robustness, assessed_subgroups
from lesionlens.reporting.documents.answers import Answer, Provider, lacking
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.documents.results import FILES, reading

Tell = Callable[[Any], str]
NOTHING_KNOWN = "no centre is known of any image"


def of_result(name: str, what: str, tell: Tell, otherwise: str = "") -> Provider:
    """The provider of what one result tells.

    Args:
        name: of the result, see `results.Results`.
        what: it tells, for people who lack it.
        tell: the sentences, from the content.
        otherwise: what is missing where the content has nothing to tell.
    """

    def answer(facts: RunFacts) -> Answer:
        content = facts.results.external if name == "external" else facts.results.get(name)
        if not content:
            return lacking(facts, name, what)
        with reading(name, facts.run.paths):
            text = tell(content)
        return Answer(text, FILES[name]) if text else Answer(missing=f"{what}: {otherwise}")

    return answer


ASSESSED: dict[str, Provider] = {
    "operating_points": of_result("decisions", "operating points, predictive values, decision curves", assessed_decisions.answer),
    "further_recalibration": of_result("decisions", "a further recalibration", assessed_decisions.recalibration),
    "subgroups": of_result("subgroups", "scores by age, sex, site and skin tone", assessed_subgroups.answer),
    "fairness": of_result("subgroups", "gaps between groups of people", assessed_subgroups.fairness),
    "heterogeneity": of_result("subgroups", "scores by centre", assessed_subgroups.clusters, NOTHING_KNOWN),
    "robustness": of_result("robustness", "corruptions, and agreement of photographs of one lesion", assessed_robustness.answer),
    "external": of_result("external", "scores on other data sets", assessed_external.answer),
    "shift": of_result("external", "how other data sets differ from the training images", assessed_external.shift),
}
