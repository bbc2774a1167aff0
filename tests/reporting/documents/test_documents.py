import json
import os
import shutil

import pytest

from lesionlens import __version__
from lesionlens.core.artifact import hash_file, write_json
from lesionlens.core.errors import ArtifactError, RecipeError, StorageError
from lesionlens.core.run import Run
from lesionlens.reporting.documents.documents import CHECKLISTS, documents_text, write_documents
from lesionlens.reporting.documents.stated import Stated

FILES = {
    *("card.md", "card.html", "chai-applied-model-card.xml", "croissant.json", "documents.json"),
    *("claim-2024.md", "claim-2024.json", "tripod-ai.md", "tripod-ai.json", "stard-ai.md", "stard-ai.json"),
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_document_is_there_with_its_hash(run_folder):
    written = write_documents(Run.at(run_folder))
    assert {path.name for path in written.folder.iterdir()} == FILES
    content = json.loads((run_folder / "documents" / "documents.json").read_text())
    assert content == json.loads(json.dumps(written.content))
    assert content["lesionlens"] == __version__
    assert content["files"] == {name: hash_file(written.folder / name) for name in FILES - {"documents.json"}}
    assert content["card"]["scores"] == json.loads((run_folder / "scores.json").read_text())


def test_the_same_run_gives_the_same_bytes_anywhere(assessed_run, tmp_path):
    first = contents(write_documents(Run.at(assessed_run)).folder)
    copy = shutil.copytree(assessed_run, tmp_path / "elsewhere" / "run")
    assert contents(write_documents(Run.at(copy)).folder) == first
    assert contents(write_documents(Run.at(assessed_run)).folder) == first
    assert not any(str(tmp_path).encode() in text for text in first.values())


def test_a_bundled_run_too(bundled_run, tmp_path):
    folder = shutil.copytree(bundled_run, tmp_path / "run")
    written = write_documents(Run.at(folder))
    assert written.content["checklists"]["claim-2024"]["not available"] < 15
    text = (folder / "documents" / "card.md").read_text()
    assert "Energy: not measured" not in text
    assert "`lesionlens export CHECKPOINT`" not in text


def test_assessments_fill_items(finished_run, assessed_run, tmp_path):
    plain = write_documents(Run.at(finished_run, documents=tmp_path / "plain")).content["checklists"]
    full = write_documents(Run.at(assessed_run)).content["checklists"]
    for each in CHECKLISTS:
        assert full[each.file]["filled"] > plain[each.file]["filled"]
        assert full[each.file]["not available"] < plain[each.file]["not available"]


def test_markdown_and_json_of_a_checklist_agree(run_folder):
    folder = write_documents(Run.at(run_folder)).folder
    for each in CHECKLISTS:
        filled = json.loads((folder / f"{each.file}.json").read_text())
        text = (folder / f"{each.file}.md").read_text()
        assert len(filled["items"]) == len(each.items)
        assert all(f"\n| {item['number']} | {item['title']} |" in text for item in filled["items"])
        assert each.doi in text


def test_statements_are_recorded(run_folder):
    (run_folder / "stated.toml").write_text('funding = "A grant."\nwatts = 100\n')
    written = write_documents(Run.at(run_folder))
    assert written.content["stated"]["funding"] == "A grant."
    items = json.loads((written.folder / "claim-2024.json").read_text())["items"]
    assert items[43] | {"status": "filled", "text": "A grant.", "from": ["stated.toml"]} == items[43]
    assert "0.00 kWh" in (written.folder / "card.md").read_text()
    assert write_documents(Run.at(run_folder), Stated()).content["stated"]["watts"] is None


def test_a_summary_for_people(run_folder):
    text = documents_text(write_documents(Run.at(run_folder)))
    assert f"{run_folder / 'documents'}: 11 files" in text
    assert "not available: bundle: make it with: lesionlens export CHECKPOINT" in text


@pytest.mark.parametrize("name", ["recipe.toml", "index.csv", "split.json", "predictions.npz", "scores.json"])
def test_a_run_without_what_it_needs_is_one_line(run_folder, name):
    (run_folder / name).unlink()
    with pytest.raises((ArtifactError, RecipeError)) as error:
        write_documents(Run.at(run_folder))
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert not (run_folder / "documents").exists()


def test_damaged_json_is_one_line(run_folder):
    scores = json.loads((run_folder / "scores.json").read_text())
    (run_folder / "scores.json").write_text(
        json.dumps(scores | {"metrics": {**scores["metrics"], "ece": {"value": float("nan")}}}),
    )
    with pytest.raises(ArtifactError, match=r"scores\.json holds nan at metrics\.ece\.value"):
        write_documents(Run.at(run_folder))
    (run_folder / "scores.json").write_text("{")
    with pytest.raises(ArtifactError, match="not readable as JSON"):
        write_documents(Run.at(run_folder))


def test_a_folder_of_something_else_is_not_replaced(run_folder):
    (run_folder / "documents").mkdir()
    (run_folder / "documents" / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match="would be replaced; choose another --out"):
        write_documents(Run.at(run_folder))
    assert (run_folder / "documents" / "thesis.txt").read_text() == "mine"


def test_a_place_that_cannot_be_written(run_folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"."):
        write_documents(Run.at(run_folder, documents=tmp_path / "file" / "documents"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(run_folder, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="may not write"):
        write_documents(Run.at(run_folder, documents=tmp_path / "locked" / "documents"))


def test_old_documents_are_replaced(run_folder):
    folder = write_documents(Run.at(run_folder)).folder
    (folder / "old.md").write_text("old")
    write_json(folder / "croissant.json", {})
    write_documents(Run.at(run_folder))
    assert {path.name for path in folder.iterdir()} == FILES
