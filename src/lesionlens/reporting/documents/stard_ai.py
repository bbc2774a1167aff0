"""STARD-AI: reporting of diagnostic accuracy studies that use artificial intelligence."""

from __future__ import annotations

from lesionlens.reporting.documents.checklist import Checklist, Item

STARD_AI = Checklist(
    name="STARD-AI",
    file="stard-ai",
    citation="Sounderajah et al., The STARD-AI reporting guideline for diagnostic accuracy studies using artificial "
    "intelligence, "
    "Nat Med 31(10):3283-3289, 2025",
    doi="10.1038/s41591-025-03953-8",
    note="40 items in 48 parts, titles in our words. The numbers were taken from a published transcription that was "
    "checked against "
    "table 2 of the accepted manuscript, not from the version of record; for a submission use the official form.",
    sections={
        "Title and abstract": (
            Item(
                "1", "AI-centred diagnostic accuracy and a measure of it in title or abstract", ("title", "technology", "overall")
            ),
            Item("2", "Structured abstract", ("summary",)),
        ),
        "Introduction": (
            Item("3", "Background, intended use and place in the workflow", ("background", "intended_use", "workflow")),
            Item("4", "Objectives and hypotheses", ("objectives",)),
        ),
        "Methods: design, ethics, participants": (
            Item("5", "Prospective or retrospective", ("design",)),
            Item("6", "Ethical approval", ("ethics",)),
            Item("7", "Eligibility of participants and of data", ("eligibility", "left_out")),
            Item("8", "How eligible participants were found", ("series",)),
            Item("9", "Setting, place and dates", ("setting", "centres", "dates")),
            Item("10", "Consecutive, random or convenience series", ("series",)),
        ),
        "Methods: data": (
            Item("11", "Source of the data, and why they were collected", ("sources", "licence")),
            Item("12", "Who annotated, and how", ("annotators", "annotation")),
            Item("13", "Devices, and software with versions", ("devices", "software")),
            Item("14", "Acquisition and preprocessing", ("preprocessing", "devices")),
        ),
        "Methods: tests": (
            Item("15a", "Index test", ("technology", "model")),
            Item("15b", "Development of the index test, with sample sizes", ("training", "splits", "external")),
            Item("15c", "Cut-offs of the index test", ("output", "operating_points", "prespecified")),
            Item("15d", "End user and expertise", ("expertise",)),
            Item("16a", "Reference standard", ("reference_standard",)),
            Item("16b", "Why that reference standard", ("reference_rationale",)),
            Item("16c", "Categories of the reference standard", ("events",)),
            Item("17a", "What was known to the index test", ("blinding",)),
            Item("17b", "What was known to those who assessed the reference standard", ("reference_blinding",)),
        ),
        "Methods: analysis": (
            Item("18", "Estimation of accuracy", ("measures", "uncertainty")),
            Item("19", "Indeterminate results", ("indeterminate",)),
            Item("20", "Missing data", ("missing_data",)),
            Item("21", "Variability of accuracy, planned or exploratory", ("subgroups", "robustness", "prespecified")),
            Item("22", "Intended sample size", ("sample_size",)),
            Item("23", "Analysis of errors, bias and fairness", ("fairness", "failures")),
        ),
        "Results: participants and data": (
            Item("24", "Flow of participants", ("flow",)),
            Item("25", "Characteristics of training, validation and test sets", ("demographics", "events")),
            Item("26a", "Severity of the disease", ("severity",)),
            Item("26b", "Other diagnoses in those without the disease", ("alternative_diagnoses",)),
            Item("27", "Time and treatment between index test and reference standard", ("time_interval",)),
            Item("28", "Whether the data represent the intended population", ("representative",)),
            Item("29", "How external data differ", ("shift",)),
        ),
        "Results: tests": (
            Item("30", "Index test against reference standard", ("confusion",)),
            Item("31", "Accuracy with intervals", ("overall", "by_diagnosis", "operating_points")),
            Item("32", "Adverse events", ("adverse_events",)),
        ),
        "Discussion": (
            Item("33", "Limitations", ("limitations",)),
            Item("34", "Implications for practice", ("implications", "intended_use")),
            Item("35", "Ethics and fairness of the use", ("fairness", "licence")),
        ),
        "Other information": (
            Item("36", "Registration", ("registration",)),
            Item("37", "Protocol", ("protocol",)),
            Item("38", "Funding", ("funding",)),
            Item("39", "Commercial interests", ("commercial",)),
            Item("40a", "Availability of data and code", ("availability", "licence", "data_availability", "code_availability")),
            Item("40b", "Whether outputs are stored and can be audited", ("stored_outputs",)),
        ),
    },
)
