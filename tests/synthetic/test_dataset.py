"""The embedded data set: its layout, its counts, and that its pixels are a function of seed, lesion and photograph."""

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlens.core.errors import DataError, RecipeError, StorageError
from lesionlens.core.labels import HAM10000
from lesionlens.synthetic import dataset as synthetic
from lesionlens.synthetic.dataset import COLUMNS, IMAGES, MASKS, METADATA, plan_photos, write_synthetic

SMALL = {"n_images": 42, "seed": 3, "width": 48, "height": 36}


def rows_of(root: Path) -> list[dict[str, str]]:
    with (root / METADATA).open(newline="") as stream:
        return list(csv.DictReader(stream))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_layout_is_that_of_ham10000(synthetic_root: Path) -> None:
    assert {path.name for path in synthetic_root.iterdir()} == {IMAGES, MASKS, METADATA, "synthetic.json"}
    rows = rows_of(synthetic_root)
    assert tuple(rows[0]) == COLUMNS == ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
    assert len(rows) == 120
    names = {row["image_id"] for row in rows}
    assert {path.name for path in (synthetic_root / IMAGES).iterdir()} == {f"{name}.jpg" for name in names}
    assert {path.name for path in (synthetic_root / MASKS).iterdir()} == {f"{name}_segmentation.png" for name in names}
    assert {row["dataset"] for row in rows} == {"synthetic"}


def test_images_and_masks_have_one_size(synthetic_root: Path) -> None:
    for row in rows_of(synthetic_root)[:20]:
        with Image.open(synthetic_root / IMAGES / f"{row['image_id']}.jpg") as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (96, 72))
        with Image.open(synthetic_root / MASKS / f"{row['image_id']}_segmentation.png") as mask:
            assert (mask.mode, mask.size) == ("L", (96, 72))
            assert set(np.unique(np.asarray(mask))) == {0, 255}


@pytest.mark.slow
def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    one = contents(write_synthetic(tmp_path / "one", **SMALL, workers=1))
    two = contents(write_synthetic(tmp_path / "two", **SMALL, workers=3))
    assert one == two
    other = contents(write_synthetic(tmp_path / "other", **{**SMALL, "seed": 4}))
    assert all(one[name] != other[name] for name in one if name.endswith(".jpg") and name in other)


@pytest.mark.parametrize("n_images", [42, 120, 1200])
def test_counts_are_imbalanced_and_no_diagnosis_is_too_rare(n_images: int) -> None:
    photos = plan_photos(n_images, seed=0)
    assert len(photos) == n_images
    images = Counter(photo.lesion.dx for photo in photos)
    lesions = Counter(dx for dx, _ in {(photo.lesion.dx, photo.lesion.lesion_id) for photo in photos})
    assert set(images) == set(HAM10000.codes)
    assert min(lesions.values()) >= 3
    if n_images == 1200:
        assert min(images.values()) >= 25
        assert min(lesions.values()) >= 12
        assert 0.55 < images["nv"] / n_images < 0.70


def test_no_lesion_has_two_diagnoses_and_ids_are_unique() -> None:
    photos = plan_photos(1200, seed=1)
    diagnoses = defaultdict(set)
    for photo in photos:
        diagnoses[photo.row["lesion_id"]].add(photo.row["dx"])
    assert all(len(codes) == 1 for codes in diagnoses.values())
    assert len({photo.row["image_id"] for photo in photos}) == 1200


def test_many_images_share_a_lesion_and_its_metadata() -> None:
    rows = [photo.row for photo in plan_photos(1200, seed=0)]
    sizes = Counter(row["lesion_id"] for row in rows)
    shared = sum(size for size in sizes.values() if size > 1) / len(rows)
    assert 0.40 < shared < 0.55  # HAM10000: 0.449
    people = defaultdict(set)
    for row in rows:
        people[row["lesion_id"]].add((row["age"], row["sex"], row["localization"], row["dx_type"]))
    assert all(len(metadata) == 1 for metadata in people.values())


def test_metadata_is_plausible_with_a_few_gaps() -> None:
    rows = [photo.row for photo in plan_photos(1200, seed=0)]
    ages = [float(row["age"]) for row in rows if row["age"]]
    assert min(ages) >= 0
    assert max(ages) <= 85
    assert all(age % 5 == 0 for age in ages)
    assert {row["sex"] for row in rows} == {"male", "female", "unknown"}
    for gaps in (sum(not row["age"] for row in rows), sum(row["localization"] == "unknown" for row in rows)):
        assert 1 <= gaps <= 60
    mean_age = {dx: np.mean([float(row["age"]) for row in rows if row["age"] and row["dx"] == dx]) for dx in ("nv", "mel")}
    assert mean_age["nv"] + 5 < mean_age["mel"]


def test_masks_cover_the_lesions(synthetic_root: Path) -> None:
    """Inside differs from outside in colour, more so than two halves of the skin do."""
    contrasts, shares = [], []
    for row in rows_of(synthetic_root):
        image = np.asarray(Image.open(synthetic_root / IMAGES / f"{row['image_id']}.jpg"), float)
        inside = np.asarray(Image.open(synthetic_root / MASKS / f"{row['image_id']}_segmentation.png")) > 127
        y, x = np.mgrid[-1:1:72j, -1:1:96j]
        skin = ~inside & (np.hypot(x, y) < 0.85)
        shares.append(inside.mean())
        if skin.sum() > 50:
            contrasts.append(np.abs(image[inside].mean(0) - image[skin].mean(0)).max())
    assert min(shares) > 0.005
    assert 0.1 < np.median(shares) < 0.4  # HAM10000: 0.23
    assert np.median(contrasts) > 25
    assert np.mean(np.array(contrasts) > 8) > 0.9


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all my work")
    with pytest.raises(DataError, match="not empty"):
        write_synthetic(tmp_path, **SMALL)
    assert contents(tmp_path) == {"thesis.txt": b"all my work"}


def test_a_finished_set_is_kept_and_other_settings_are_refused(tmp_path: Path) -> None:
    root = write_synthetic(tmp_path / "set", **SMALL)
    before = (root / METADATA).stat().st_mtime_ns
    assert write_synthetic(root, **SMALL) == root
    assert (root / METADATA).stat().st_mtime_ns == before
    with pytest.raises(DataError, match="other settings"):
        write_synthetic(root, **{**SMALL, "seed": 9})
    assert json.loads((root / "synthetic.json").read_text())["seed"] == 3


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    with pytest.raises(DataError, match="is a file"):
        write_synthetic(tmp_path / "set", **SMALL)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic, "_write_photo", full)
    with pytest.raises(StorageError, match="no space left"):
        write_synthetic(tmp_path / "set", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"n_images": 41}, {"width": 31}, {"height": 2001}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(RecipeError):
        write_synthetic(tmp_path / "set", **{**SMALL, **wrong})
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_image(tmp_path: Path) -> None:
    steps: list[int] = []
    write_synthetic(tmp_path / "set", **SMALL, progress=steps.append)
    assert sum(steps) == SMALL["n_images"]
