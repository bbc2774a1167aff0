"""The command `augment`: results on stdout, files whole, mistakes in one line."""

import json
from pathlib import Path

import pytest

from lesionlens.augment.offline import read_plan
from lesionlens.cli.main import main
from lesionlens.core.recipe import Recipe
from lesionlens.data.index import write_index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split, read_split, write_split


@pytest.fixture
def run(synthetic_root: Path, tmp_path: Path) -> Path:
    index = read_source(synthetic_root)
    write_index(index, tmp_path / "index.csv")
    write_split(make_split(index, Recipe().split), tmp_path / "split.json")
    return tmp_path


def call(run: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["augment", str(run / "index.csv"), str(run / "split.json"), "--out", str(run / "plan.csv"), *words])
    return int(caught.value.code or 0)


def test_plan_counts_and_json(run: Path, capsys) -> None:
    assert call(run, "--json", "--set", "augmentation.offline_fill=0.5") == 0
    result = json.loads(capsys.readouterr().out)
    plan = read_plan(run / "plan.csv", read_split(run / "split.json"))
    assert result["rows"] == len(plan)
    assert result["originals"] + sum(row["copies"] for row in result["by_class"].values()) == len(plan)
    assert call(run) == 0
    assert "originals +" in capsys.readouterr().out


@pytest.mark.slow
def test_files_and_gallery(run: Path, capsys) -> None:
    sizes = ("--set", "input.size=32", "--set", "augmentation.offline_fill=0.2")
    assert call(run, *sizes, "--materialise", str(run / "copies"), "--gallery", str(run / "gallery.png"), "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert len(list((run / "copies").glob("*/*.png"))) == result["n_files"] == result["rows"] - result["originals"]
    assert (run / "gallery.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--image", "x"], 2, "--gallery"),
        (["--set", "augmentation.probabilities={ gausian_blur = 0.5 }", "--gallery", "g.png"], 2, "gausian_blur"),
        (["--set", "augmentation.offline_fill=2"], 2, "from 0 to 1"),
        (["--recipe", "nowhere.toml"], 2, "nowhere.toml"),
        (["--gallery", "g.png", "--image", "nobody"], 3, "nobody"),
    ],
)
def test_mistakes_are_one_line(run: Path, capsys, words: list[str], code: int, text: str, monkeypatch) -> None:
    monkeypatch.chdir(run)
    assert call(run, *words) == code
    message = capsys.readouterr().err
    assert text in message
    assert message.count("\n") == 1
    assert not (run / "g.png").exists()


def test_a_split_of_other_images_is_refused(run: Path, capsys) -> None:
    (run / "split.json").unlink()
    assert call(run) == 3
    assert "split.json" in capsys.readouterr().err
    assert not (run / "plan.csv").exists()
