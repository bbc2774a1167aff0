"""Training images are found among external ones, whatever is known of them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.assessment.external import leak_screening, training_images
from lesionlens.assessment.external.leak_screening import NEAR, PERCEPTUAL, PIXELS, screen
from lesionlens.assessment.external.training_images import (
    FramePrints,
    TrainingImages,
    frame_prints,
    training_images_of_index,
    training_images_of_reference,
)
from lesionlens.bundle.reference import HASH_BYTES, Reference
from lesionlens.core.labels import HAM10000
from lesionlens.data.image import InputSpec
from lesionlens.data.index import Index, Record
from lesionlens.data.sources.source import read_source

SPEC = InputSpec(96, 96, "squash", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


@pytest.fixture(scope="module")
def frames(synthetic_root: Path) -> np.ndarray:
    """Twelve lesions, one photograph of each."""
    index = read_source(synthetic_root)
    first = {record.lesion_id: record for record in reversed(index.records)}
    chosen = [first[name] for name in sorted(first)[:12]]
    opened = []
    for record in chosen:
        with Image.open(index.image_path(record)) as image:
            opened.append(np.asarray(image.convert("RGB").resize((96, 96), Image.Resampling.BILINEAR)))
    return np.stack(opened)


def prints_of(frames: np.ndarray) -> FramePrints:
    return frame_prints(len(frames), lambda number: frames[number])


def records_of(prefix: str, count: int) -> tuple[Record, ...]:
    return tuple(Record(f"{prefix}{n}", f"{prefix}{n}.jpg", "nv", f"{prefix}lesion{n}") for n in range(count))


def saved_again(frame: np.ndarray, quality: int = 70) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def training_of(frames: np.ndarray, records: tuple[Record, ...] | None = None) -> TrainingImages:
    return TrainingImages("a run", prints_of(frames), records_of("T", len(frames)) if records is None else records)


def reference_of(frames: np.ndarray) -> Reference:
    prints, nothing = prints_of(frames), np.zeros(6, np.float32)
    counts = np.zeros(7, np.int64)
    return Reference(prints.frame_hashes, prints.perceptual, counts, nothing, nothing, np.zeros(0, np.float32))


def external(frames: np.ndarray) -> np.ndarray:
    """A copy of training image 1, training image 3 saved again and turned, and two others."""
    turned = np.ascontiguousarray(np.rot90(saved_again(frames[3])))
    return np.stack([frames[1], turned, frames[8], frames[9]])


def test_copies_and_turned_copies_are_found(frames: np.ndarray) -> None:
    screening = screen(prints_of(external(frames)), records_of("E", 4), training_of(frames[:6]))
    assert screening.leaked.tolist() == [True, True, False, False]
    found = {(match.row, match.kind, match.training_id) for match in screening.matches if match.is_certain}
    assert {(0, PIXELS, "T1"), (0, NEAR, "T1"), (1, NEAR, "T3")} == found
    content = screening.to_json(records_of("E", 4), kept=False)
    assert content["n_leaked"] == 2
    assert content["by_kind"] == {PIXELS: 1, NEAR: 2}
    assert content["screened"]


def test_the_order_of_images_does_not_matter(frames: np.ndarray) -> None:
    order = np.array([2, 0, 3, 1])
    plain = screen(prints_of(external(frames)), records_of("E", 4), training_of(frames[:6]))
    mixed = screen(prints_of(external(frames)[order]), records_of("E", 4), training_of(frames[:6][::-1]))
    assert mixed.leaked.tolist() == plain.leaked[order].tolist()


def test_hashes_alone_find_copies_and_say_what_they_miss(frames: np.ndarray) -> None:
    known = training_images_of_reference(reference_of(frames[:6]), "hashes")
    images = np.stack([frames[1], saved_again(frames[3]), frames[8], frames[9]])
    screening = screen(prints_of(images), records_of("E", 4), known)
    assert screening.leaked.tolist() == [True, True, False, False]
    assert screening.compared == (PIXELS, PERCEPTUAL)
    assert len(screening.notes) == 2
    assert "crops and rotations" in screening.notes[0]
    assert "ids of images, lesions and patients were not compared" in screening.notes[1]


def test_without_opencv_hashes_are_compared_and_it_is_said(frames: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_images, "has_opencv", lambda: False)
    screening = screen(prints_of(external(frames)), records_of("E", 4), training_of(frames[:6]))
    assert screening.leaked.tolist() == [True, False, False, False]
    assert any("OpenCV is not installed" in note for note in screening.notes)


def test_nothing_known_is_not_screened_and_no_leak_is_claimed(frames: np.ndarray) -> None:
    screening = screen(prints_of(frames[:2]), records_of("E", 2), None)
    assert not screening.is_screened
    content = screening.to_json(records_of("E", 2), kept=False)
    assert content["screened"] is False
    assert "unknown" in content["notes"][0]
    assert "--training-index" in content["notes"][0]


@pytest.mark.parametrize(
    ("change", "leaks"),
    [
        ({"lesion_id": "Tlesion0"}, True),
        ({"patient_id": "P7"}, True),
        ({"patient_id": "P8"}, False),
        ({"image_id": "ISIC_0000001"}, True),
        ({"image_id": "IMG_0001"}, False),  # everybody's camera counts from 1: suspected, not left out
        ({}, False),
    ],
)
def test_ids(frames: np.ndarray, change: dict[str, str], leaks: bool) -> None:
    own = list(records_of("T", 3))
    own[0] = replace(own[0], patient_id="P7")
    own[1] = replace(own[1], image_id="ISIC_0000001")
    own[2] = replace(own[2], image_id="IMG_0001")
    training = training_of(frames[:3], tuple(own))
    other = replace(Record("E", "E.jpg", "nv", "Elesion"), **change)
    screening = screen(prints_of(frames[8:9]), (other,), training)
    assert screening.leaked.tolist() == [leaks]
    assert bool(screening.matches) == bool(change and change != {"patient_id": "P8"})
    assert screening.to_json((other,), kept=False)["n_suspected"] == int(change == {"image_id": "IMG_0001"})


def test_images_without_lesion_ids_do_not_match_by_them(frames: np.ndarray) -> None:
    same = Record("same", "a.jpg", "nv", "same")  # its lesion id is its image id: the source names none
    screening = screen(prints_of(frames[8:9]), (same,), training_of(frames[:1], (replace(same, path="b.jpg"),)))
    assert not screening.leaked.any()


def test_an_index_of_training_images_whose_files_are_partly_gone(frames: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(frames[1]).save(tmp_path / "T0.png")
    records = tuple(replace(record, path=f"T{n}.png") for n, record in enumerate(records_of("T", 2)))
    known = training_images_of_index(Index(records, HAM10000, tmp_path, "folder"), SPEC, tmp_path / "index.csv")
    assert known.prints.readable.tolist() == [True, False]
    own = (replace(records_of("E", 1)[0], lesion_id="Tlesion1"),)
    screening = screen(prints_of(frames[1:2]), own, known)
    assert {match.kind for match in screening.matches} == {PIXELS, NEAR, "same lesion id"}
    assert any("1 training images could not be read" in note for note in screening.notes)


def test_training_images_that_are_all_gone_are_compared_by_ids(frames: np.ndarray, tmp_path: Path) -> None:
    index = Index(records_of("T", 3), HAM10000, tmp_path, "folder")
    known = training_images_of_index(index, SPEC, tmp_path / "index.csv")
    screening = screen(prints_of(frames[1:3]), records_of("T", 2), known)
    assert screening.leaked.tolist() == [True, True]
    assert {match.kind for match in screening.matches} == {"same image id", "same lesion id"}


def test_a_missing_training_image_matches_no_black_one() -> None:
    prints = FramePrints(np.zeros(1, np.uint64), np.zeros((1, HASH_BYTES), np.uint8), None, np.zeros(1, bool))
    known = TrainingImages("x", prints, ())
    black = FramePrints(np.zeros(1, np.uint64), np.zeros((1, HASH_BYTES), np.uint8), None, np.ones(1, bool))
    assert not screen(black, records_of("E", 1), known).leaked.any()


def test_kinds_are_all_named() -> None:
    assert len(set(leak_screening.KINDS)) == 6
