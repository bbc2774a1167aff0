"""The command `site`: what it prints and how it refuses."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lesionlens.cli.site import site
from lesionlens.core.errors import BundleError, DownloadError
from lesionlens.site import browser_runtime, build

app = typer.Typer()
app.command()(site)


def call(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


@pytest.fixture
def without_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_nothing(archive: Path, builds: tuple[str, ...], folder: Path) -> None:
        (folder / browser_runtime.FOLDER).mkdir()
        (folder / browser_runtime.FOLDER / "size").write_bytes(bytes(1_500_000))

    monkeypatch.setattr(build, "copy_runtime", copy_nothing)


def test_it_says_what_was_written_and_how_large(small_bundle: Path, without_runtime: None, tmp_path: Path):
    out, _ = call(small_bundle, "--out", tmp_path / "site", "--runtime-archive", tmp_path, "--no-webgpu")
    assert "runtime 1.5 MB" in out
    assert "fp32, version " in out
    assert "onnxruntime-web 1.30.0 (MIT licence" in out
    assert f"python -m http.server -d {tmp_path / 'site'}" in out


def test_json_is_site_json(small_bundle: Path, without_runtime: None, tmp_path: Path):
    out, _ = call(small_bundle, "--out", tmp_path / "site", "--runtime-archive", tmp_path, "--json")
    assert json.loads(out) == json.loads((tmp_path / "site" / "site.json").read_text())


def test_a_wrong_archive_is_one_line_and_writes_nothing(small_bundle: Path, tmp_path: Path):
    archive = tmp_path / "package.tgz"
    archive.write_bytes(b"something else")
    with pytest.raises(DownloadError, match="is not onnxruntime-web 1.30.0"):
        call(small_bundle, "--out", tmp_path / "site", "--runtime-archive", archive)
    assert not (tmp_path / "site").exists()


def test_a_folder_that_is_no_bundle(tmp_path: Path):
    with pytest.raises(BundleError, match="is not a bundle"):
        call(tmp_path, "--out", tmp_path / "site", "--runtime-archive", tmp_path)
