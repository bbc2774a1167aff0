from lesionlens.reporting.documents.answers_assessed import ASSESSED


def test_each_answer_is_there_or_names_its_command(plain_facts, assessed_facts):
    for name, provider in ASSESSED.items():
        assert provider(plain_facts).text == ""
        assert "lesionlens " in provider(plain_facts).missing
        if name != "heterogeneity":
            assert provider(assessed_facts).text
            assert provider(assessed_facts).source
    assert ASSESSED["external"](assessed_facts).source == "external/*/external.json"


def test_what_a_result_does_not_tell(assessed_facts):
    assert ASSESSED["heterogeneity"](assessed_facts).missing == "scores by centre: no centre is known of any image"
