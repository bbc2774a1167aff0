"""What is written: whole or not at all, with every fact from the bundle, over nothing but a former site."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlens.bundle.bundle import open_bundle, write_facts
from lesionlens.bundle.gate import CHECKS, Gate
from lesionlens.bundle.selftest import read_selftest
from lesionlens.core.errors import BundleError, DownloadError, StorageError
from lesionlens.site import build
from lesionlens.site.browser_runtime import FOLDER
from lesionlens.site.build import MARK, Site, SiteSettings, browser_variant, build_site
from lesionlens.site.offline import POLICY, file_facts
from lesionlens.site.page_text import page_text


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch, small_bundle: Path, tmp_path: Path) -> Callable[..., Site]:
    """Builds a site with an empty runtime: `write(out=..., bundle=...)`."""

    def copy_nothing(archive: Path, builds: tuple[str, ...], site: Path) -> None:
        (site / FOLDER).mkdir()
        (site / FOLDER / "LICENCE.txt").write_text("licence")

    monkeypatch.setattr(build, "copy_runtime", copy_nothing)

    def run(out: Path = tmp_path / "site", bundle: Path = small_bundle, **settings: Any) -> Site:
        return build_site(SiteSettings(bundle, out, **settings), archive=tmp_path)

    return run


def changed_bundle(bundle: Path, out: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a bundle with other facts, valid but for them."""
    shutil.copytree(bundle, out)
    facts = json.loads((out / "bundle.json").read_text())
    change(facts)
    write_facts(out, {key: value for key, value in facts.items() if key not in ("format", "id", "files")})
    return out


def test_the_page_is_the_servers_without_what_needs_a_server(write: Callable[..., Site]):
    site = write().path
    html = (site / "index.html").read_text()
    assert "history" not in html
    assert "token" not in html
    assert f'content="{POLICY}"' in html
    assert "Images stay on this device." in html
    assert not {"history.js", "token.js", "service_worker.js", "head.html"} & {path.name for path in site.iterdir()}
    scripts = {path.name for path in site.glob("*.js")}
    for path in site.glob("*.js"):
        for line in path.read_text().splitlines():
            if line.startswith("import ") or line.startswith("} from"):
                assert line.split('"')[1].removeprefix("./") in scripts, (path.name, line)


def test_every_file_is_listed_with_its_hash(write: Callable[..., Site]):
    site = write()
    listed = json.loads((site.path / MARK).read_text())["files"]
    assert listed == file_facts(site.path, leave_out=(MARK,))
    worker = (site.path / "sw.js").read_text()
    stored = json.loads(worker.splitlines()[0].removeprefix("const SITE = ").removesuffix(";"))
    assert stored["files"] == {name: facts["integrity"] for name, facts in listed.items() if name != "sw.js"}
    assert stored["version"] == site.content["version"]


def test_two_sites_of_one_bundle_are_equal(write: Callable[..., Site], tmp_path: Path):
    one, other = write(tmp_path / "one"), write(tmp_path / "other")
    assert one.content == other.content
    assert file_facts(one.path) == file_facts(other.path)


def test_facts_come_from_the_bundle(write: Callable[..., Site], small_bundle: Path):
    site, bundle = write().path, open_bundle(small_bundle)
    model = json.loads((site / "model.json").read_text())
    gate = Gate.from_bundle(bundle)
    assert gate is not None
    assert {check["code"]: check["threshold"] for check in model["gate"]["checks"]} == gate.thresholds
    assert [check["code"] for check in model["gate"]["checks"]] == list(CHECKS)
    assert model["about"]["input"] == bundle.spec.to_json()
    assert model["about"]["labels"] == bundle.facts["labels"]["diagnoses"]
    assert model["decision"]["watched"] == bundle.facts["decision"]["watched"]
    arrays = np.frombuffer((site / "gate.bin").read_bytes(), dtype="<f4")
    wanted = (gate.gaussian.mean, gate.gaussian.directions.ravel(), gate.gaussian.spreads, gate.photographs.normal)
    np.testing.assert_array_equal(arrays, np.concatenate(wanted))
    selftest, count = read_selftest(bundle), model["selftest"]["n_images"]
    data = (site / "selftest.bin").read_bytes()
    images = selftest.images[:count]
    np.testing.assert_array_equal(np.frombuffer(data[-images.size :], dtype=np.uint8).reshape(images.shape), images)
    expected = selftest.expected["fp32"].probabilities[:count]
    np.testing.assert_array_equal(np.frombuffer(data[: expected.nbytes], dtype="<f4").reshape(expected.shape), expected)


