"""Human readers: the two forms of their file, what is refused, and the comparison case by case."""

from pathlib import Path

import numpy as np
import pytest

from lesionlens.assessment.resampling import Resampling
from lesionlens.assessment.robustness.reader_comparison import compare_with_readers
from lesionlens.assessment.robustness.readers import ReaderAnswers, read_readers
from lesionlens.core.errors import DataError
from lesionlens.core.labels import HAM10000
from lesionlens.evaluation.predictions import Origin, Predictions

MEL, NV = HAM10000.index("mel"), HAM10000.index("nv")
CODES = HAM10000.codes


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def predictions(labels: list[int], called: list[int], share: float = 0.9) -> Predictions:
    n = len(labels)
    probabilities = np.full((n, 7), (1 - share) / 6)
    probabilities[np.arange(n), called] = share
    return Predictions(
        image_ids=np.array([f"ISIC_{i}" for i in range(n)]),
        lesion_ids=np.array([f"lesion_{i}" for i in range(n)]),
        labels=np.array(labels),
        logits=np.log(probabilities).astype(np.float32),
        label_set=HAM10000,
        age=np.full(n, np.nan, np.float32),
        sex=np.full(n, ""),
        site=np.full(n, ""),
        origin=Origin("drawn", 0, "official", False, 0.0, "test"),
    )


class TestLongTable:
    def test_each_answer_is_a_vote_whatever_it_is_called(self, tmp_path: Path) -> None:
        text = "image_id,reader,diagnosis,seconds\na,1,mel,3\na,2,Melanoma,4\na,3,nevus,2\nb,1,NV,1\n"
        answers = read_readers(write(tmp_path / "readers.csv", text), HAM10000)
        assert answers.image_ids == ("a", "b")
        assert (answers.votes[0, MEL], answers.votes[0, NV], answers.votes[1, NV], answers.votes.sum()) == (2, 1, 1, 4)
        assert answers.n_readers == 3
        assert answers.notes == ("columns of readers.csv that are not used: seconds",)

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            ("a,1,fibroma", "line 2: diagnosis 'fibroma' is not among those of the network"),
            ("a,1,mel\na,1,nv", r"line 3: reader 1 answers image a again \(line 2\)"),
            (",1,mel", "line 2: image_id or reader is empty"),
            ("a,,mel", "line 2: image_id or reader is empty"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, rows: str, words: str) -> None:
        with pytest.raises(DataError, match=words):
            read_readers(write(tmp_path / "readers.csv", f"image_id,reader,diagnosis\n{rows}\n"), HAM10000)


class TestTableOfTheInteractionStudy:
    """The columns of file 3864681 of the Dataverse of HAM10000: decimal commas, one row for each image and kind of help."""

    header = ";".join(
        ["image_id", "interaction_modality", "prob_m_mal"]
        + [f"prob_h_dx_{code}" for code in CODES]
        + [f"user_dx_without_interaction_{code}" for code in CODES]
        + [f"user_dx_with_interaction_{code}" for code in CODES]
    )

    def row(self, image_id: str, modality: str, **votes: int) -> str:
        counts = [str(votes.get(code, 0)) for code in CODES]
        return ";".join([image_id, modality, "0,25", *["0,1"] * 7, *counts, *["9"] * 7])

    def test_answers_before_help_are_added_over_its_kinds(self, tmp_path: Path) -> None:
        rows = [
            self.row("a", "CBIR (AI)", mel=3, nv=1),
            self.row("a", "Multiclass Probabilities (AI)", mel=2),
            self.row("b", "x", bkl=4),
        ]
        answers = read_readers(write(tmp_path / "benefit.csv", "\n".join([self.header, *rows]) + "\n"), HAM10000)
        assert answers.image_ids == ("a", "b")
        assert (answers.votes[0, MEL], answers.votes[0, NV], answers.votes.sum()) == (5, 1, 10)
        assert answers.n_readers is None
        assert "user_dx_with_interaction_mel" in answers.notes[0]
        assert "interaction_modality" in answers.notes[0]

    def test_images_without_answers_are_counted(self, tmp_path: Path) -> None:
        text = "\n".join([self.header, self.row("a", "x", mel=1), self.row("b", "x")])
        assert read_readers(write(tmp_path / "b.csv", text), HAM10000).notes[-1] == "1 images of b.csv have no answer"

    def test_a_count_that_is_none(self, tmp_path: Path) -> None:
        text = "\n".join([self.header, self.row("a", "x", mel=1).replace(";1;", ";1,5;")])
        with pytest.raises(DataError, match="line 2: '1,5' is no number of answers"):
            read_readers(write(tmp_path / "b.csv", text), HAM10000)


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"has the columns image, doctor, dx; a reader file needs columns image_id, reader"
    ) as error:
        read_readers(write(tmp_path / "readers.csv", "image,doctor,dx\na,1,mel\n"), HAM10000)
    assert "\n" not in str(error.value)


