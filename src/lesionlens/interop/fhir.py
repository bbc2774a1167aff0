"""A prediction as FHIR R4 resources: a DiagnosticReport with Observations, the software as a Device, the study it is of.

The report is preliminary: a person has not looked. fhir.resources checks what is made (its R4B models; the resources use no
element in which R4B differs from R4, and a test holds them against the JSON schema of R4).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from lesionlens import __version__
from lesionlens.interop import terms
from lesionlens.interop.result import Result
from lesionlens.interop.source_image import SourceImage, require_libraries
from lesionlens.interop.terms import Term

MEDIA_TYPE = "application/fhir+json"
PREDICTION_SYSTEM = "urn:lesionlens:prediction"
BUNDLE_SYSTEM = "urn:lesionlens:bundle-sha256"
PATIENT_SYSTEM = "urn:lesionlens:dicom-patient-id"
ACCESSION_SYSTEM = "urn:lesionlens:dicom-accession-number"
SYSTEMS = {
    terms.SNOMED: "http://snomed.info/sct",
    terms.DICOM: "http://dicom.nema.org/resources/ontology/DCM",
    terms.UCUM: "http://unitsofmeasure.org",
    terms.LOCAL: "urn:lesionlens:codes",
}
CATEGORY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging", "display": "Imaging"}
SERVICE = {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "IMG", "display": "Diagnostic Imaging"}
NOT_A_DEVICE = "A research and decision-support tool, not a medical device. No person has verified this result."


@dataclass(frozen=True)
class Study:
    """What a FHIR resource says of patient and study; each may be empty.

    Attributes:
        patient_id: of the archive.
        accession_number: of the order.
        study_uid: of the study.
        series_uid: of the image's series.
        instance_uid: of the image.
        sop_class: of the image.
    """

    patient_id: str = ""
    accession_number: str = ""
    study_uid: str = ""
    series_uid: str = ""
    instance_uid: str = ""
    sop_class: str = ""

    @classmethod
    def of(cls, source: SourceImage) -> Study:
        """The study of a DICOM image, without the patient's name and birth date."""
        elements = source.elements
        return cls(
            str(elements.PatientID or ""),
            str(elements.AccessionNumber or ""),
            str(elements.StudyInstanceUID),
            str(elements.SeriesInstanceUID),
            str(elements.SOPInstanceUID),
            str(elements.SOPClassUID),
        )

    def to_bytes(self) -> bytes:
        """JSON that `from_bytes` reads."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Study:
        """The study that `to_bytes` wrote."""
        return cls(**json.loads(data))


def fhir_bundle(result: Result, study: Study | None = None, transaction: bool = False) -> bytes:
    """A Bundle of all resources of one prediction, as JSON.

    Args:
        result: the prediction.
        study: patient and study, if they are known; None: the report has no subject.
        transaction: for a FHIR server, which creates each resource that it does not have yet; else a collection.

    Raises:
        RecipeError: if fhir.resources is not installed.
    """
    require_libraries("fhir.resources")
    from fhir.resources.R4B.bundle import Bundle

    resources = _resources(result, study or Study())
    bundle = {
        "resourceType": "Bundle",
        "identifier": _identifier(PREDICTION_SYSTEM, result.id),
        "type": "transaction" if transaction else "collection",
        "timestamp": result.created.isoformat(timespec="milliseconds"),
        "entry": [_entry(result, name, resource, transaction) for name, resource in resources.items()],
    }
    if transaction:
        del bundle["identifier"], bundle["timestamp"]  # of a document or collection
    text: str = Bundle.model_validate(bundle).model_dump_json(exclude_none=True)
    return text.encode()


def _resources(result: Result, study: Study) -> dict[str, dict[str, Any]]:
    resources = {"device": _device(result)}
    if study.study_uid:
        resources["study"] = _imaging_study(result, study)
    observations = {"outcome": _outcome(result, study)} | {
        f"probability-{row['code']}": _probability(result, study, row) for row in result.ranked
    }
    return {**resources, **observations, "report": _report(result, study, [*observations])}


def _device(result: Result) -> dict[str, Any]:
    bundle = result.body["bundle"]
    return {
        "resourceType": "Device",
        "identifier": [_identifier(BUNDLE_SYSTEM, f"{bundle['id']} {bundle['variant']} {__version__}")],
        "deviceName": [{"name": f"LesionLens {bundle['name']}".strip(), "type": "model-name"}],
        "version": [{"value": f"bundle {bundle['id']}, variant {bundle['variant']}, lesionlens {__version__}"}],
        "note": [{"text": NOT_A_DEVICE}],
    }


def _imaging_study(result: Result, study: Study) -> dict[str, Any]:
    instance = {"uid": study.instance_uid, "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{study.sop_class}"}}
    modality = {"system": SYSTEMS[terms.DICOM], "code": "XC"}
    identifiers = [{"system": "urn:dicom:uid", "value": f"urn:oid:{study.study_uid}"}]
    if study.accession_number:
        identifiers.append(_identifier(ACCESSION_SYSTEM, study.accession_number))
    return {
        "resourceType": "ImagingStudy",
        "identifier": identifiers,
        "status": "available",
        "subject": _subject(study) or {"display": "not known"},
        "series": [{"uid": study.series_uid, "modality": modality, "instance": [instance]}],
    }


def _outcome(result: Result, study: Study) -> dict[str, Any]:
    """The outcome as a value, the malignant share and the reasons as components."""
    body, components = result.body, []
    if body["malignant_share"] is not None:
        components.append({"code": _concept(terms.MALIGNANT_SHARE), "valueQuantity": _quantity(body["malignant_share"])})
    if body["diagnosis"] is not None:
        components.append({"code": _concept(terms.DIAGNOSIS), "valueCodeableConcept": _diagnosis(result, body["diagnosis"])})
    for reason in (body["gate"] or {}).get("reasons", ()):
        value = _concept(terms.reason_term(reason["code"], reason["text"]), reason["text"])
        components.append({"code": _concept(terms.IMAGE_QUALITY), "valueCodeableConcept": value})
    observation = _observation(result, study, "outcome", terms.OUTCOME)
    observation["valueCodeableConcept"] = _concept(terms.outcome_term(body["outcome"]), body["explanation"])
    return observation | ({"component": components} if components else {})


def _probability(result: Result, study: Study, row: dict[str, Any]) -> dict[str, Any]:
    """The probability of one diagnosis: a component, so that no reader takes the diagnosis for a finding."""
    observation = _observation(result, study, f"probability-{row['code']}", terms.DIFFERENTIAL)
    observation["valueCodeableConcept"] = _diagnosis(result, row["code"])
    observation["component"] = [{"code": _concept(terms.PROBABILITY), "valueQuantity": _quantity(row["probability"])}]
    return observation


def _observation(result: Result, study: Study, name: str, code: Term) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "identifier": [_identifier(PREDICTION_SYSTEM, f"{result.id}/{name}")],
        "status": "preliminary",
        "category": [{"coding": [CATEGORY]}],
        "code": _concept(code),
        **_about(result, study),
        "device": {"reference": _address(result, "device")},
    }


def _report(result: Result, study: Study, observations: list[str]) -> dict[str, Any]:
    report = {
        "resourceType": "DiagnosticReport",
        "identifier": [_identifier(PREDICTION_SYSTEM, result.id)],
        "status": "preliminary",
        "category": [{"coding": [SERVICE]}],
        "code": _concept(terms.DERMOSCOPY),
        **_about(result, study),
        "issued": result.created.isoformat(timespec="milliseconds"),
        "performer": [{"display": f"LesionLens {__version__}"}],
        "result": [{"reference": _address(result, name)} for name in observations],
        "conclusion": f"{result.body['explanation']} {NOT_A_DEVICE}",
        "conclusionCode": [_concept(terms.outcome_term(result.body["outcome"]))],
    }
    return report | ({"imagingStudy": [{"reference": _address(result, "study")}]} if study.study_uid else {})


def _about(result: Result, study: Study) -> dict[str, Any]:
    about: dict[str, Any] = {"effectiveDateTime": result.created.isoformat(timespec="milliseconds")}
    return about | ({"subject": _subject(study)} if study.patient_id else {})


def _subject(study: Study) -> dict[str, Any] | None:
    """The patient by the archive's own id, which the receiver looks up."""
    if not study.patient_id:
        return None
    return {"type": "Patient", "identifier": _identifier(PATIENT_SYSTEM, study.patient_id)}


