"""A prediction as a DICOM Structured Report: Measurement Report (TID 1500) with Algorithm Identification (TID 4019).

The report is complete, preliminary and unverified: a person has not looked. One group of measurements (TID 1501) holds outcome
and malignant share; one more for each diagnosis, in the category Differential Diagnosis, its probability.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from lesionlens import __version__
from lesionlens.interop import terms
from lesionlens.interop.result import Result
from lesionlens.interop.source_image import SourceImage, silence_libraries
from lesionlens.interop.terms import Term

if TYPE_CHECKING:
    from highdicom.sr import (
        AlgorithmIdentification,
        CodedConcept,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        ObservationContext,
        QualitativeEvaluation,
    )
    from pydicom.dataset import Dataset

MANUFACTURER = MODEL = "LesionLens"
SERIES_NUMBER = 9901  # after those of any camera
SERIES_DESCRIPTION = "LesionLens: preliminary, not verified"
INTENDED_USE = "research and decision support, not a medical device"
LONG_STRING = 64  # characters of VR LO


def structured_report(result: Result, source: SourceImage) -> bytes:
    """A Comprehensive SR, in Explicit VR Little Endian.

    Args:
        result: the prediction.
        source: the image that it is about.

    Returns:
        A file of PS3.10.
    """
    from highdicom.sr import ComprehensiveSR, MeasurementReport

    silence_libraries()
    report = MeasurementReport(
        observation_context=_observer(result),
        procedure_reported=coded(terms.DERMOSCOPY),
        imaging_measurements=_groups(result, source),
    )
    document = ComprehensiveSR(
        evidence=[source.elements],
        content=report[0],
        series_instance_uid=result.uid("sr series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=result.uid("sr"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        **equipment(result),
    )
    return written(document, result)


def equipment(result: Result) -> dict[str, Any]:
    """Arguments of every object that is made: what made it, when, and whose codes it uses."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    made = result.created
    return {
        "manufacturer_model_name": MODEL,
        "software_versions": (__version__, result.version),
        "device_serial_number": result.body["bundle"]["id"][:LONG_STRING],
        "series_description": SERIES_DESCRIPTION,
        "content_date": made.date(),
        "content_time": made.time(),
        "coding_schemes": [CodingSchemeIdentificationItem(terms.LOCAL, name=terms.LOCAL_NAME, responsible_organization=MODEL)],
    }


def written(document: Dataset, result: Result) -> bytes:
    """The bytes of an object that was made when its prediction was, however often it is made again."""
    made = result.created
    document.InstanceCreationDate, document.InstanceCreationTime = made.strftime("%Y%m%d"), made.strftime("%H%M%S.%f")
    document.TimezoneOffsetFromUTC = "+0000"
    document.SpecificCharacterSet = "ISO_IR 192"
    stream = io.BytesIO()
    document.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def coded(term: Term) -> CodedConcept:
    """A term as highdicom writes it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(term.code, term.scheme, term.meaning)


def _observer(result: Result) -> ObservationContext:
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes

    device = DeviceObserverIdentifyingAttributes(
        uid=result.uid("device"),
        name=MODEL,
        manufacturer_name=MANUFACTURER,
        model_name=result.body["bundle"]["name"][:LONG_STRING] or MODEL,
        serial_number=result.body["bundle"]["id"][:LONG_STRING],
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _groups(result: Result, source: SourceImage) -> list[MeasurementsAndQualitativeEvaluations]:
    """The outcome first, then every diagnosis, the most probable first."""
    overall = _group(result, source, "outcome", terms.SKIN_LESION, None, _shares(result), _evaluations(result))
    each = [
        _group(
            result,
            source,
            row["code"],
            terms.diagnosis_term(row["code"], row["name"]),
            terms.DIFFERENTIAL,
            [_measurement(terms.PROBABILITY, row["probability"])],
            [],
        )
        for row in result.ranked
    ]
    return [overall, *each]


def _group(
    result: Result,
    source: SourceImage,
    name: str,
    finding: Term,
    category: Term | None,
    measurements: list[Measurement],
    evaluations: list[QualitativeEvaluation],
) -> MeasurementsAndQualitativeEvaluations:
    from highdicom.sr import MeasurementsAndQualitativeEvaluations, SourceImageForMeasurementGroup, TrackingIdentifier

    image = SourceImageForMeasurementGroup(
        source.elements.SOPClassUID, source.elements.SOPInstanceUID, referenced_frame_numbers=source.frame_numbers
    )
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=result.uid(f"group {name}"), identifier=f"{result.id} {name}"),
        finding_type=coded(finding),
        finding_category=None if category is None else coded(category),
        algorithm_id=_algorithm(result),
        measurements=measurements,
        qualitative_evaluations=evaluations,
        source_images=[image],
    )


def _algorithm(result: Result) -> AlgorithmIdentification:
    from highdicom.sr import AlgorithmIdentification
    from pydicom.sr.codedict import codes

    bundle = result.body["bundle"]
    parameters = [
        f"bundle sha256 {bundle['id']}",
        f"variant {bundle['variant']}",
        f"lesionlens {__version__}",
        f"prediction {result.id}",
        f"intended use: {INTENDED_USE}",
    ]
    return AlgorithmIdentification(
        name=bundle["name"] or MODEL,
        version=result.version,
        parameters=parameters,
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=MANUFACTURER,
    )


def _shares(result: Result) -> list[Measurement]:
    share = result.body["malignant_share"]
    return [] if share is None else [_measurement(terms.MALIGNANT_SHARE, share)]


def _measurement(name: Term, value: float) -> Measurement:
    from highdicom.sr import Measurement

    return Measurement(coded(name), value, coded(terms.NO_UNIT))


def _evaluations(result: Result) -> list[QualitativeEvaluation]:
    """Outcome; the diagnosis, where the outcome is one; and every reason why the image is not usable."""
    from highdicom.sr import QualitativeEvaluation

    body = result.body
    pairs = [(terms.OUTCOME, terms.outcome_term(body["outcome"]))]
    if body["diagnosis"] is not None:
        name = next(row["name"] for row in body["probabilities"] if row["code"] == body["diagnosis"])
        pairs.append((terms.DIAGNOSIS, terms.diagnosis_term(body["diagnosis"], name)))
    reasons = (body["gate"] or {}).get("reasons", ())
    pairs += [(terms.IMAGE_QUALITY, terms.reason_term(reason["code"], reason["text"])) for reason in reasons]
    return [QualitativeEvaluation(coded(name), coded(value)) for name, value in pairs]
