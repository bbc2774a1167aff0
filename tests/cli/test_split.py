"""The commands `split` and `audit`: what they write, print and say."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from lesionlens.cli.audit import audit
from lesionlens.cli.split import split
from lesionlens.core.errors import ArtifactError, RecipeError, SplitError
from lesionlens.core.labels import HAM10000
from lesionlens.data.index import Index, Record, read_index, write_index
from lesionlens.data.split import read_split

app = typer.Typer()
app.command()(audit)
app.command()(split)


def call(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty images of forty lesions."""
    random = np.random.default_rng(0)
    records = []
    for number in range(60):
        name = f"i{number:02}"
        small = Image.fromarray(random.integers(0, 255, (9, 12, 3), dtype=np.uint8))
        small.resize((64, 48)).save(tmp_path / f"{name}.png")
        records.append(Record(name, f"{name}.png", ("mel", "nv")[number % 2], f"L{number % 40:02}"))
    write_index(Index(tuple(records), HAM10000, tmp_path, "table"), tmp_path / "index.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "index.csv"


def test_split_prints_counts_and_the_leak_rate(index):
    text, _ = call("split", index)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()[0] in ("mel", "nv", "images")}
    assert rows["images"] == ["42", "6", "12"]
    assert rows["mel"] == ["21", "3", "6"]
    assert "0.0 % of test images and 0.0 % of validation images show a lesion that is also in training" in text
    assert "LEAKING" not in text
    assert len(read_split(index.parent / "split.json", read_index(index)).ids["test"]) == 12


def test_split_says_leaking_under_paper(index):
    text, _ = call("split", index, "--protocol", "paper", "--seed", 1)
    assert "LEAKING: " in text
    facts = json.loads(call("split", index, "--protocol", "paper", "--seed", 1, "--json")[0])
    assert facts["leaks"]
    assert facts["leak_rate"]["test"] > 0
    assert facts["counts"] == {"train": 48, "validation": 6, "test": 6}


def test_pairs_of_files_are_united(index):
    with (index.parent / "pairs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["image_id_a", "image_id_b"], ["i00", "i02"], ["i04", "elsewhere"]])
    rows = [
        {"image_id_a": "i06", "image_id_b": "i08", "certain": True},
        {"image_id_a": "i10", "image_id_b": "i12", "certain": False},
    ]
    (index.parent / "audit.json").write_text(json.dumps({"pairs": rows}))
    text, said = call("split", index, "--pairs", "pairs.csv", "--pairs", "audit.json", "--json")
    assert json.loads(text)["leak_rate"]["n_groups"] == 38
    assert "pairs.csv: 1 of 2 pairs name images that are not in the index" in said
    assert read_split(index.parent / "split.json").pairs == (("i00", "i02"), ("i06", "i08"))


def test_wrong_options_are_recipe_errors(index):
    with pytest.raises(RecipeError, match=r"split.protocol = 'lesions'.*did you mean lesion\?"):
        call("split", index, "--protocol", "lesions")
    with pytest.raises(RecipeError, match="split.test"):
        call("split", index, "--test", "1.5")
    with pytest.raises(SplitError, match="names no train split"):
        call("split", index, "--protocol", "official")
    with pytest.raises(ArtifactError, match="does not exist"):
        call("split", "nowhere.csv")
    assert not (index.parent / "split.json").exists()


def test_audit_writes_json_and_picture_and_checks_a_split(index):
    call("split", index, "--protocol", "paper")
    (index.parent / "i59.png").write_bytes(b"")
    text, said = call("audit", index, "--split-file", "split.json", "--out", "deep/audit.json", "--json")
    facts = json.loads(text)
    assert facts["images"] == 60
    assert facts["unreadable"] == 1
    assert facts["crossing"] > 0
    assert "unreadable: " in said
    assert "i59.png is empty (0 bytes)" in said
    with Image.open(index.parent / "deep" / "audit.jpg") as sheet:
        assert sheet.format == "JPEG"
    assert "lesions cross splits" in call("audit", index, "--split-file", "split.json")[0]
