import json
import math

import pytest
from tests.reporting.documents.conftest import decisions, external

from lesionlens.core.artifact import write_json
from lesionlens.core.errors import ArtifactError, BundleError
from lesionlens.core.run import Run
from lesionlens.reporting.documents.results import COMMANDS, check_finite, read_results, reading
from lesionlens.reporting.run_folder import read_run


def test_a_run_without_results_says_how_to_make_each(finished_run):
    results = read_results(read_run(finished_run))
    assert results.content == {}
    assert results.external == {}
    assert results.lacking == {name: f"make it with: {COMMANDS[name]}" for name in COMMANDS if name != "training"}


def test_what_is_there_is_read(assessed_run):
    results = read_results(read_run(assessed_run))
    assert set(results.content) == {"decisions", "subgroups", "robustness"}
    assert results.get("decisions") == decisions()
    assert results.external == {"clinic": external()}
    assert not {"decisions", "subgroups", "robustness", "external"} & results.lacking.keys()


def test_the_bundle_of_the_checkpoint_is_read(bundled_run):
    results = read_results(read_run(bundled_run))
    assert results.get("bundle")["default_variant"] == "fp32"
    assert "files" not in results.get("bundle")


@pytest.mark.parametrize("name", ["decisions", "subgroups", "robustness"])
def test_results_of_another_checkpoint_do_not_count(assessed_run, name):
    path = getattr(Run.at(assessed_run), name)
    write_json(path, {**json.loads(path.read_text()), "made_from": {"checkpoint": "d" * 64}})
    results = read_results(read_run(assessed_run))
    assert name not in results.content
    assert results.lacking[name].startswith("the one in the run is of another checkpoint; make it again with: lesionlens")


def test_other_data_sets_of_another_checkpoint_do_not_count(assessed_run):
    write_json(assessed_run / "external" / "clinic" / "external.json", {**external(), "made_from": {"checkpoint": "d" * 64}})
    results = read_results(read_run(assessed_run))
    assert results.external == {}
    assert "external" in results.lacking


@pytest.mark.parametrize("text", ["{", "[1, 2]", "\xff"])
def test_damaged_json_is_one_line(assessed_run, text):
    path = Run.at(assessed_run).decisions
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ArtifactError) as error:
        read_results(read_run(assessed_run))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_bundle_is_one_line(bundled_run, tmp_path):
    import shutil

    folder = shutil.copytree(bundled_run, tmp_path / "run")
    (folder / "bundle" / "bundle.json").write_text("{}")
    with pytest.raises(BundleError, match="Export it again"):
        read_results(read_run(folder))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_finite(tmp_path, value):
    path = tmp_path / "x.json"
    check_finite({"a": [1.0, {"b": None}], "c": "nan", "d": True}, path)
    with pytest.raises(ArtifactError, match=r"x\.json holds (nan|inf|-inf) at a\[1\]\.b"):
        check_finite({"a": [1.0, {"b": value}]}, path)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), ValueError("x"), AttributeError("x"), IndexError("x")])
def test_what_a_result_lacks_names_its_file_and_command(tmp_path, error):
    with (
        pytest.raises(ArtifactError, match=r"assessment/decisions\.json does not hold.*x.*lesionlens assess RUN"),
        reading("decisions", Run.at(tmp_path)),
    ):
        raise error
