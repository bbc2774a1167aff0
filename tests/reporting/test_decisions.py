"""The report's section on decisions, from a run's own decisions.json."""

import itertools
import re
import shutil
from pathlib import Path

import pytest

from lesionlens.assessment.assess import AssessmentSettings, assess
from lesionlens.assessment.decisions.settings import DecisionSettings
from lesionlens.core.artifact import read_json, write_json
from lesionlens.core.run import Run
from lesionlens.export.decision_fit import Guarantee
from lesionlens.reporting.decisions import cell, decisions
from lesionlens.reporting.report import build_report
from lesionlens.reporting.run_folder import read_run

STATED = DecisionSettings(prevalence={"mel": 0.1}, cost_missed=50, cost_referral=1, guarantee=Guarantee("pac", 0.1))


@pytest.fixture
def assessed(trained_run: Path) -> Path:
    assess(Run.at(trained_run), AssessmentSettings(resamples=100, decisions=STATED))
    return trained_run


def test_a_run_without_decisions_says_how_to_make_them(trained_run):
    page = build_report(trained_run)
    assert "this run has no <code>assessment/decisions.json</code>; make it with: lesionlens assess RUN" in page
    assert decisions(read_run(trained_run)) is None


def test_every_part_is_on_the_page(assessed):
    page = build_report(assessed)
    for words in ("Recalibration", "Reliability by diagnosis", "Melanoma against the rest", "Malignant against benign"):
        assert words in page
    for words in ("58 dermatologists", "Conformal sets", "At the stated prevalence", "guaranteed sensitivity"):
        assert words in page
    section = page[page.index('<section id="decisions"') : page.index('<section id="provenance"')]
    assert "nan" not in section.lower().replace("maligna", "")
    assert "None" not in section


def test_the_section_can_be_read_aloud(assessed):
    page = build_report(assessed)
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all("scope=" in head for head in re.findall(r"<th[ >][^>]*>?", page))
    drawings = re.findall(r"<svg[^>]*>", page)
    assert all("aria-label=" in each or "aria-hidden=" in each or "class=" not in each for each in drawings)
    assert len(re.findall(r'<div class="scroll"[^>]*tabindex="0"[^>]*aria-label=', page)) == page.count('<div class="scroll"')


def test_decisions_of_another_checkpoint_are_not_shown(assessed):
    path = Run.at(assessed).decisions
    content = read_json(path)
    write_json(path, {**content, "made_from": {**content["made_from"], "checkpoint": "other"}})
    assert decisions(read_run(assessed)) is None
    assert "this run has no <code>assessment/decisions.json</code>" in build_report(assessed)


def test_without_stated_costs_the_page_says_how_to_state_them(trained_run, tmp_path):
    folder = Path(shutil.copytree(trained_run, tmp_path / "other"))
    assess(Run.at(folder), AssessmentSettings(resamples=100))
    page = build_report(folder)
    assert "lesionlens assess RUN --cost-missed 50 --cost-referral 1" in page
    assert "At the stated prevalence" not in page


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ({"value": 0.5, "low": 0.25, "high": 0.75}, {"value": "50.0", "interval": "25.0–75.0", "why": ""}),
        ({"value": 0.1, "low": -0.1, "high": 0.3}, {"value": "10.0", "interval": "−10.0 to 30.0", "why": ""}),
        ({"value": -0.0001, "low": None, "reason": "few"}, {"value": "0.0", "interval": "–", "why": "few"}),
        (
            {"value": 1.0, "low": None, "count": 3, "of": 3, "reason": "few"},
            {"value": "100.0", "interval": "3 of 3", "why": "few"},
        ),
        ({"value": None, "low": None, "reason": "never called"}, {"value": "–", "interval": "", "why": "never called"}),
    ],
)
def test_numbers_as_cells(number, expected):
    assert cell(number) == expected
