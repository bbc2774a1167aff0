"""The command and the function `assess`."""

import json
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from lesionlens.assessment.assess import ASSESSMENTS, AssessmentSettings, assess
from lesionlens.assessment.decisions import DecisionSettings, assess_decisions
from lesionlens.cli.main import app
from lesionlens.core.artifact import hash_file, read_json
from lesionlens.core.errors import RecipeError
from lesionlens.core.run import Run
from lesionlens.evaluation.predictions import write_predictions
from lesionlens.evaluation.scores import score


@pytest.fixture
def run(draw, tmp_path) -> Run:
    run = Run.at(tmp_path / "run")
    write_predictions(draw(150), run.predictions)
    write_predictions(draw(150, split="validation"), run.validation_predictions)
    return run


def test_every_assessment_is_written_with_what_it_was_made_from(run):
    results = assess(run, AssessmentSettings(resamples=100))
    for each in ASSESSMENTS:
        content = read_json(each.path(run))
        assert content == results[each.name]
        assert content["made_from"]["checkpoint"] == "c"
        assert content["made_from"]["validation_predictions"] == hash_file(run.validation_predictions)
        assert each.text(content)


@pytest.mark.parametrize(("name", "value"), [("resamples", 1), ("confidence", 2.0)])
def test_settings_out_of_range(name, value):
    with pytest.raises(RecipeError, match=name):
        AssessmentSettings(**{name: value})


def test_the_command_passes_every_option_on(run):
    words = ["assess", str(run.folder), "--prevalence", "mel=0.02", "--target-prevalence", "0.03", "--cost-missed", "40"]
    words += ["--cost-referral", "2", "--specificity", "0.7", "--sensitivity", "0.85", "--guaranteed-sensitivity", "0.9"]
    words += ["--guarantee", "pac", "--delta", "0.2", "--coverage", "0.8", "--resamples", "100", "--confidence", "0.9"]
    shown = CliRunner().invoke(app, [*words, "--seed", "5", "--json"])
    assert shown.exit_code == 0, shown.output
    content = json.loads(shown.stdout)["decisions"]
    assert content["settings"] == {
        "prevalence": {"mel": 0.02},
        "target_prevalences": [0.03],
        "specificities": [0.7],
        "sensitivities": [0.85],
        "guaranteed_sensitivity": 0.9,
        "guarantee": {"kind": "pac", "delta": 0.2},
        "cost_missed": 40.0,
        "cost_referral": 2.0,
        "coverage": 0.8,
    }
    assert content["resampling"] == {"resamples": 100, "confidence": 0.9, "seed": 5}
    assert read_json(run.decisions) == content


def test_the_command_prints_text_for_people(run):
    shown = CliRunner().invoke(app, ["assess", str(run.folder), "--resamples", "100"])
    assert shown.exit_code == 0
    assert "chosen on" in shown.stdout
    assert f"wrote {run.decisions}" in shown.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prevalence", "melanoma=0.1"], "prevalence of melanoma; the diagnoses are akiec"),
        (["--prevalence", "mel=0.6,nv=0.6"], "the prevalences sum to 1.2; they must sum to at most 1"),
        (["--cost-missed", "50"], "the cost of a needless referral is not stated"),
        (["--cost-missed", "-1", "--cost-referral", "1"], "cost of a missed melanoma is -1.0; it must be above 0"),
        (["--specificity", "1"], "specificities 1.0; it must be between 0 and 1"),
        (["--delta", "0"], "delta 0.0 of the guarantee"),
    ],
)
def test_mistakes_are_one_line(run, words, message):
    shown = CliRunner().invoke(app, ["assess", str(run.folder), *words])
    assert isinstance(shown.exception, RecipeError)
    assert message in str(shown.exception)
    assert "\n" not in str(shown.exception)
    assert not run.decisions.exists()


@pytest.mark.slow
def test_no_torch_is_loaded(run):
    code = (
        "import sys\nfrom lesionlens.cli.main import app\n"
        f"try: app(['assess', {str(run.folder)!r}, '--resamples', '100'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'timm', 'sklearn', 'matplotlib', 'pandas') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


@pytest.mark.alone
@pytest.mark.slow
def test_scores_and_assessment_of_1000_predictions_take_less_than_30_seconds(draw):
    """With 2,000 resamples on two cores, which also leaves room for further assessments of the stored predictions."""
    validation, test = draw(750, split="validation"), draw(750)
    assert len(test) >= 950
    start = time.perf_counter()
    score(test, 2000)
    assess_decisions(validation, test, DecisionSettings(prevalence={"mel": 0.05}, cost_missed=50, cost_referral=1))
    assert time.perf_counter() - start < 30
