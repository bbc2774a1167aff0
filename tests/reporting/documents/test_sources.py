from lesionlens.export.provenance import DATA_LICENCES
from lesionlens.reporting.documents.sources import PUBLISHED


def test_every_statement_of_a_published_set_names_its_paper():
    for source in PUBLISHED.values():
        for text in (source.reference_standard, source.setting, source.dates, source.series):
            assert source.citation in text
        assert source.citation.partition("doi:")[2] in source.bibtex


def test_published_sets_have_a_licence():
    assert PUBLISHED.keys() <= DATA_LICENCES.keys()
