"""Structured reports, read back by highdicom and pydicom, and checked by dciodvfy."""

import io
from typing import Any

import pydicom
import pytest

pytest.importorskip("highdicom", reason="the extra `interop` is not installed")

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from tests.interop.clinic import BUNDLE, PROBABILITIES, check_object, result, source_image

from lesionlens.core.labels import HAM10000
from lesionlens.interop.structured_report import structured_report

UNUSABLE = (("no_skin", "no skin in the image"), ("too_dark", "x" * 100))


def read(content: bytes) -> Any:
    from highdicom.sr import ComprehensiveSR

    return ComprehensiveSR.from_dataset(pydicom.dcmread(io.BytesIO(content)))


def probabilities(document: Any) -> dict[str, float]:
    """Probability of each finding, by its code, in the order of the report."""
    groups = document.content.get_image_measurement_groups()[1:]
    return {group.finding_type.value: group.get_measurements()[0].value for group in groups}


def evaluations(document: Any) -> list[tuple[str, str]]:
    group = document.content.get_image_measurement_groups()[0]
    pairs = [(each.name.value, each.value.value) for each in group.get_qualitative_evaluations()]
    return [pair for pair in pairs if pair != ("111000", "123110")]  # the family of the algorithm: artificial intelligence


def test_probabilities_have_their_codes_and_order():
    document = read(structured_report(result(), source_image()))
    by_code = dict(zip(HAM10000.codes, PROBABILITIES, strict=True))
    expected = {
        "400096001": by_code["nv"],
        "93655004": by_code["mel"],
        "bkl": by_code["bkl"],
        "254701007": by_code["bcc"],
        "akiec": by_code["akiec"],
        "df": by_code["df"],
        "vasc": by_code["vasc"],
    }
    assert probabilities(document) == pytest.approx(expected)
    assert list(probabilities(document)) == list(expected)
    for group in document.content.get_image_measurement_groups()[1:]:
        assert group.finding_category == codes.DCM.DifferentialDiagnosisImpression  # none of them is a finding of its own
        assert group.get_measurements()[0].name == codes.DCM.Probability


def test_outcome_and_malignant_share():
    document = read(structured_report(result(), source_image()))
    assert evaluations(document) == [("outcome", "diagnosis"), ("diagnosis_of_model", "400096001")]
    overall = document.content.get_image_measurement_groups()[0]
    assert [(each.name.value, each.value) for each in overall.get_measurements()] == [("malignant_share", 0.2)]


def test_not_sure_names_no_diagnosis():
    document = read(structured_report(result("not_sure"), source_image()))
    assert evaluations(document) == [("outcome", "not_sure")]
    assert len(probabilities(document)) == 7


def test_not_usable_has_reasons_and_no_probability():
    document = read(structured_report(result("not_usable", UNUSABLE), source_image()))
    assert evaluations(document) == [("outcome", "not_usable"), ("111101", "no_skin"), ("111101", "too_dark")]
    assert probabilities(document) == {}
    assert document.content.get_image_measurement_groups()[0].get_measurements() == []


def test_the_algorithm_is_identified():
    document = read(structured_report(result(), source_image()))
    texts = [
        item.TextValue
        for group in document.content.get_image_measurement_groups()
        for item in group[0].ContentSequence
        if item.ValueType == "TEXT"
    ]
    assert texts.count(f"bundle sha256 {BUNDLE['id']}") == 8
    assert texts.count("light") == 8
    assert texts.count("abababababab int8") == 8


def test_it_belongs_to_the_patient_and_study_and_refers_to_the_image():
    source = source_image()
    document = read(structured_report(result(), source))
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "AccessionNumber"):
        assert document[keyword].value == source.elements[keyword].value, keyword
    assert str(document.PatientName) == "Müller^Anna"  # from Latin-1 to Unicode
    evidence = document.CurrentRequestedProcedureEvidenceSequence[0]
    referred = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert referred.ReferencedSOPInstanceUID == source.elements.SOPInstanceUID
    assert (document.CompletionFlag, document.VerificationFlag, document.PreliminaryFlag) == (
        *("COMPLETE", "UNVERIFIED", "PRELIMINARY"),
    )


def test_a_frame_is_referred_to_as_dicom_counts():
    from dataclasses import replace

    source = replace(source_image(), frame=2, frames=5)
    document = read(structured_report(result(), source))
    image = next(item for item in _items(document) if item.ValueType == "IMAGE")
    assert image.ReferencedSOPSequence[0].ReferencedFrameNumber == 3


def test_the_same_prediction_gives_the_same_object_except_for_who_helped():
    source = source_image()
    first, second = (pydicom.dcmread(io.BytesIO(structured_report(result(), source))) for _ in range(2))
    other = pydicom.dcmread(io.BytesIO(structured_report(result(id_="01JDN8ZK3V0000000000000001"), source)))
    for document in (first, second):
        del document.ContributingEquipmentSequence  # when highdicom was used
    assert first == second
    assert first.SOPInstanceUID != other.SOPInstanceUID


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["diagnosis", "not_sure", "not_usable"])
def test_dciodvfy_finds_no_error(outcome, tmp_path):
    reasons = UNUSABLE if outcome == "not_usable" else ()
    check_object(structured_report(result(outcome, reasons), source_image()), tmp_path)


def _items(item: Dataset) -> list[Dataset]:
    children = list(item.get("ContentSequence", ()))
    return children + [below for child in children for below in _items(child)]
