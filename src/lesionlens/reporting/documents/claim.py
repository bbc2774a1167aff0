"""CLAIM 2024: the checklist for artificial intelligence in medical imaging."""

from __future__ import annotations

from lesionlens.reporting.documents.checklist import Checklist, Item

CLAIM = Checklist(
    name="CLAIM 2024",
    file="claim-2024",
    citation="Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update, Radiol Artif "
    "Intell 6(4):e240300, 2024",
    doi="10.1148/ryai.240300",
    note="Numbers as published, titles in our words; for a submission use the official form.",
    sections={
        "Title and abstract": (
            Item("1", "Kind of AI named in title or abstract", ("title", "technology")),
            Item("2", "Structured summary", ("summary", "availability")),
        ),
        "Introduction": (
            Item("3", "Background, intended use and role of the AI", ("background", "intended_use", "workflow")),
            Item("4", "Aims and hypotheses", ("objectives",)),
        ),
        "Methods: design": (
            Item("5", "Prospective or retrospective", ("design",)),
            Item("6", "Goal of the study", ("goal",)),
        ),
        "Methods: data": (
            Item("7", "Sources of data", ("sources", "licence", "setting", "dates", "centres")),
            Item("8", "Inclusion and exclusion", ("eligibility", "series", "left_out")),
            Item("9", "Preprocessing", ("preprocessing",)),
            Item("10", "Subsets of the data that were used", ("left_out",)),
            Item("11", "De-identification", ("deidentification",)),
            Item("12", "Missing data", ("missing_data",)),
            Item("13", "Acquisition of the images", ("devices",)),
        ),
        "Methods: reference standard": (
            Item("14", "What the reference standard is", ("reference_standard",)),
            Item("15", "Why that one", ("reference_rationale",)),
            Item("16", "Who made the reference standard", ("annotators",)),
            Item("17", "Annotation of the test set", ("annotation",)),
            Item("18", "Variability between and within raters", ("rater_variability",)),
        ),
        "Methods: partitions": (
            Item("19", "How data were assigned to partitions", ("splits", "imbalance")),
            Item("20", "Level at which partitions are disjoint", ("disjoint",)),
        ),
        "Methods: testing data": (Item("21", "Intended sample size", ("sample_size",)),),
        "Methods: model": (
            Item("22", "Description of the model", ("model", "output")),
            Item("23", "Software and versions", ("software",)),
            Item("24", "Initial parameters", ("initial_weights",)),
        ),
        "Methods: training": (
            Item("25", "Training in detail", ("training", "duration")),
            Item("26", "Selection of the final model", ("selection",)),
            Item("27", "Ensembles", ("ensemble",)),
        ),
        "Methods: evaluation": (
            Item("28", "Metrics of performance", ("measures",)),
            Item("29", "Significance and uncertainty", ("uncertainty",)),
            Item("30", "Robustness and sensitivity", ("robustness",)),
            Item("31", "Explainability and its validation", ("explanation",)),
            Item("32", "Testing on internal data", ("internal",)),
            Item("33", "Testing on external data", ("external",)),
            Item("34", "Registration of a trial", ("registration",)),
        ),
        "Results: data": (
            Item("35", "Numbers included and excluded, as a flow", ("flow", "quality")),
            Item("36", "Demographic and clinical characteristics by partition", ("demographics", "events")),
        ),
        "Results: performance": (
            Item("37", "Performance in all partitions and subgroups", ("internal", "subgroups", "external")),
            Item("38", "Diagnostic accuracy and its precision", ("overall", "by_diagnosis", "operating_points")),
            Item("39", "Analysis of failures", ("failures", "confusion")),
        ),
        "Discussion": (
            Item("40", "Limitations", ("limitations",)),
            Item("41", "Implications for practice", ("implications", "intended_use")),
        ),
        "Other information": (
            Item("42", "Protocol or further technical details", ("protocol",)),
            Item(
                "43",
                "Availability of software, model and data",
                ("availability", "licence", "data_availability", "code_availability"),
            ),
            Item("44", "Funding", ("funding",)),
        ),
    },
)
