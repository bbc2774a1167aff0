"""The command `assess`: calibration, decisions and subgroups from stored predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lesionlens.cli.console import REPORTER, emit
from lesionlens.cli.options import DeltaOption, GuaranteeName, GuaranteeOption, Json

CLINIC = "Your clinic"
DECISIONS = "Decisions"


def assess(
    run: Annotated[Path, typer.Argument(help="Run folder, or a checkpoint in it, with predictions.npz and validation.npz.")],
    prevalence: Annotated[
        str,
        typer.Option(
            help="Share of each diagnosis among your lesions: mel=0.05,nv=0.7, or a TOML or CSV file.", rich_help_panel=CLINIC
        ),
    ] = "",
    target_prevalence: Annotated[
        list[float] | None,
        typer.Option(help="Share of melanoma for which predictive values are given. Repeatable.", rich_help_panel=CLINIC),
    ] = None,
    cost_missed: Annotated[
        float | None, typer.Option(help="Cost of a missed melanoma, in any unit.", rich_help_panel=CLINIC)
    ] = None,
    cost_referral: Annotated[
        float | None, typer.Option(help="Cost of a needless referral, in the same unit.", rich_help_panel=CLINIC)
    ] = None,
    specificity: Annotated[
        list[float] | None, typer.Option(help="Give the sensitivity at this specificity. Repeatable.", rich_help_panel=DECISIONS)
    ] = None,
    sensitivity: Annotated[
        list[float] | None, typer.Option(help="Give the specificity at this sensitivity. Repeatable.", rich_help_panel=DECISIONS)
    ] = None,
    guaranteed_sensitivity: Annotated[
        float, typer.Option(help="Sensitivity that a threshold must reach.", rich_help_panel=DECISIONS)
    ] = 0.95,
    guarantee: GuaranteeOption = GuaranteeName.expectation,
    delta: DeltaOption = 0.05,
    coverage: Annotated[
        float,
        typer.Option(help="Share of lesions whose conformal set holds the true diagnosis.", rich_help_panel=DECISIONS),
    ] = 0.9,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples over lesions.")] = 2000,
    confidence: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the resamples.")] = 0,
    as_json: Json = False,
) -> None:
    """Assess stored predictions: calibration, operating points, costs, conformal sets and subgroups.

    Everything is chosen on validation.npz and reported on predictions.npz, which `lesionlens evaluate` writes.
    """
    from lesionlens.assessment.assess import AssessmentSettings
    from lesionlens.assessment.decisions.prevalence import read_prevalence
    from lesionlens.assessment.decisions.settings import DecisionSettings
    from lesionlens.assessment.stored import run_of
    from lesionlens.export.decision_fit import Guarantee
    from lesionlens.pipeline.assessment_stages import assess as assess_run

    usual = DecisionSettings()
    decisions = DecisionSettings(
        prevalence=read_prevalence(prevalence) if prevalence else {},
        target_prevalences=tuple(target_prevalence or usual.target_prevalences),
        specificities=tuple(specificity or usual.specificities),
        sensitivities=tuple(sensitivity or usual.sensitivities),
        guaranteed_sensitivity=guaranteed_sensitivity,
        guarantee=Guarantee(guarantee, delta),
        cost_missed=cost_missed,
        cost_referral=cost_referral,
        coverage=coverage,
    )
    paths = run_of(run)
    result = assess_run(paths, AssessmentSettings(resamples, confidence, seed, decisions))
    REPORTER.note(f"wrote {paths.decisions} and {paths.subgroups}")
    emit(result, as_json)
