"""TRIPOD+AI: reporting of clinical prediction models by regression or machine learning."""

from __future__ import annotations

from lesionlens.reporting.documents.checklist import Checklist, Item

TRIPOD_AI = Checklist(
    name="TRIPOD+AI",
    file="tripod-ai",
    citation="Collins et al., TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use "
    "regression or "
    "machine learning methods, BMJ 385:e078378, 2024",
    doi="10.1136/bmj-2023-078378",
    note="Numbers as published (27 items in 52 parts), titles in our words; for a submission use the official form.",
    sections={
        "Title and abstract": (
            Item("1", "Development or evaluation, target population and outcome in the title", ("title", "goal", "technology")),
            Item("2", "Abstract", ("summary",)),
        ),
        "Introduction": (
            Item("3a", "Context in health care and rationale", ("background",)),
            Item("3b", "Target population, purpose and users", ("intended_use", "workflow")),
            Item("3c", "Known health inequalities", ("inequalities",)),
            Item("4", "Objectives", ("objectives", "goal")),
        ),
        "Methods": (
            Item("5a", "Sources of data, and whom they represent", ("sources", "series")),
            Item("5b", "Dates of the data", ("dates",)),
            Item("6a", "Setting and centres", ("setting", "centres")),
            Item("6b", "Eligibility", ("eligibility", "left_out")),
            Item("6c", "Treatments", ("treatments",)),
            Item("7", "Preparation and checks of the data", ("preprocessing", "quality")),
            Item("8a", "Outcome, and how it was assessed", ("reference_standard", "reference_rationale")),
            Item("8b", "Those who assessed the outcome", ("annotators",)),
            Item("8c", "Blinding of the assessment", ("reference_blinding",)),
            Item("9a", "Choice of predictors", ("blinding",)),
            Item("9b", "Predictors and their measurement", ("preprocessing", "devices")),
            Item("9c", "Those who assessed predictors", ("no_assessors",)),
            Item("10", "Sample size for development and evaluation", ("sample_size", "splits")),
            Item("11", "Missing data", ("missing_data",)),
            Item("12a", "Use of the data for development and evaluation", ("splits", "disjoint")),
            Item("12b", "Handling of predictors", ("preprocessing",)),
            Item("12c", "Type of model, building steps, internal validation", ("model", "training", "selection")),
            Item("12d", "Heterogeneity between clusters", ("uncertainty", "heterogeneity")),
            Item("12e", "Measures and plots of performance", ("measures", "uncertainty")),
            Item("12f", "Updating of the model", ("recalibration", "further_recalibration")),
            Item("12g", "Calculation of predictions", ("calculation",)),
            Item("13", "Class imbalance, and recalibration after it", ("imbalance", "recalibration")),
            Item("14", "Fairness", ("fairness",)),
            Item("15", "Output and thresholds", ("output", "operating_points")),
            Item("16", "Differences between development and evaluation data", ("comparison_of_splits", "shift")),
            Item("17", "Ethical approval and consent", ("ethics", "consent")),
        ),
        "Open science": (
            Item("18a", "Funding", ("funding",)),
            Item("18b", "Conflicts of interest", ("conflicts",)),
            Item("18c", "Protocol", ("protocol",)),
            Item("18d", "Registration", ("registration",)),
            Item("18e", "Sharing of data", ("data_availability", "licence")),
            Item("18f", "Sharing of code", ("code_availability", "availability")),
        ),
        "Patient and public involvement": (Item("19", "Involvement of patients and the public", ("involvement",)),),
        "Results": (
            Item("20a", "Flow of participants", ("flow",)),
            Item("20b", "Characteristics of participants", ("demographics",)),
            Item("20c", "Comparison of evaluation with development data", ("demographics", "events", "shift")),
            Item("21", "Participants and events in each analysis", ("events",)),
            Item("22", "The whole model, and restrictions of its use", ("calculation", "availability", "licence")),
            Item("23a", "Performance with intervals, in subgroups too", ("overall", "by_diagnosis", "subgroups")),
            Item("23b", "Heterogeneity of performance", ("heterogeneity",)),
            Item("24", "Results of updating", ("recalibration", "further_recalibration")),
        ),
        "Discussion": (
            Item("25", "Interpretation, fairness included", ("summary", "fairness")),
            Item("26", "Limitations", ("limitations",)),
            Item("27a", "Input of poor quality or missing", ("bad_input",)),
            Item("27b", "What users do, and their expertise", ("expertise",)),
            Item("27c", "Next steps", ("next_steps",)),
        ),
    },
)
