import dataclasses
import json
import shutil

import mlcroissant
import pytest

from lesionlens.core.artifact import hash_file
from lesionlens.reporting.documents.croissant import COLUMNS, CONFORMS_TO, croissant
from lesionlens.reporting.documents.sources import HAM10000
from lesionlens.reporting.documents.stated import Stated

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # rdflib's own parser


def read(content, folder):
    folder.mkdir(exist_ok=True)
    (folder / "croissant.json").write_text(json.dumps(content))
    return mlcroissant.Dataset(jsonld=folder / "croissant.json")


def test_the_reference_library_finds_no_error_and_reads_the_index(run_folder, facts_of):
    facts = facts_of(run_folder)
    folder = run_folder / "documents"
    dataset = read(croissant(facts, folder), folder)
    assert not dataset.metadata.issues.errors
    assert CONFORMS_TO in dataset.metadata.conforms_to
    records = list(dataset.records("images"))
    expected = facts.run.index.records
    assert len(records) == len(expected)
    assert records[7]["images/image_id"] == expected[7].image_id.encode()
    assert records[7]["images/dx"] == expected[7].dx.encode()
    assert records[7]["images/age"] == expected[7].age
    diagnoses = list(dataset.records("diagnoses"))
    assert [(row["diagnoses/code"], row["diagnoses/malignant"]) for row in diagnoses][4] == ("mel", True)


def test_another_index_is_noticed(run_folder, facts_of):
    folder = run_folder / "documents"
    content = croissant(facts_of(run_folder), folder)
    assert content["distribution"][0]["sha256"] == hash_file(run_folder / "index.csv")


def test_a_path_elsewhere_is_not_told(run_folder, tmp_path, facts_of):
    facts = facts_of(run_folder)
    assert croissant(facts, run_folder / "documents")["distribution"][0]["contentUrl"] == "../index.csv"
    assert croissant(facts, tmp_path / "elsewhere")["distribution"][0]["contentUrl"] == "index.csv"
    shutil.copy(run_folder / "index.csv", tmp_path / "index.csv")
    assert len(list(read(croissant(facts, tmp_path), tmp_path).records("images"))) == len(facts.run.index)


def test_licence_and_citation(finished_run, facts_of, bundled_facts):
    facts = facts_of(finished_run)
    assert croissant(facts, finished_run)["license"].startswith("not stated")
    stated = facts_of(finished_run, Stated({"data_licence": "CC BY 4.0"}))
    assert croissant(stated, finished_run)["license"] == "CC BY 4.0"
    index = dataclasses.replace(facts.run.index, source="ham10000")
    known = croissant(dataclasses.replace(facts, run=dataclasses.replace(facts.run, index=index)), finished_run)
    assert (known["license"], known["url"], known["citeAs"]) == (HAM10000.licence_url, HAM10000.url, HAM10000.bibtex)
    assert "apache" in croissant(bundled_facts, finished_run)["license"]


def test_every_column_of_an_index_is_described(image_index):
    assert set(image_index.columns) | {"patient_id"} <= COLUMNS.keys()
