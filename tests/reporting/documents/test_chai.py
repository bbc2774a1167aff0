import dataclasses
import json
import xml.etree.ElementTree as ET

import pytest

from lesionlens.reporting.documents.chai import NAMESPACE, chai_card
from lesionlens.reporting.documents.providers import PROVIDERS
from lesionlens.reporting.documents.stated import Stated

ORDER = {
    "AppliedModelCard": "BasicInfo ReleaseInfo ModelSummary UsesAndDirections Warnings TrustIngredients KeyMetrics Resources "
    "Bibliography",
    "BasicInfo": "ModelName ModelDeveloper DeveloperContact",
    "ReleaseInfo": "ReleaseStage ReleaseDate ReleaseVersion GlobalAvailability RegulatoryApproval",
    "ModelSummary": "Summary Keywords",
    "Keywords": "Keyword Keyword Keyword",
    "UsesAndDirections": "IntendedUseAndWorkflow PrimaryIntendedUsers HowToUse TargetedPatientPopulation "
    "CautionedOutOfScopeSettings",
    "Warnings": "KnownRisksAndLimitations KnownBiasesOrEthicalConsiderations ClinicalRiskLevel",
    "TrustIngredients": "AISystemFacts TransparencyInformation",
    "AISystemFacts": "OutcomesAndOutputs ModelType FoundationModels InputDataSource OutputAndInputDataTypes "
    "DevelopmentDataCharacterization BiasMitigationApproaches OngoingMaintenance Transparency",
    "TransparencyInformation": "FundingSource ThirdPartyInformation StakeholdersConsulted",
    "KeyMetrics": "UsefulnessUsabilityEfficacy FairnessEquity SafetyReliability",
    "UsefulnessUsabilityEfficacy": "MetricGoal Results Interpretation TestType TestingDataDescription "
    "ValidationProcessAndJustification",
    "MetricResult": "Label ValueJson",
    "Resources": "EvaluationReferences ClinicalTrial PeerReviewedPublications PatientConsentOrDisclosure",
}
"""Elements of the schema v0.2 in its order, without the optional ones that a run cannot fill."""


def tree(facts):
    return ET.fromstring(chai_card(facts, PROVIDERS))


def name(element):
    return element.tag.removeprefix(f"{{{NAMESPACE}}}")


def test_elements_have_the_order_of_the_schema(plain_facts, bundled_facts, assessed_facts):
    for facts in (plain_facts, bundled_facts, assessed_facts):
        for element in tree(facts).iter():
            assert element.tag.startswith(f"{{{NAMESPACE}}}")
            if name(element) in ORDER:
                assert [name(child) for child in element] == ORDER[name(element)].split()


def test_every_leaf_says_something(plain_facts):
    for element in tree(plain_facts).iter():
        if not len(element) and name(element) != "Bibliography":
            assert element.text, name(element)


def test_values_are_those_of_the_scores(plain_facts):
    groups = tree(plain_facts).find(f"{{{NAMESPACE}}}KeyMetrics")
    values = {e[0].text: json.loads(e[1].text) for e in groups.iter(f"{{{NAMESPACE}}}MetricResult")}
    metric = plain_facts.run.scores["metrics"]["macro_auc"]
    assert values["Macro AUC"] == {
        "kind": "estimate_ci",
        "estimate": metric["value"],
        "lower": metric["low"],
        "upper": metric["high"],
        "level": 95.0,
    }
    assert values["Melanoma: recall"]["kind"] == "single"


def test_undefined_values_are_words(plain_facts):
    scores = plain_facts.run.scores
    metrics = {**scores["metrics"], "ece": {"value": None, "low": None, "high": None}}
    run = dataclasses.replace(plain_facts.run, scores={**scores, "metrics": metrics})
    assert '{"kind": "text", "value": "undefined"}' in chai_card(dataclasses.replace(plain_facts, run=run), PROVIDERS)


def test_statements_fill_what_only_people_know(finished_run, facts_of):
    stated = Stated({"developer": "Clinic of X", "funding": "None."}, name="stated.toml")
    text = chai_card(facts_of(finished_run, stated), PROVIDERS)
    assert "<ModelDeveloper>Clinic of X</ModelDeveloper>" in text
    assert "<FundingSource>None.</FundingSource>" in text
    assert "<DeveloperContact>Not available: no artifact records how to reach them" in text


@pytest.mark.parametrize("text", ["<b>&amp;</b>]]>", "a\x00b\x0bc\ufffe"])
def test_any_name_gives_a_well_formed_card(plain_facts, text):
    recipe = dataclasses.replace(plain_facts.run.recipe, name=text)
    facts = dataclasses.replace(plain_facts, run=dataclasses.replace(plain_facts.run, recipe=recipe))
    shown = tree(facts).find(f"{{{NAMESPACE}}}BasicInfo")[0].text
    assert shown == (text if text.isprintable() else "abc")
