"""The topic "Other data sets" of the report."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lesionlens.assessment.external.artifacts import write_evaluation
from lesionlens.assessment.external.evaluation import ExternalEvaluation, ExternalSettings, evaluate_external
from lesionlens.assessment.external.frozen_model import FrozenModel, model_settings
from lesionlens.assessment.external.official import PER_CATEGORY
from lesionlens.bundle.decision import Decision
from lesionlens.bundle.outputs import Outputs
from lesionlens.core.artifact import hash_file, write_json
from lesionlens.core.errors import ArtifactError
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index
from lesionlens.reporting.external import COLUMNS, OFFICIAL, section
from lesionlens.reporting.report import build_report

OWN = "c" * 64


def made_up_model() -> FrozenModel:
    """A model that reads the diagnosis from the green of `write_images`, and is wrong now and then."""
    random = np.random.default_rng(0)

    def run(pixels: np.ndarray) -> Outputs:
        green = pixels[:, 0, 0, 1].astype(int)
        likely = np.clip(np.round((green - 120) / 10), 0, 6).astype(int)
        logits = random.normal(0, 1.5, (len(pixels), 7))
        logits[np.arange(len(pixels)), likely] += 3
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return Outputs(probabilities.astype(np.float32), np.zeros((len(pixels), 4), np.float32), None)

    spec = InputSpec(32, 32, "squash", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    decision = Decision(("mel",), 0.95, 0.2)
    settings = model_settings(1.5, decision, None, "a test")
    hashes = {"checkpoint": OWN, "index": "another"}
    return FrozenModel("made up", "bundle", HAM10000, spec, run, None, decision, None, settings, hashes, seed=0, resamples=100)


@pytest.fixture(scope="module")
def evaluation(image_index: Index) -> ExternalEvaluation:
    return evaluate_external(made_up_model(), image_index, None, ExternalSettings("clinic"))


def of_another(evaluation: ExternalEvaluation, name: str, checkpoint: str) -> ExternalEvaluation:
    """The same numbers under another name, and as those of another checkpoint."""
    made_from = {**evaluation.content["made_from"], "checkpoint": checkpoint}
    return replace(evaluation, content={**evaluation.content, "name": name, "made_from": made_from})


def contents(folder: Path) -> Any:
    return SimpleNamespace(paths=SimpleNamespace(external=folder), checkpoint_hash=OWN)


def test_a_run_without_any_has_no_section(tmp_path: Path) -> None:
    assert section(contents(tmp_path / "external")) is None


@pytest.mark.slow
def test_sets_side_by_side(evaluation: ExternalEvaluation, tmp_path: Path) -> None:
    write_evaluation(evaluation, tmp_path / "clinic")
    topic = section(contents(tmp_path))
    assert topic is not None
    assert [row["name"] for row in topic["rows"]] == ["clinic", "clinic, by lesion"]
    row = topic["rows"][0]
    figure = evaluation.content["key_figures"]["image"]["figures"]["melanoma_auc"]
    cell = row["cells"][list(COLUMNS).index("melanoma_auc")]
    assert cell == {"value": f"{figure['value']:.3f}", "interval": f"{figure['low']:.3f}–{figure['high']:.3f}"}
    assert row["images"] == "236"
    restricted = row["cells"][list(COLUMNS).index("restricted_balanced_accuracy")]
    assert restricted["value"] == "–"
    assert any("every class of the model has images" in reason for reason in topic["reasons"])


@pytest.mark.slow
def test_those_of_other_checkpoints_are_named_and_not_shown(evaluation: ExternalEvaluation, tmp_path: Path) -> None:
    write_evaluation(of_another(evaluation, "foreign", "d" * 64), tmp_path / "foreign")
    topic = section(contents(tmp_path))
    assert topic is not None
    assert topic["sets"] == []
    assert topic["others"] == ["foreign"]


def test_a_damaged_result_is_an_error(tmp_path: Path) -> None:
    write_json(tmp_path / "x" / "external.json", {"name": "x"})
    with pytest.raises(ArtifactError, match="is no external evaluation"):
        section(contents(tmp_path))


def test_every_official_metric_has_a_column() -> None:
    assert OFFICIAL.keys() == set(PER_CATEGORY)


@pytest.mark.slow
def test_it_stands_in_the_report(trained_run: Path, evaluation: ExternalEvaluation) -> None:
    checkpoint = hash_file(trained_run / "train" / "best.safetensors")
    write_evaluation(of_another(evaluation, "clinic", checkpoint), trained_run / "external" / "clinic")
    page = build_report(trained_run)
    part = page.split('id="external"')[1].split("</section>")[0]
    assert "Other data sets" in part
    assert "<h3>clinic</h3>" in part
    assert "Leaks cannot be excluded." in part
    assert 'aria-label="Flow of 236 images' in part
    assert not re.search(r"\b(nan|None|undefined)\b", part)


def test_a_report_without_any_says_how_to_make_one(finished_run: Path) -> None:
    part = build_report(finished_run).split('id="external"')[1].split("</section>")[0]
    assert "lesionlens evaluate CHECKPOINT --index INDEX" in part