def _entry(result: Result, name: str, resource: dict[str, Any], transaction: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"fullUrl": _address(result, name), "resource": resource}
    if transaction:
        identifier = resource["identifier"][0]
        condition = f"identifier={identifier['system']}|{identifier['value'].replace(' ', '%20')}"
        entry["request"] = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": condition}
    return entry


def _address(result: Result, name: str) -> str:
    """The address of a resource inside the bundle."""
    from uuid import UUID

    number = int(result.uid(f"fhir {name}").removeprefix("2.25."))
    return f"urn:uuid:{UUID(int=number)}"


def _diagnosis(result: Result, code: str) -> dict[str, Any]:
    """A diagnosis with its local code, and its SNOMED CT concept where there is one."""
    name = next(row["name"] for row in result.body["probabilities"] if row["code"] == code)
    term = terms.diagnosis_term(code, name)
    local = Term(terms.LOCAL, code, name)
    return {"coding": [_coding(each) for each in dict.fromkeys((term, local))], "text": name}


def _concept(term: Term, text: str = "") -> dict[str, Any]:
    return {"coding": [_coding(term)], "text": text or term.meaning}


def _coding(term: Term) -> dict[str, str]:
    return {"system": SYSTEMS[term.scheme], "code": term.code, "display": term.meaning}


def _quantity(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "1", "system": SYSTEMS[terms.UCUM], "code": "1"}


def _identifier(system: str, value: str) -> dict[str, str]:
    return {"system": system, "value": value}
