import re

import pytest
from tests.data.dicom_files import SECRET, plain

from lesionlens.core.errors import ImageError
from lesionlens.data.dicom.patient import patient_pseudonym

KEY, OTHER_KEY = bytes(range(32)), bytes(32)


def test_the_same_patient_and_key_give_the_same_pseudonym():
    one, again = patient_pseudonym(plain(), KEY), patient_pseudonym(plain(Rows=40), KEY)
    assert re.fullmatch(r"dicom-[a-z2-7]{16}", one)
    assert one == again
    assert SECRET.lower() not in one
    assert len({one, patient_pseudonym(plain(), OTHER_KEY), patient_pseudonym(plain(PatientID="other"), KEY)}) == 3


def test_two_issuers_may_give_the_same_id():
    assert patient_pseudonym(plain(IssuerOfPatientID="A"), KEY) != patient_pseudonym(plain(IssuerOfPatientID="B"), KEY)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_an_id_there_is_none(value):
    assert patient_pseudonym(plain(PatientID=value), KEY) == ""


def test_damaged_objects_are_refused():
    with pytest.raises(ImageError):
        patient_pseudonym(plain()[:180], KEY)