def answers_of(votes: dict[str, dict[int, int]], notes: tuple[str, ...] = ()) -> ReaderAnswers:
    array = np.zeros((len(votes), 7))
    for row, counts in enumerate(votes.values()):
        for place, count in counts.items():
            array[row, place] = count
    return ReaderAnswers(tuple(votes), array, None, notes)


class TestComparison:
    def test_by_hand(self) -> None:
        network = predictions([MEL, MEL, NV, NV], [MEL, NV, NV, MEL])
        readers = answers_of(
            {"ISIC_0": {MEL: 3, NV: 1}, "ISIC_1": {MEL: 4}, "ISIC_2": {MEL: 2, NV: 2}, "ISIC_3": {MEL: 1, NV: 1}}
        )
        result = compare_with_readers(network, readers, Resampling(100))
        assert (result["n_images"], result["n_answers"]) == (4, 14)
        metrics = result["metrics"]
        assert metrics["accuracy"]["readers"]["value"] == pytest.approx((0.75 + 1 + 0.5 + 0.5) / 4)
        assert metrics["accuracy"]["network"]["value"] == 0.5
        assert metrics["accuracy"]["difference"]["value"] == pytest.approx(0.5 - 0.6875)
        assert metrics["malignant_sensitivity"]["readers"]["value"] == pytest.approx((0.75 + 1) / 2)
        assert metrics["malignant_specificity"]["network"]["value"] == 0.5
        assert metrics["majority_accuracy"]["value"] == 0.5  # a tie is not right
        assert metrics["agreement"]["value"] == pytest.approx((0.75 + 0 + 0.5 + 0.5) / 4)
        assert result["table"] == {"both": 1, "only_readers": 1, "only_network": 1, "neither": 1}
        (case,) = result["cases"]["only_readers"]
        assert (case["image_id"], case["label"], case["called"], case["readers"]) == ("ISIC_1", "mel", "nv", "mel")
        assert result["points"][0] == [0.75, 0.9, True]

    def test_enough_lesions_have_intervals_around_the_values(self) -> None:
        rng = np.random.default_rng(0)
        labels = rng.integers(7, size=60)
        network = predictions(labels.tolist(), np.where(rng.random(60) < 0.8, labels, NV).tolist())
        readers = answers_of({f"ISIC_{i}": {int(labels[i]): 3, NV: 2} for i in range(60)})
        accuracy = compare_with_readers(network, readers, Resampling(300))["metrics"]["accuracy"]
        for name in ("readers", "network", "difference"):
            assert accuracy[name]["low"] < accuracy[name]["value"] < accuracy[name]["high"]

    def test_unknown_images_are_left_out_and_counted(self) -> None:
        result = compare_with_readers(
            predictions([MEL], [MEL]), answers_of({"ISIC_0": {MEL: 1}, "other": {NV: 1}}), Resampling(10)
        )
        assert result["n_images"] == 1
        assert result["notes"] == ["1 images of the readers are not in the test split and are left out"]

    def test_no_image_in_common(self) -> None:
        with pytest.raises(DataError, match="none of the 1 images of the readers .the first is other. is in the test split"):
            compare_with_readers(predictions([MEL], [MEL]), answers_of({"other": {NV: 1}}), Resampling(10))
