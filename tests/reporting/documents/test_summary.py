from lesionlens.reporting.documents.summary import summary
from lesionlens.reporting.run_folder import read_run


def test_the_report_begins_with_the_same_limits_as_the_card(assessed_run, assessed_facts):
    top = summary(read_run(assessed_run))
    texts = [limit.text.replace("`", "") for limit in assessed_facts.limits]
    assert top["limits"] == texts[:3]
    assert top["further"] == texts[3:]
    assert top["for"] == assessed_facts.card["intended_use"]["for"]


def test_statements_of_the_run_folder_count(run_folder):
    before = summary(read_run(run_folder))
    assert any("licence" in text for text in before["further"])
    (run_folder / "stated.toml").write_text('data_licence = "CC BY 4.0"')
    after = summary(read_run(run_folder))
    assert not any("licence" in text for text in after["further"])