def test_a_bundle_without_a_gate_says_so(write: Callable[..., Site], small_bundle: Path, tmp_path: Path):
    bundle = changed_bundle(small_bundle, tmp_path / "bundle", lambda facts: facts.update(gate=None, decision=None))
    site = write(bundle=bundle).path
    model = json.loads((site / "model.json").read_text())
    assert model["gate"] is None
    assert model["decision"] is None
    assert not (site / "gate.bin").exists()
    assert "it was exported without one" in model["sentences"]["caution"]


def test_a_former_site_is_replaced_and_nothing_else(write: Callable[..., Site], tmp_path: Path):
    former = write(tmp_path / "site").path
    (former / "left.txt").write_text("of the former site")
    write(former)
    assert not (former / "left.txt").exists()
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"is not something that LesionLens made, and would be replaced; .*--out"):
        write(home)
    assert (home / "thesis.txt").read_text() == "mine"


def test_a_failure_leaves_the_former_site(
    write: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, small_bundle: Path, tmp_path: Path
):
    former = write(tmp_path / "site")

    def fail(*arguments: Any) -> None:
        raise DownloadError("the archive is damaged")

    monkeypatch.setattr(build, "copy_runtime", fail)
    with pytest.raises(DownloadError):
        build_site(SiteSettings(small_bundle, former.path), archive=tmp_path)
    assert file_facts(former.path, leave_out=(MARK,)) == former.content["files"]
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def openvino_only(facts: dict[str, Any]) -> None:
    facts["variants"]["fp32"]["graphs"].pop("onnxruntime")


def old_format(bundle: Path, out: Path) -> Path:
    shutil.copytree(bundle, out)
    facts = json.loads((out / "bundle.json").read_text())
    (out / "bundle.json").write_text(json.dumps({**facts, "format": 0}))
    return out


def test_a_bundle_without_an_onnx_graph_is_refused(write: Callable[..., Site], small_bundle: Path, tmp_path: Path):
    bundle = changed_bundle(small_bundle, tmp_path / "bundle", openvino_only)
    with pytest.raises(BundleError, match=r"variant 'fp32' .* has no ONNX graph.*export the bundle again"):
        write(bundle=bundle)


def test_another_variant_is_proposed_where_one_has_a_graph(small_bundle: Path, tmp_path: Path):
    def change(facts: dict[str, Any]) -> None:
        facts["variants"]["int8"] = {**facts["variants"]["fp32"], "graphs": {"onnxruntime": "model.onnx"}}
        openvino_only(facts)

    bundle = open_bundle(changed_bundle(small_bundle, tmp_path / "bundle", change))
    assert browser_variant(bundle).name == "int8"
    with pytest.raises(BundleError, match="choose --variant int8"):
        browser_variant(bundle, "fp32")


def test_bundles_of_other_formats_and_other_folders_are_refused(write: Callable[..., Site], small_bundle: Path, tmp_path: Path):
    with pytest.raises(BundleError, match="is of format 0; this version of lesionlens reads format 1"):
        write(bundle=old_format(small_bundle, tmp_path / "old"))
    with pytest.raises(BundleError, match="is not a bundle"):
        write(bundle=tmp_path)
    with pytest.raises(BundleError, match="has no variant 'int8'"):
        write(variant="int8")


def test_a_place_without_its_fragment_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match=r"places for \['note'\]"):
        page_text("<!-- site: note -->\n", {"other": ""})
