import csv
import io
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lesionlens.assessment.external.submission import write_submission
from lesionlens.cli.main import app
from lesionlens.core.errors import DataError, RecipeError
from lesionlens.core.labels import HAM10000, ISIC2019, LabelSet, label_set_of
from lesionlens.evaluation.predictions import Origin, Predictions, write_predictions

pytestmark = pytest.mark.filterwarnings("ignore:DataFrame.applymap has been deprecated:FutureWarning")


def predictions_file(folder: Path, label_set: LabelSet = HAM10000, n: int = 30) -> Path:
    rng = np.random.default_rng(0)
    predictions = Predictions(
        image_ids=np.array([f"ISIC_{number:07d}" for number in range(n)]),
        lesion_ids=np.array([f"L{number}" for number in range(n)]),
        labels=rng.integers(0, len(label_set), n),
        logits=rng.normal(0, 2, (n, len(label_set))).astype(np.float32),
        label_set=label_set,
        age=np.full(n, 50, np.float32),
        sex=np.full(n, "male"),
        site=np.full(n, "back"),
        origin=Origin("made up", 0, "external", False, None, "external"),
    )
    path = folder / "predictions.npz"
    write_predictions(predictions, path)
    return path


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_official_reader_accepts_it(tmp_path: Path) -> None:
    reader = pytest.importorskip("isic_challenge_scoring.load_csv")
    pandas = pytest.importorskip("pandas")
    write_submission(predictions_file(tmp_path), tmp_path / "s.csv", "2018")
    categories = pandas.Index(["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"])
    text = (tmp_path / "s.csv").read_text()
    table = reader.parse_csv(io.StringIO(text), categories)
    assert text.splitlines()[0] == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
    assert list(table.columns) == list(categories)
    assert np.allclose(table.to_numpy().sum(axis=1), 1, atol=1e-8)  # nine decimals in each of seven columns


def test_each_probability_stands_in_its_column(tmp_path: Path) -> None:
    from lesionlens.evaluation.predictions import read_predictions

    source = predictions_file(tmp_path)
    write_submission(source, tmp_path / "s.csv")
    made = read_predictions(source)
    for number, row in enumerate(table_of(tmp_path / "s.csv")):
        assert row["image"] == made.image_ids[number]
        assert float(row["MEL"]) == pytest.approx(made.probabilities[number, HAM10000.index("mel")], abs=1e-9)
        assert float(row["AKIEC"]) == pytest.approx(made.probabilities[number, HAM10000.index("akiec")], abs=1e-9)


def test_columns_that_the_model_lacks_are_zero_and_said(tmp_path: Path) -> None:
    notes = write_submission(predictions_file(tmp_path), tmp_path / "s.csv", "2019")
    assert notes == ["the model has no diagnosis for SCC, UNK: 0 there"]
    row = table_of(tmp_path / "s.csv")[0]
    assert list(row) == ["image", "MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    assert float(row["SCC"]) == float(row["UNK"]) == 0


def test_subtypes_are_added_up_and_the_rest_is_unknown(tmp_path: Path) -> None:
    from lesionlens.evaluation.predictions import read_predictions

    labels = label_set_of(["mel", "nv", "sk", "solar_lentigo", "merkel_cell_carcinoma"])
    source = predictions_file(tmp_path, labels)
    write_submission(source, tmp_path / "s.csv", "2019")
    probabilities, row = read_predictions(source).probabilities[0], table_of(tmp_path / "s.csv")[0]
    keratoses = probabilities[labels.index("sk")] + probabilities[labels.index("solar_lentigo")]
    assert float(row["BKL"]) == pytest.approx(keratoses, abs=1e-9)
    assert float(row["UNK"]) == pytest.approx(probabilities[labels.index("merkel_cell_carcinoma")], abs=1e-9)


def test_a_diagnosis_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"knows scc, for which the challenge of 2018 has no column"):
        write_submission(predictions_file(tmp_path, ISIC2019), tmp_path / "s.csv", "2018")
    with pytest.raises(RecipeError, match="challenge '2017'"):
        write_submission(predictions_file(tmp_path), tmp_path / "s.csv", "2017")


def test_the_table_of_predict(tmp_path: Path) -> None:
    source = tmp_path / "p.csv"
    source.write_text("image,outcome,p_mel,p_nv\n/photos/ISIC_0000001.jpg,diagnosis,0.25,0.75\nb/ISIC_2.png,not_sure,0.5,0.5\n")
    write_submission(source, tmp_path / "s.csv")
    rows = table_of(tmp_path / "s.csv")
    assert [row["image"] for row in rows] == ["ISIC_0000001", "ISIC_2"]
    assert float(rows[0]["NV"]) == 0.75


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image,p_mel,p_nv\na.jpg,,\n", r"1 of 1 images .* no probabilities"),
        ("image,p_mel,p_nv\na.jpg,0.5,0.5\nb/a.jpg,0.5,0.5\n", "a stands 2 times"),
        ("image,outcome\na.jpg,diagnosis\n", "no columns image and p_CODE"),
        ("", "no columns image and p_CODE"),
        ("image,p_mel,p_nv\na.jpg,x,0.5\n", "no number"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(DataError, match=problem):
        write_submission(tmp_path / "p.csv", tmp_path / "s.csv")
    assert not (tmp_path / "s.csv").exists()


def test_the_command(tmp_path: Path) -> None:
    source, out = predictions_file(tmp_path), tmp_path / "s.csv"
    done = CliRunner().invoke(app, ["submission", str(source), "--out", str(out), "--challenge", "2019"])
    assert done.exit_code == 0, done.output
    assert f"wrote {out}" in done.output
    assert len(table_of(out)) == 30
