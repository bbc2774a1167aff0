"""Subgroups and stability in the report of a real, small run."""

import json
from pathlib import Path

import pytest
from tests.reporting.test_report import Page

from lesionlens.assessment.robustness.settings import StressSettings
from lesionlens.assessment.robustness.stress import Comparisons
from lesionlens.assessment.subgroups.subgroups import assess_subgroups
from lesionlens.core.artifact import write_json
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.pipeline.robustness_stages import stress
from lesionlens.reporting import robustness, subgroups
from lesionlens.reporting.report import build_report
from lesionlens.reporting.run_folder import read_run
from lesionlens.training.checkpoint import load_info


@pytest.fixture
def assessed(trained_run: Path, tmp_path: Path) -> Path:
    run = Run.at(trained_run)
    dataset = Dataset.of_run(run)
    spec = load_info(run.best).spec
    write_json(run.subgroups, assess_subgroups(read_predictions(run.predictions), dataset.index, dataset.store, spec))
    readers = tmp_path / "readers.csv"
    answers = "".join(f"{image_id},{reader},nv\n" for image_id in dataset.ids("test") for reader in (1, 2))
    readers.write_text("image_id,reader,diagnosis\n" + answers)
    settings = StressSettings(images=10, corruptions=("jpeg", "blur"), resamples=100)
    result = stress(run, settings, comparisons=Comparisons(readers=readers))
    assert result.content == json.loads(run.robustness.read_text())
    return trained_run


def test_the_page_shows_both(assessed: Path) -> None:
    html = build_report(assessed)
    page = Page(html)
    assert {"#subgroups", "#robustness"} <= {link["href"] for link in page.all("a")}
    for words in (
        *("All subgroups", "Body site", "Skin tone (estimate)", "not scored", "a score needs 20"),
        *("JPEG compression", "Defocus", "Mean corruption error", "58 dermatologists", "Case by case", "Hard images"),
        *("One image under the corruptions", "Label in doubt"),
    ):
        assert words in page.text, words
    assert html.count("data:image/jpeg") >= 10
    assert "nan" not in page.text.lower().split()
    labels = [svg["aria-label"] for svg in page.all("svg") if svg.get("aria-label")]
    assert any(label.startswith("JPEG compression, clean to strength 5") for label in labels)


def test_numbers_are_those_of_the_results(assessed: Path) -> None:
    run = read_run(assessed)
    stress_result, subgroup_result = (json.loads(getattr(run.paths, name).read_text()) for name in ("robustness", "subgroups"))
    stability, groups = robustness.section(run), subgroups.section(run)
    assert stability is not None
    assert groups is not None
    weakest = stress_result["corruptions"]["rows"][0]["strengths"][0]
    expected = (f"{100 * weakest['balanced_accuracy']['value']:.1f}", f"{weakest['value']:g}")
    assert stability["corruptions"]["rows"][0]["cells"][0] == expected
    assert stability["corruptions"]["rows"][0]["changed"]["interval"] == "too few lesions"
    shown = {attribute["title"]: attribute["rows"] for attribute in groups["attributes"]}
    stated = {each["title"]: each["groups"] for each in subgroup_result["attributes"] if not each["reason"]}
    assert [row["images"] for row in shown["Sex"]] == [group["n_images"] for group in stated["Sex"]]


@pytest.mark.slow
def test_without_store_there_are_no_pixels_but_a_page(assessed: Path) -> None:
    for child in (assessed / "store").iterdir():
        child.unlink()
    (assessed / "store").rmdir()
    assert "One image under the corruptions" not in Page(build_report(assessed)).text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["subgroups", "robustness"])
def test_of_another_checkpoint_it_is_left_out_with_its_remedy(assessed: Path, name: str) -> None:
    path = getattr(Run.at(assessed), name)
    content = json.loads(path.read_text())
    content["made_from"]["checkpoint"] = "0" * 64
    path.write_text(json.dumps(content))
    run = read_run(assessed)
    assert run.assessments[name] is None
    assert f"assessment/{name}.json" in run.left_out
    assert f"this run has no assessment/{name}.json" in Page(build_report(assessed)).text


def test_hostile_names_are_escaped(assessed: Path) -> None:
    path = Run.at(assessed).subgroups
    content = json.loads(path.read_text())
    for attribute in content["attributes"]:
        for group in attribute["groups"]:
            group["group"] = "<script>alert(1)</script>"
    path.write_text(json.dumps(content))
    assert "<script>" not in build_report(assessed)
