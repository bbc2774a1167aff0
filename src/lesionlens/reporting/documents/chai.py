"""The Applied Model Card of the Coalition for Health AI (CHAI) as XML, with the elements of its schema v0.2 in their order."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from typing import Any

from lesionlens import __version__
from lesionlens.reporting.documents.answers import Answer, Provider, combined
from lesionlens.reporting.documents.answers_study import published
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.formats import OVERALL

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
Fields = dict[str, Any]  # by name of the element: a text, a mapping of further elements, or a list of pairs
RISK = "Clinical risk level: not assessed; it is no medical device."
INTERNAL, EXTERNAL = "Internal test on held-out images of the same source.", "Test on another data set."
USEFUL = ("balanced_accuracy", "macro_auc", "accuracy")
SAFE = ("recall", "specificity")


def chai_card(facts: RunFacts, providers: Mapping[str, Provider]) -> str:
    """The card as XML text. What is not known stands as `Not available: why`, since the schema requires the element."""
    card = _Card(facts, providers)
    root = ET.Element("AppliedModelCard", {"xmlns": NAMESPACE})
    _append(root, card.fields())
    ET.indent(root, space="  ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _append(parent: ET.Element, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            element = ET.SubElement(parent, name)
            if isinstance(item, Mapping):
                _append(element, item)
            else:
                element.text = _plain(item)


def _plain(text: str) -> str:
    """A text that XML 1.0 can hold: control characters are dropped."""
    return "".join(
        letter
        for letter in text
        if letter in "\t\n" or (ord(letter) >= 32 and not 0xD800 <= ord(letter) < 0xE000 and letter not in "\ufffe\uffff")
    )


class _Card:
    """The fields of one card."""

    def __init__(self, facts: RunFacts, providers: Mapping[str, Provider]) -> None:
        self.facts = facts
        self.providers = providers

    def fields(self) -> Fields:
        """All elements, in the order of the schema."""
        return {
            "BasicInfo": {
                "ModelName": self.facts.run.recipe.name,
                "ModelDeveloper": self.say("developer"),
                "DeveloperContact": self.say("contact"),
            },
            "ReleaseInfo": {
                "ReleaseStage": "Research",
                "ReleaseDate": "Not available: a run records no date of release",
                "ReleaseVersion": f"checkpoint {self.facts.run.scores['made_from'].get('checkpoint', 'unknown')[:12]}, "
                f"lesionlens {__version__}",
                "GlobalAvailability": self.say("availability", "licence"),
                "RegulatoryApproval": self.facts.card["intended_use"]["status"],
            },
            "ModelSummary": {
                "Summary": self.say("technology", "summary"),
                "Keywords": {"Keyword": ["dermoscopy", "skin lesions", self.facts.run.recipe.model.name]},
            },
            "UsesAndDirections": self.uses(),
            "Warnings": {
                "KnownRisksAndLimitations": self.say("limitations"),
                "KnownBiasesOrEthicalConsiderations": self.say("fairness", "demographics"),
                "ClinicalRiskLevel": RISK,
            },
            "TrustIngredients": {"AISystemFacts": self.system(), "TransparencyInformation": self.transparency()},
            "KeyMetrics": self.metrics(),
            "Resources": self.resources(),
            "Bibliography": getattr(published(self.facts), "bibtex", ""),
        }

    def say(self, *names: str) -> str:
        """The answers of these names as one text."""
        return _said(combined(self.providers[name](self.facts) for name in names))

    def uses(self) -> Fields:
        """How it is to be used."""
        use = self.facts.card["intended_use"]
        return {
            "IntendedUseAndWorkflow": _joined([f"{use['for']}", self.say("workflow")]),
            "PrimaryIntendedUsers": self.say("expertise"),
            "HowToUse": self.say("calculation"),
            "TargetedPatientPopulation": self.say("eligibility", "demographics"),
            "CautionedOutOfScopeSettings": use["not_for"],
        }

    def system(self) -> Fields:
        """What the system is."""
        return {
            "OutcomesAndOutputs": self.say("output"),
            "ModelType": self.say("model"),
            "FoundationModels": self.say("initial_weights"),
            "InputDataSource": self.say("sources"),
            "OutputAndInputDataTypes": self.say("preprocessing", "output"),
            "DevelopmentDataCharacterization": self.say("splits", "disjoint", "demographics", "events"),
            "BiasMitigationApproaches": self.say("imbalance", "fairness"),
            "OngoingMaintenance": self.say("maintenance"),
            "Transparency": self.say("explanation", "stored_outputs"),
        }

    def transparency(self) -> Fields:
        """Money, third parties and people who were asked."""
        return {
            "FundingSource": self.say("funding"),
            "ThirdPartyInformation": self.say("licence"),
            "StakeholdersConsulted": self.say("involvement"),
        }

    def metrics(self) -> Fields:
        """The three groups of key metrics."""
        scores = self.facts.run.scores
        useful = [(OVERALL[name], scores["metrics"][name]) for name in USEFUL]
        safe = [(OVERALL["ece"], scores["metrics"]["ece"])]
        if "mel" in scores["per_class"]:
            safe = [(f"Melanoma: {name}", scores["per_class"]["mel"][name]) for name in SAFE] + safe
        by_class = [(f"Recall of {code}", row["recall"]) for code, row in scores["per_class"].items()]
        return {
            "UsefulnessUsabilityEfficacy": self.group("The right diagnosis among those known.", useful, "overall"),
            "FairnessEquity": self.group("Equal performance in groups of people and of diagnoses.", by_class, "subgroups"),
            "SafetyReliability": self.group("No missed melanoma, and probabilities that hold.", safe, "failures", "robustness"),
        }

    def group(self, goal: str, metrics: Iterable[tuple[str, Mapping[str, Any]]], *interpretation: str) -> Fields:
        """One group of key metrics."""
        confidence = self.facts.run.scores["confidence"]
        results = [
            {"Label": label, "ValueJson": json.dumps(_value(metric, confidence), ensure_ascii=False)} for label, metric in metrics
        ]
        return {
            "MetricGoal": goal,
            "Results": {"MetricResult": results},
            "Interpretation": self.say(*interpretation),
            "TestType": INTERNAL + (f" {EXTERNAL}" if self.facts.results.external else ""),
            "TestingDataDescription": self.say("flow"),
            "ValidationProcessAndJustification": self.say("uncertainty"),
        }

    def resources(self) -> Fields:
        """References, publications and consent."""
        return {
            "EvaluationReferences": "report.html, card.md and the checklists CLAIM 2024, TRIPOD+AI and STARD-AI of this run.",
            "ClinicalTrial": self.say("registration"),
            "PeerReviewedPublications": self.say("publications"),
            "PatientConsentOrDisclosure": self.say("consent"),
        }


def _said(answer: Answer) -> str:
    if not answer.applies:
        return f"Not applicable: {answer.text}"
    return _joined([answer.text, f"Not available: {answer.missing}." if answer.missing else ""])


def _joined(texts: Iterable[str]) -> str:
    return " ".join(text for text in texts if text)


def _value(metric: Mapping[str, Any], confidence: float) -> dict[str, Any]:
    """A value in the form of the schema's examples: `single`, or `estimate_ci` with its interval."""
    if metric["value"] is None:
        return {"kind": "text", "value": "undefined"}
    if metric["low"] is None or metric["high"] is None:
        return {"kind": "single", "value": metric["value"]}
    return {
        "kind": "estimate_ci",
        "estimate": metric["value"],
        "lower": metric["low"],
        "upper": metric["high"],
        "level": 100 * confidence,
    }
