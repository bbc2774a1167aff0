"""Answers on the study: what its publishers say of a known data set, and what only people can state."""

from __future__ import annotations

from lesionlens.reporting.documents.answers import Answer, Provider, statement, unstated
from lesionlens.reporting.documents.facts import RunFacts
from lesionlens.reporting.documents.people import counts_text
from lesionlens.reporting.documents.sources import PUBLISHED, PublishedSource

DRAWN = "A program drew the images, so there are no patients, centres or examiners."
OF_PATIENTS = (
    *("setting", "dates", "eligibility", "series", "treatments", "devices", "deidentification", "reference_rationale"),
    *("annotators", "annotation", "rater_variability", "reference_blinding", "time_interval", "severity", "ethics", "consent"),
)
PLAIN = (
    *("title", "developer", "contact", "background", "inequalities", "objectives", "implications", "next_steps", "workflow"),
    *("prespecified", "registration", "protocol", "funding", "conflicts", "commercial", "involvement", "publications"),
    *("maintenance", "data_availability", "code_availability"),
)


def published(facts: RunFacts) -> PublishedSource | None:
    """What is published of the source of the images; None if they were drawn or nothing is cited here."""
    return None if facts.synthetic else PUBLISHED.get(facts.run.index.source)


def of_patients(key: str) -> Provider:
    """The provider of what is stated of patients and examiners; without a statement, what the data set's paper says."""

    def answer(facts: RunFacts) -> Answer:
        if facts.synthetic:
            return Answer.inapplicable(DRAWN)
        if facts.stated.text(key):
            return Answer(facts.stated.text(key), facts.stated.name)
        text = getattr(published(facts), key, "")
        return Answer(text, "index.csv") if text else Answer(missing=unstated(key))

    return answer


def reference_standard(facts: RunFacts) -> Answer:
    """How the diagnoses were made: as stated, as published, and by image where the index records it."""
    if facts.synthetic:
        return Answer("The diagnosis of an image is the one that the program drew.", "index.csv")
    texts = [facts.stated.text("reference_standard") or getattr(published(facts), "reference_standard", "")]
    recorded = {name: counts["dx_type"] for name, counts in facts.people.items() if counts["dx_type"]}
    if recorded:
        texts.append("Diagnosis by, " + "; ".join(f"{name}: {counts_text(counts)}" for name, counts in recorded.items()) + ".")
    text = " ".join(text for text in texts if text)
    return Answer(text, "index.csv") if text else Answer(missing=unstated("reference_standard"))


def centres(facts: RunFacts) -> Answer:
    """Where the images come from, by split, where the index records it."""
    recorded = {name: counts["dataset"] for name, counts in facts.people.items() if counts["dataset"]}
    if not recorded:
        return Answer()
    return Answer(
        "Images from, " + "; ".join(f"{name}: {counts_text(counts)}" for name, counts in recorded.items()) + ".", "index.csv"
    )


def no_treatment(facts: RunFacts) -> Answer:
    """Adverse events of the examination."""
    return Answer.inapplicable("Existing images were processed; nobody was examined or treated for this run.")


STUDY: dict[str, Provider] = {
    **{key: statement(key) for key in PLAIN},
    **{key: of_patients(key) for key in OF_PATIENTS},
    "reference_standard": reference_standard,
    "centres": centres,
    "adverse_events": no_treatment,
}
