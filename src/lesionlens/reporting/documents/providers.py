"""All answers by name."""

from __future__ import annotations

from lesionlens.reporting.documents.answers import Answer, Provider
from lesionlens.reporting.documents.answers_assessed import ASSESSED
from lesionlens.reporting.documents.answers_data import DATA
from lesionlens.reporting.documents.answers_model import MODEL
from lesionlens.reporting.documents.answers_results import RESULTS
from lesionlens.reporting.documents.answers_study import STUDY
from lesionlens.reporting.documents.facts import RunFacts


def no_assessors(facts: RunFacts) -> Answer:
    """Those who measured predictors."""
    return Answer.inapplicable("The only predictor is the image; nobody rates anything in it.")


PROVIDERS: dict[str, Provider] = {**STUDY, **DATA, **MODEL, **RESULTS, **ASSESSED, "no_assessors": no_assessors}
