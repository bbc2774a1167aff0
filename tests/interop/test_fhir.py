"""FHIR resources: by the models of fhir.resources, by HL7's JSON schema, and what they say."""

import json

import pytest

pytest.importorskip("fhir.resources", reason="the extra `interop` is not installed")

from tests.interop.clinic import BUNDLE, PROBABILITIES, result, source_image
from tests.npm_files import npm_file

from lesionlens.core.labels import HAM10000
from lesionlens.interop.fhir import Study, fhir_bundle

REASONS = (("blurred", "the image is blurred"),)
OUTCOMES = ["diagnosis", "not_sure", "not_usable"]


def made(outcome="diagnosis", study=None, transaction=False):
    reasons = REASONS if outcome == "not_usable" else ()
    return json.loads(fhir_bundle(result(outcome, reasons), study, transaction))


def resources(bundle, kind):
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


@pytest.fixture(scope="module")
def schema():
    """HL7's schema as a validator, or a skip that says how to get it."""
    path = npm_file("fhir-schema")
    if not path.is_file():
        pytest.skip("no schema of FHIR R4: resources are held against it where `make fhir-schema` has fetched it")
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    return jsonschema_rs.validator_for(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("transaction", [False, True])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_schema_of_r4_accepts_it(schema, outcome, transaction):
    bundle = made(outcome, Study.of(source_image()), transaction)
    assert schema.is_valid(bundle), [str(error) for error in schema.iter_errors(bundle)][:3]
    for entry in bundle["entry"]:
        assert schema.is_valid(entry["resource"])


def test_the_schema_can_refuse(schema):
    bundle = made()
    del resources(bundle, "DiagnosticReport")[0]["status"]
    resources(bundle, "Observation")[0]["value"] = 3
    assert not schema.is_valid(bundle)


def test_probabilities_with_codes_of_both_schemes():
    observations = resources(made(), "Observation")[1:]
    told = {
        each["valueCodeableConcept"]["coding"][-1]["code"]: each["component"][0]["valueQuantity"]["value"]
        for each in observations
    }
    assert told == pytest.approx(dict(zip(HAM10000.codes, PROBABILITIES, strict=True)))
    (melanoma,) = (each for each in observations if each["valueCodeableConcept"]["text"] == "Melanoma")
    assert melanoma["valueCodeableConcept"]["coding"][0] == {
        "system": "http://snomed.info/sct",
        "code": "93655004",
        "display": "Malignant melanoma of skin",
    }
    assert melanoma["code"]["coding"][0]["code"] == "111023"  # a differential diagnosis, no finding


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_and_status(outcome):
    bundle = made(outcome)
    (report,) = resources(bundle, "DiagnosticReport")
    first, *others = resources(bundle, "Observation")
    assert {each["status"] for each in (report, first, *others)} == {"preliminary"}
    assert report["conclusionCode"][0]["coding"][0]["code"] == outcome
    assert first["valueCodeableConcept"]["coding"][0]["code"] == outcome
    assert len(report["result"]) == len(others) + 1 == (1 if outcome == "not_usable" else 8)
    codes = [component["code"]["coding"][0]["code"] for component in first["component"]]
    assert (
        codes
        == {
            "diagnosis": ["malignant_share", "diagnosis_of_model"],
            "not_sure": ["malignant_share"],
            "not_usable": ["111101"],
        }[outcome]
    )


def test_references_lead_inside_the_bundle():
    bundle = made(study=Study.of(source_image()))
    addresses = {entry["fullUrl"] for entry in bundle["entry"]}
    referred = set()
    for report in resources(bundle, "DiagnosticReport"):
        referred |= {each["reference"] for each in (*report["result"], *report["imagingStudy"])}
    referred |= {each["device"]["reference"] for each in resources(bundle, "Observation")}
    assert referred | {report_address(bundle)} == addresses


def report_address(bundle):
    return next(entry["fullUrl"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "DiagnosticReport")


def test_the_model_is_a_device():
    (device,) = resources(made(), "Device")
    assert BUNDLE["id"] in device["version"][0]["value"]
    assert "not a medical device" in device["note"][0]["text"]


def test_without_a_study_there_is_no_subject():
    bundle = made()
    assert resources(bundle, "ImagingStudy") == []
    assert all("subject" not in entry["resource"] for entry in bundle["entry"])


def test_a_study_names_the_patient_by_id_only():
    source = source_image()
    study = Study.of(source)
    assert Study.from_bytes(study.to_bytes()) == study
    text = json.dumps(made(study=study), ensure_ascii=False)
    assert "P-17" in text
    assert source.elements.StudyInstanceUID in text
    assert "Müller" not in text
    assert '"1970' not in text  # nor below, but alone it may stand in identifiers, which are long random numbers
    assert "19700102" not in text
    assert "1970-01-02" not in text


def test_a_transaction_creates_each_resource_once():
    bundle, again = made(transaction=True), made(transaction=True)
    assert bundle == again
    conditions = [entry["request"]["ifNoneExist"] for entry in bundle["entry"]]
    assert len(set(conditions)) == len(conditions)
    assert all(" " not in condition for condition in conditions)
