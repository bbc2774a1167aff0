"""The whole evaluation: a bundle and a checkpoint on images of another centre."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.assessment.external.conftest import OTHER_LABELS
from typer.testing import CliRunner, Result

from lesionlens.bundle.runtime import Predictor
from lesionlens.cli.main import app
from lesionlens.core.errors import DataError, LesionLensError, RecipeError
from lesionlens.core.labels import HAM10000
from lesionlens.data.index import Index, Record, read_index, write_index
from lesionlens.evaluation.predictions import read_predictions
from lesionlens.evaluation.scores import score

pytestmark = pytest.mark.slow  # many evaluations with networks; the other files of this folder are quick

FILES = {"cases.csv", "external.json", "flow.svg", "predictions.npz", "scores.json"}


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in ("evaluate", *words, "--resamples", "100")])


def problem_of(*words: object) -> LesionLensError:
    error = run(*words).exception
    assert isinstance(error, LesionLensError), repr(error)
    assert "\n" not in str(error)
    return error


def content_of(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "external.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def evaluated(small_bundle: Path, other_records: tuple[Record, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle on the images of another centre, one of them broken."""
    folder = tmp_path_factory.mktemp("evaluated")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    records = (*other_records, Record("Xbroken", str(folder / "broken.jpg"), "mel", "Xbroken"))
    write_index(Index(records, OTHER_LABELS, folder, "table"), folder / "clinic.csv")
    done = run(small_bundle, "--index", folder / "clinic.csv", "--out", folder / "out")
    assert done.exit_code == 0, done.output
    return folder


def test_it_leaves_these_files(evaluated: Path) -> None:
    assert {path.name for path in (evaluated / "out").iterdir()} == FILES


def test_probabilities_outcomes_and_gate_are_those_of_predict(evaluated: Path, small_bundle: Path) -> None:
    index = read_index(evaluated / "clinic.csv")
    with (evaluated / "out" / "cases.csv").open(newline="") as stream:
        rows = {row["image_id"]: row for row in csv.DictReader(stream)}
    assert list(rows) == list(index.ids)
    some = index.records[::9]
    for record, one in zip(some, Predictor(small_bundle).predict(index.image_path(r) for r in some), strict=True):
        row = rows[record.image_id]
        own = np.array([float(row[f"p_{code}"]) for code in HAM10000.codes])
        assert own == pytest.approx(one.probabilities, abs=1e-5)  # another batch size
        outcome = {"diagnosis": "diagnosed", "not_usable": "refused", "not_sure": "not_sure"}[one.outcome]
        assert row["outcome"] == outcome
        assert row["reasons"] == " ".join(one.gate_result.reasons if one.gate_result else ())
    assert rows["Xbroken"]["outcome"] == "unreadable"
    assert rows["Xbroken"]["p_mel"] == ""


def test_the_scores_are_those_of_the_predictions(evaluated: Path) -> None:
    out = evaluated / "out"
    predictions, content = read_predictions(out / "predictions.npz"), content_of(out)
    scores = json.loads((out / "scores.json").read_text())
    assert scores == json.loads(json.dumps(score(predictions, 100)))
    assert content["image"]["full"]["metrics"] == scores["metrics"]
    index = read_index(evaluated / "clinic.csv")
    assert len(predictions) == sum(record.dx != "scc" for record in index.records) - 1
    assert predictions.split == "external"
    sk = [record.image_id for record in index.records if record.dx == "sk"]
    label_of = dict(zip(predictions.image_ids.tolist(), predictions.labels.tolist(), strict=True))
    assert {label_of[image_id] for image_id in sk} == {HAM10000.index("bkl")}


