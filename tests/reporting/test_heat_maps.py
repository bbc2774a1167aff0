"""The section about heat maps, of a network that was explained."""

import json
from pathlib import Path

import pytest

from lesionlens.core.artifact import write_json
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.explanation.explain import explain
from lesionlens.explanation.settings import ExplainSettings
from lesionlens.reporting.heat_maps import LOCATION, heat_maps
from lesionlens.reporting.report import build_report
from lesionlens.reporting.run_folder import read_run


@pytest.fixture
def explained_run(trained_run: Path) -> Path:
    dataset = Dataset.of_run(Run.at(trained_run))
    settings = ExplainSettings(limit=12, random_networks=1, curve_images=3, curve_steps=2, cases=1)
    explain(trained_run / "train" / "best.safetensors", dataset, trained_run / "explain", settings)
    return trained_run


def test_every_row_has_its_metrics(explained_run):
    report = json.loads((explained_run / "explain" / "faithfulness.json").read_text())
    shown = heat_maps(read_run(explained_run))
    assert [row["label"] for row in shown["rows"]][:2] == ["this network", "networks with random weights"]
    own = report["localisation"]["metrics"]
    assert [cell["value"] for cell in shown["rows"][0]["cells"]] == [f"{100 * own[name]['value']:.1f}" for name in LOCATION]
    assert [row["area"] for row in shown["curves"]] == [
        f"{report['curves'][name]['area']['value']:.3f}" for name in ("deletion", "insertion")
    ]


def test_the_page_shows_gallery_and_controls(explained_run):
    page = build_report(explained_run)
    section = page[page.index('<section id="heat-maps"') : page.index('<section id="provenance"')]
    assert "data:image/jpeg;base64," in section
    assert "networks with random weights" in section
    assert "a fixed blob in the centre" in section
    assert "no proof that a diagnosis is right" in section


def test_maps_of_another_checkpoint_are_left_out(explained_run):
    path = explained_run / "explain" / "faithfulness.json"
    write_json(path, {**json.loads(path.read_text()), "made_from": {"checkpoint": "0" * 64}})
    run = read_run(explained_run)
    assert run.explanation is None
    assert "lesionlens explain" in run.left_out["explain/faithfulness.json"]
    assert "this run has no <code>explain/faithfulness.json</code>" in build_report(explained_run)
