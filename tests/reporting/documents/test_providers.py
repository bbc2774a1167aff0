import pytest

from lesionlens.reporting.documents.answers_assessed import ASSESSED
from lesionlens.reporting.documents.answers_data import DATA
from lesionlens.reporting.documents.answers_model import MODEL
from lesionlens.reporting.documents.answers_results import RESULTS
from lesionlens.reporting.documents.answers_study import STUDY
from lesionlens.reporting.documents.documents import CHECKLISTS
from lesionlens.reporting.documents.providers import PROVIDERS
from lesionlens.reporting.documents.stated import TEXTS


def test_no_name_stands_twice():
    parts = (STUDY, DATA, MODEL, RESULTS, ASSESSED)
    assert len(PROVIDERS) == sum(map(len, parts)) + 1


@pytest.mark.parametrize("checklist", CHECKLISTS, ids=lambda checklist: checklist.name)
def test_every_item_names_answers_that_exist(checklist):
    for item in checklist.items:
        assert item.answers
        assert set(item.answers) <= PROVIDERS.keys()


def test_every_statement_reaches_a_document():
    asked = {name for checklist in CHECKLISTS for item in checklist.items for name in item.answers}
    elsewhere = {"data_licence", "developer", "contact", "publications", "maintenance"}  # licences, and the CHAI card
    assert TEXTS.keys() - asked == elsewhere | {"consent"} - asked
