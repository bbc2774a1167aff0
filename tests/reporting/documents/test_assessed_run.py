"""Documents of results that the assessments themselves have written, so that a changed key is noticed."""

import shutil
from dataclasses import replace

import pytest

from lesionlens.assessment.assess import AssessmentSettings, assess
from lesionlens.assessment.external.evaluation import ExternalSettings
from lesionlens.assessment.robustness.settings import StressSettings
from lesionlens.assessment.robustness.stress import stress_network
from lesionlens.core.artifact import write_json
from lesionlens.core.run import Run
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import write_index
from lesionlens.data.sources.source import read_source
from lesionlens.pipeline.external_stage import ExternalSources, evaluate_external_set
from lesionlens.reporting.documents.documents import write_documents
from lesionlens.synthetic.dataset import write_synthetic


@pytest.fixture(scope="module")
def assessed(bundled_run, tmp_path_factory):
    """A run with every assessment and another data set."""
    folder = tmp_path_factory.mktemp("assessed")
    run = Run.at(shutil.copytree(bundled_run, folder / "run"))
    assess(run, AssessmentSettings(resamples=100))
    index = read_source(write_synthetic(folder / "other", n_images=56, seed=5, width=96, height=72))
    records = tuple(replace(each, image_id=f"X{each.image_id}", lesion_id=f"X{each.lesion_id}") for each in index.records)
    write_index(replace(index, records=records), folder / "clinic.csv")
    settings = StressSettings(images=6, corruptions=("blur", "jpeg"), resamples=100)
    write_json(run.robustness, stress_network(run.best, Dataset.of_run(run), settings))
    evaluate_external_set(ExternalSources(run.bundle, folder / "clinic.csv"), ExternalSettings("clinic", resamples=100))
    return run


@pytest.mark.slow  # every assessment, on images
def test_documents_read_what_the_assessments_write(assessed):
    written = write_documents(assessed)
    assert not {"bundle", "decisions", "subgroups", "robustness", "external"} & written.content["lacking"].keys()
    text = (written.folder / "card.md").read_text()
    assert "## Operating points" in text
    assert "| Melanoma | specificity 80 % |" in text
    assert "| own test split |" in text
    assert "| clinic | 56 |" in text
    assert "### Sex" in text
    assert "| Defocus | " in text
    names = [limit["name"] for limit in written.content["limits"]]
    assert {"external", "small_groups"} <= set(names)