def test_the_content_says_everything(evaluated: Path, small_bundle: Path) -> None:
    content = content_of(evaluated / "out")
    index = read_index(evaluated / "clinic.csv")
    n_scc = sum(record.dx == "scc" for record in index.records)
    assert content["mapping"]["n_outside"] == content["flow"]["outside"] == n_scc > 0
    assert content["mapping"]["absent"] == ["df", "vasc"]
    malignant = sum(record.dx in ("mel", "bcc", "scc", "akiec") for record in index.records) - 1
    assert content["image"]["malignant"]["n_positive"] == malignant
    assert content["image"]["melanoma"]["n_positive"] == sum(record.dx == "mel" for record in index.records) - 1
    assert list(content["unreadable"]) == ["Xbroken"]
    assert content["leaks"]["screened"]
    assert content["leaks"]["n_leaked"] == 0
    assert content["lesion"]["full"]["n_images"] == content["lesion"]["full"]["n_lesions"] < content["image"]["full"]["n_images"]
    assert content["frozen"]["temperature"] == Predictor(small_bundle).bundle.facts["temperature"]["value"]
    assert content["made_from"]["index"] == index.hash
    assert content["shift"]["distance"]["auc"] is not None
    assert content["shift"]["files"]["formats"] == {"JPEG": len(index) - 1}
    assert content["internal"]["split"] == "test"
    assert content["internal"]["figures"]["balanced_accuracy"]["value"] is not None
    assert "lesionlens assess CHECKPOINT" in content["conformal"]["reason"]


def test_no_number_is_missing_without_a_reason(evaluated: Path) -> None:
    """Every figure without a value or an interval says why."""
    silent = []

    def visit(value: Any, path: str) -> None:
        if isinstance(value, dict):
            if {"value", "low", "high"} <= value.keys() and None in (value["value"], value["low"]) and not value.get("reason"):
                silent.append(path)
            for key, item in value.items():
                visit(item, f"{path}.{key}")

    content = content_of(evaluated / "out")
    for name in ("intention", "key_figures", "image", "lesion"):
        visit(content[name], name)
    assert not silent


def test_a_bundle_is_evaluated_without_torch(evaluated: Path, small_bundle: Path) -> None:
    words = ["evaluate", str(small_bundle), "--index", str(evaluated / "clinic.csv"), "--out", str(evaluated / "again")]
    lines = ("import sys", "from lesionlens.cli.main import app", f"app({words!r}, standalone_mode=False)")
    code = "\n".join([*lines, "assert 'torch' not in sys.modules"])
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    again, first = (content_of(evaluated / name) for name in ("again", "out"))
    assert again["flow"] == first["flow"]


def test_a_checkpoint_gives_what_its_bundle_gives(evaluated: Path, small_run: Path, small_bundle: Path) -> None:
    out = evaluated / "checkpoint"
    checkpoint = small_run / "train" / "best.safetensors"
    done = run(checkpoint, "--index", evaluated / "clinic.csv", "--out", out, "--views", "1")
    assert done.exit_code == 0, done.output
    own, bundled = content_of(out), content_of(evaluated / "out")
    assert "the run's bundle" in own["frozen"]["source"]
    assert own["frozen"]["temperature"] == bundled["frozen"]["temperature"]
    assert own["flow"] == bundled["flow"]
    ours, theirs = (read_predictions(path / "predictions.npz") for path in (out, evaluated / "out"))
    assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)  # torch against a runtime


