from lesionlens.bundle.bundle import open_bundle
from lesionlens.bundle.card import card
from lesionlens.reporting.documents.run_card import run_card


def test_a_run_has_the_sections_of_its_bundle(bundled_run, bundled_facts):
    of_bundle = card(open_bundle(bundled_run / "bundle").facts)
    of_run = run_card(bundled_facts)
    for title in ("## Diagnoses", "## Calibration", "## Gate", "## Variants", "## Explanation", "## Licences"):
        start = of_bundle.index(title)
        section = of_bundle[start : of_bundle.find("\n\n## ", start)]
        assert section in of_run


def test_what_lacks_is_named_with_its_command(plain_facts):
    text = run_card(plain_facts)
    assert "| Subgroups | `lesionlens assess RUN` |" in text
    assert "| Other data sets | `lesionlens evaluate CHECKPOINT --index other.csv` |" in text
    assert "was not exported" in text


def test_every_assessment_has_its_section(assessed_facts):
    text = run_card(assessed_facts)
    titles = (
        "People and lesions",
        "Metrics",
        "Operating points",
        "Bundle",
        "Subgroups",
        "Robustness",
        "Other data sets",
        "Limits",
    )
    places = [text.index(f"## {title}\n") for title in titles]
    assert places == sorted(places)
    summary = text[text.index("## In short") : text.index("## Diagnoses")]
    assert "2. Subgroups differ most by sex" in summary


def test_the_card_has_the_probabilities_that_are_delivered(bundled_facts):
    ece = bundled_facts.card["calibrated_scores"]["metrics"]["ece"]
    assert f"| Calibration error (ECE) | {100 * ece['value']:.1f} % |" in run_card(bundled_facts)
