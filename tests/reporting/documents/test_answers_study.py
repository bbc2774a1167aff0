import dataclasses

import pytest

from lesionlens.reporting.documents.answers_study import OF_PATIENTS, STUDY, centres, published, reference_standard
from lesionlens.reporting.documents.sources import HAM10000
from lesionlens.reporting.documents.stated import Stated


@pytest.fixture
def of_ham10000(plain_facts):
    run = plain_facts.run
    return dataclasses.replace(plain_facts, run=dataclasses.replace(run, index=dataclasses.replace(run.index, source="ham10000")))


def test_of_a_known_source_its_paper_speaks(of_ham10000):
    assert published(of_ham10000) == HAM10000
    assert STUDY["setting"](of_ham10000).text == HAM10000.setting
    assert reference_standard(of_ham10000).text == HAM10000.reference_standard
    assert STUDY["devices"](of_ham10000).missing.startswith("no artifact records dermatoscopes and cameras")


def test_a_statement_counts_before_the_paper(of_ham10000):
    facts = dataclasses.replace(of_ham10000, stated=Stated({"setting": "Ours."}, name="stated.toml"))
    assert STUDY["setting"](facts).text == "Ours."


def test_of_an_unknown_source_nothing_is_claimed(plain_facts):
    assert published(plain_facts) is None
    for key in (*OF_PATIENTS, "reference_standard"):
        assert STUDY[key](plain_facts).text == ""
        assert f"`{key}` in stated.toml" in STUDY[key](plain_facts).missing


def test_drawn_images_have_no_patients(bundled_facts):
    for key in OF_PATIENTS:
        assert not STUDY[key](bundled_facts).applies
    assert "the program drew" in reference_standard(bundled_facts).text
    assert STUDY["funding"](bundled_facts).missing


def test_how_diagnoses_were_made_is_counted_where_it_is_recorded(plain_facts):
    people = {
        name: {**row, "dx_type": {"histo": 3}, "dataset": {"vienna": 2, "rosendahl": 1}}
        for name, row in plain_facts.people.items()
    }
    facts = dataclasses.replace(plain_facts, people=people)
    assert reference_standard(facts).text.startswith("Diagnosis by, train: histo 3; validation: histo 3")
    assert centres(facts).text.startswith("Images from, train: vienna 2, rosendahl 1;")
    assert centres(plain_facts).text == ""


def test_nobody_was_examined(plain_facts):
    assert not STUDY["adverse_events"](plain_facts).applies