def test_without_its_bundle_the_validation_split_fixes_the_same(evaluated: Path, small_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(small_run, folder, ignore=shutil.ignore_patterns("bundle", "external"))
    done = run(folder / "train" / "best.safetensors", "--index", evaluated / "clinic.csv", "--views", "1", "--name", "my-clinic")
    assert done.exit_code == 0, done.output
    own, bundled = content_of(folder / "external" / "my-clinic"), content_of(evaluated / "out")
    assert own["frozen"]["source"].startswith("the checkpoint's validation split")
    assert own["frozen"]["temperature"] == pytest.approx(bundled["frozen"]["temperature"], rel=1e-6)
    assert own["flow"] == bundled["flow"]
    distances = [content["shift"]["distance"] for content in (own, bundled)]
    assert distances[0]["threshold"] == pytest.approx(distances[1]["threshold"], rel=1e-3)
    assert distances[0]["auc"] == pytest.approx(distances[1]["auc"], abs=0.01)


def test_a_checkpoint_alone_is_raw_and_says_so(evaluated: Path, small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    checkpoint = shutil.copy(small_run / "train" / "best.safetensors", tmp_path / "train")
    out = tmp_path / "out"
    done = run(checkpoint, "--index", evaluated / "clinic.csv", "--out", out)
    assert done.exit_code == 0, done.output
    content = content_of(out)
    assert content["frozen"]["temperature"] == 1.0
    assert content["frozen"]["source"].startswith("raw: no temperature, threshold or gate, because")
    assert content["leaks"]["screened"] is False
    assert "could not be screened" in done.stdout
    assert content["shift"]["distance"] == {"reason": "the model has no gate"}
    assert content["flow"]["refused"] == 0
    assert content["internal"] is None
    assert (
        run(checkpoint, "--index", evaluated / "clinic.csv", "--out", out, "--training-index", small_run / "index.csv").exit_code
        == 0
    )
    leaks = content_of(out)["leaks"]
    assert leaks["screened"]
    assert leaks["n_training"] == 120


def test_leaks_are_left_out_unless_kept(leaking_index: Path, small_bundle: Path, tmp_path: Path) -> None:
    assert run(small_bundle, "--index", leaking_index, "--out", tmp_path / "a").exit_code == 0
    kept = run(small_bundle, "--index", leaking_index, "--out", tmp_path / "b", "--keep-leaks")
    assert "KEPT" in kept.stdout
    left_out, with_leaks = (content_of(tmp_path / name) for name in ("a", "b"))
    assert left_out["flow"]["leaked"] == with_leaks["flow"]["leaked_kept"] == 2
    assert with_leaks["image"]["n"] == left_out["image"]["n"] + 2
    names = read_predictions(tmp_path / "a" / "predictions.npz").image_ids
    assert not {"Xsame", "Xagain"} & set(names.tolist())


def test_a_bundle_by_itself_finds_copies_by_its_hashes(leaking_index: Path, small_bundle: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(small_bundle, tmp_path / "elsewhere" / "bundle")
    assert run(bundle, "--index", leaking_index, "--out", tmp_path / "a").exit_code == 0
    leaks = content_of(tmp_path / "a")["leaks"]
    assert leaks["source"] == "hashes in the bundle"
    assert {match["image_id"] for match in leaks["matches"]} == {"Xsame", "Xagain"}


def test_only_leaks_is_an_error(leaking_index: Path, small_bundle: Path, tmp_path: Path) -> None:
    index = read_index(leaking_index)
    write_index(replace(index, records=index.records[-2:]), tmp_path / "only.csv")
    error = problem_of(small_bundle, "--index", tmp_path / "only.csv")
    assert isinstance(error, DataError)
    assert "--keep-leaks" in str(error)


@pytest.mark.parametrize("model", ["bundle", "train/best.safetensors"])
def test_the_training_index_is_not_external(small_bundle: Path, small_run: Path, model: str) -> None:
    error = problem_of(small_run / model, "--index", small_run / "index.csv", "--name", "own")
    assert isinstance(error, DataError)
    assert "the one that the model was trained with" in str(error)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--name", "a/b"], "name 'a/b' of a data set"),
        (["--map", "sk=zebra"], "'zebra', which the model lacks"),
        (["--map", "sk"], "TRUE=MODEL"),
        (["--views", "8"], "a bundle predicts as it is"),
        (["--precision", "bf16"], "a bundle predicts as it is"),
    ],
)
def test_wrong_options(evaluated: Path, small_bundle: Path, options: list[str], problem: str) -> None:
    error = problem_of(small_bundle, "--index", evaluated / "clinic.csv", *options)
    assert isinstance(error, RecipeError)
    assert problem in str(error)


def test_the_public_function(evaluated: Path, small_bundle: Path) -> None:
    import lesionlens as ll

    content = ll.evaluate_external(small_bundle, evaluated / "clinic.csv", out=evaluated / "api")
    assert content["name"] == "clinic"
    assert content["flow"] == content_of(evaluated / "out")["flow"]


def test_a_bundle_needs_an_index(small_bundle: Path) -> None:
    assert "give its index with --index" in str(problem_of(small_bundle))


def test_the_command_of_old_is_as_it_was(small_run: Path, tmp_path: Path) -> None:
    """The run's own index, stated or not, is no external one."""
    checkpoint = small_run / "train" / "best.safetensors"
    own = small_run / "index.csv"
    done = CliRunner().invoke(app, ["evaluate", str(checkpoint), "--index", str(own), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.npz", "scores.json", "validation.npz"}
