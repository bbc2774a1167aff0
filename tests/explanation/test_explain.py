import dataclasses
import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lesionlens.cli.explain import explain as command
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import CheckpointError, DataError, RecipeError
from lesionlens.core.progress import Reporter
from lesionlens.core.recipe import ExplanationRecipe
from lesionlens.data.dataset import Dataset
from lesionlens.data.index import Index
from lesionlens.explanation.attribution import Explainer
from lesionlens.explanation.explain import explain, faithfulness_table, images_to_explain
from lesionlens.explanation.limit import limited
from lesionlens.explanation.localisation import METRICS
from lesionlens.explanation.settings import ExplainSettings

QUICK = ExplainSettings(limit=14, random_networks=1, curve_images=2, curve_steps=2, images_per_pass=8, device="cpu")


def inputs(run, name="test_resnet"):
    return run.checkpoints[name], run.dataset


@pytest.fixture(scope="module")
def written(trained_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("explain")
    return out, explain(*inputs(trained_run), out, QUICK)


def test_report_is_what_was_written(written, trained_run):
    out, report = written
    assert json.loads((out / "faithfulness.json").read_text()) == report
    assert report["n_images"] == 14
    assert report["n_left_out"] == len(trained_run.split.ids["test"]) - 14
    assert report["method"] == "grad-cam (closed form)"
    assert report["made_from"]["checkpoint"] == hash_file(trained_run.checkpoints["test_resnet"])
    assert report["masks"]["used"] == 14
    assert report["curves"]["n"] == 2
    for name in METRICS:
        metric = report["localisation"]["metrics"][name]
        assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1


def test_maps_are_kept_raw_and_without_pickle(written):
    out, report = written
    with np.load(out / "maps.npz", allow_pickle=False) as maps:
        assert maps["maps"].shape == (14, 7, *report["map_shape"])
        assert maps["classes"].tolist() == [list(range(7))] * 14
        assert maps["image_ids"].dtype.kind == "U"
        assert np.nanmean(maps["energy_inside"]) == pytest.approx(report["localisation"]["metrics"]["energy_inside"]["value"])


def test_gallery_is_a_picture(written):
    with Image.open(written[0] / "gallery.png") as picture:
        assert picture.width > 1000


def test_the_same_seed_gives_the_same_files(written, trained_run, tmp_path):
    again = explain(*inputs(trained_run), tmp_path, QUICK)
    assert again == written[1]
    assert hash_file(tmp_path / "gallery.png") == hash_file(written[0] / "gallery.png")


@pytest.mark.parametrize("method", ["grad-cam", pytest.param("occlusion", marks=pytest.mark.slow)])
def test_networks_without_closed_form_are_explained_by_captum(method, trained_run, tmp_path):
    settings = dataclasses.replace(QUICK, limit=3, method=method, random_networks=0)
    report = explain(*inputs(trained_run, "mobilenetv3_small_050"), tmp_path, settings)
    assert report["method"] == f"{method} (captum)"
    assert report["localisation"]["controls"]["random_weights"]["n"] == 0
    with np.load(tmp_path / "maps.npz") as maps:
        assert maps["maps"].shape[:2] == (3, 2)
        assert (maps["classes"][:, 1] == maps["labels"]).all()


@pytest.mark.slow
def test_occlusion_keeps_a_stated_limit_unless_told_otherwise(trained_run, tmp_path):
    notes: list[str] = []
    settings = dataclasses.replace(
        QUICK, limit=0, method="occlusion", random_networks=0, curve_images=0, occlusion_images=2, masks=False
    )
    report = explain(*inputs(trained_run), tmp_path, settings, Reporter(note=notes.append))
    n_test = len(trained_run.split.ids["test"])
    limit = report["occlusion_limit"]
    assert (report["n_images"], report["n_left_out"]) == (2, n_test - 2)
    assert (limit["n_images"], limit["n_split"], limit["passes_per_image"]) == (2, n_test, 2 * 226)  # 15 x 15 windows and none
    assert 0 < limit["estimated_s"] < limit["estimated_s_all"]
    assert f"occlusion explains 2 of {n_test} images" in notes[0]
    assert "explanation.occlusion_images=N" in notes[0]
    assert f"({n_test} images in the split)" in faithfulness_table(report)


@pytest.mark.parametrize(
    ("given", "passes", "expected"),
    [
        ({}, 197, 32),
        ({"occlusion_images": 0}, 197, 0),
        ({"occlusion_images": 5}, 197, 5),
        ({"limit": 100}, 197, 100),
        ({}, 0, 0),
    ],
)
def test_which_limit_counts(given, passes, expected):
    explainer = Explainer("any", lambda images, labels: None, passes)
    assert limited(ExplainSettings(**given), ExplanationRecipe(), explainer).limit == expected


def test_methods_without_occlusion_have_no_limit(written):
    assert "occlusion_limit" not in written[1]


def without_masks(index: Index) -> Index:
    return dataclasses.replace(index, records=tuple(dataclasses.replace(record, mask="") for record in index.records))


def test_no_masks_is_an_error_that_names_the_way_out(trained_run, tmp_path):
    bare = without_masks(trained_run.index)
    given = (trained_run.checkpoints["test_resnet"], Dataset(bare, trained_run.split, trained_run.store))
    with pytest.raises(DataError, match="--no-masks"):
        explain(*given, tmp_path, QUICK)
    assert not list(tmp_path.iterdir())
    report = explain(*given, tmp_path, dataclasses.replace(QUICK, masks=False))
    assert report["localisation"] is None
    assert report["curves"]["n"] == 2
    assert (tmp_path / "gallery.png").is_file()


def test_masks_that_are_all_broken(trained_run, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    records = tuple(dataclasses.replace(record, mask=str(tmp_path / "broken.png")) for record in trained_run.index.records)
    index = dataclasses.replace(trained_run.index, records=records)
    with pytest.raises(DataError, match="no lesion mask is usable; the first is unreadable"):
        explain(
            trained_run.checkpoints["test_resnet"],
            Dataset(index, trained_run.split, trained_run.store),
            tmp_path / "out",
            QUICK,
        )
    assert not (tmp_path / "out").exists()


def test_some_missing_masks_are_counted(trained_run, tmp_path):
    part = images_to_explain(trained_run.dataset, QUICK)
    gone = {record.image_id for record in part.records[:4]}
    records = tuple(
        dataclasses.replace(record, mask="nowhere.png") if record.image_id in gone else record
        for record in trained_run.index.records
    )
    index = dataclasses.replace(trained_run.index, records=records)
    given = (trained_run.checkpoints["test_resnet"], Dataset(index, trained_run.split, trained_run.store))
    report = explain(*given, tmp_path, dataclasses.replace(QUICK, random_networks=0, curve_images=0))
    assert report["masks"]["missing"] == 4
    assert report["localisation"]["metrics"]["n"] == report["masks"]["used"] == 10
    assert report["curves"] is None


def test_another_split_is_refused(trained_run, tmp_path):
    other = dataclasses.replace(trained_run.split, seed=trained_run.split.seed + 1)
    with pytest.raises(CheckpointError, match="another split"):
        explain(trained_run.checkpoints["test_resnet"], Dataset(trained_run.index, other, trained_run.store), tmp_path, QUICK)


@pytest.mark.parametrize(
    "wrong",
    [
        {"split": "exam"},
        {"images_per_pass": 0},
        {"curve_steps": 0},
        {"limit": -1},
        {"resamples": 7},
        {"random_networks": -1},
        {"occlusion_images": -1},
    ],
)
def test_wrong_settings(wrong):
    with pytest.raises(RecipeError, match=r"must be"):
        ExplainSettings(**wrong)


def test_limit_draws_by_seed(trained_run):
    def ids(**changes):
        settings = dataclasses.replace(QUICK, **changes)
        part = images_to_explain(trained_run.dataset, settings)
        return [record.image_id for record in part.records]

    assert ids() == ids()
    assert ids() != ids(seed=1)
    assert ids(limit=0) == list(trained_run.split.ids["test"])
    assert set(ids()) <= set(ids(limit=10_000))


def run_command(*arguments: str):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.mark.slow
def test_command_prints_json_or_a_table(trained_run, tmp_path):
    folder = trained_run.folder
    options = [str(trained_run.checkpoints["test_resnet"]), "--limit", "6", "--random-networks", "1", "--curve-images", "1"]
    options += ["--curve-steps", "2", "--device", "cpu", "--out", str(tmp_path / "explain")]
    result = run_command(*options, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report == json.loads((tmp_path / "explain" / "faithfulness.json").read_text())
    options += [
        "--index",
        str(folder / "index.csv"),
        "--split-file",
        str(folder / "split.json"),
        "--store",
        str(folder / "store"),
    ]
    table = run_command(*options).stdout
    assert "pointing game" in table
    assert "random weights" in table
    assert f"{report['localisation']['metrics']['energy_inside']['value']:.3f}" in table
