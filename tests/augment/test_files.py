"""Copies as files: the pixels that training makes on the fly, to the bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lesionlens.augment.files import copy_name, copy_pixels, crop_corner, materialise
from lesionlens.augment.offline import Plan, plan_training
from lesionlens.augment.policy import table_3
from lesionlens.augment.transform import augment
from lesionlens.core.artifact import read_stamp
from lesionlens.core.errors import DataError
from lesionlens.core.recipe import InputRecipe, Recipe, TrainingRecipe
from lesionlens.core.seeds import derive_seed
from lesionlens.data.image import frame_spec, open_image, prepare
from lesionlens.data.index import Index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import make_split
from lesionlens.data.store import pack


@pytest.fixture(scope="module")
def index(synthetic_root: Path) -> Index:
    return read_source(synthetic_root)


def few(plan: Plan, count: int = 30) -> Plan:
    """The rows of the first images of a plan."""
    kept = [row for row, image_id in enumerate(plan.image_ids) if image_id in plan.originals[:count]]
    return Plan(*(tuple(column[row] for row in kept) for column in (plan.image_ids, plan.copies, plan.seeds)))


@pytest.mark.slow
@pytest.mark.parametrize("frame", [0, 56])
def test_files_are_what_training_feeds(index: Index, tmp_path: Path, frame: int) -> None:
    """Through training's own path: store, rows of the plan, crops, augmentation."""
    from lesionlens.training.batches import Batches, plan_rows
    from lesionlens.training.distributed import World
    from lesionlens.training.order import Order

    recipe = Recipe(seed=3, input=InputRecipe(size=48, frame=frame), training=TrainingRecipe(batch_size=16))
    spec = frame_spec(recipe.input)
    plan = few(plan_training(index, make_split(index, recipe.split), recipe))
    assert sum(plan.copies) > 20
    folder = tmp_path / "copies"
    written = materialise(plan, index, spec, table_3(), folder)
    store = pack(index, spec, tmp_path / "store")
    rows = plan_rows(plan, store, index)
    batches = Batches(rows, store.images, spec, recipe, World(torch.device("cpu")))
    copies = np.flatnonzero(np.array(plan.copies) > 0)
    for epoch in (1, 7):
        fed = batches.read(Order(copies, np.zeros_like(copies)), epoch).permute(0, 2, 3, 1).numpy()
        for row, pixels in zip(copies.tolist(), fed, strict=True):
            dx = index.by_id()[plan.image_ids[row]].dx
            with Image.open(folder / dx / copy_name(plan.image_ids[row], plan.copies[row])) as image:
                np.testing.assert_array_equal(np.asarray(image), pixels)
    assert written == len(copies) == len(list(folder.glob("*/*.png")))


def test_pixels_are_prepared_then_augmented(index: Index) -> None:
    record, spec = index.records[0], frame_spec(InputRecipe(size=40))
    frame = prepare(open_image(index.image_path(record)), spec)
    seeds = [derive_seed(0, 0, record.image_id, copy) for copy in (1, 2, 3)]
    expected = augment(torch.from_numpy(frame).permute(2, 0, 1).repeat(3, 1, 1, 1), seeds, table_3()).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(copy_pixels(frame, seeds, 40, table_3()), expected.numpy())


def test_crops_lie_anywhere_in_the_frame() -> None:
    corners = [crop_corner(seed, 56, 48) for seed in range(2000)]
    assert set(corners) == {(top, left) for top in range(9) for left in range(9)}
    assert crop_corner(5, 48, 48) == (0, 0)


def test_stamp_and_progress(index: Index, tmp_path: Path) -> None:
    recipe = Recipe(input=InputRecipe(size=32))
    plan = few(plan_training(index, make_split(index, recipe.split), recipe), 12)
    done: list[int] = []
    count = materialise(plan, index, frame_spec(recipe.input), table_3(), tmp_path / "copies", done.append)
    assert sum(done) == count
    stamp = read_stamp(tmp_path / "copies")
    assert stamp["facts"] == {"copies": count}
    assert stamp["made_from"]["plan"] == plan.hash


def test_a_missing_image_leaves_nothing_behind(index: Index, tmp_path: Path) -> None:
    spec = frame_spec(InputRecipe(size=32))
    with pytest.raises(DataError, match="not in the index"):
        materialise(Plan(("nobody", "nobody"), (0, 1), (1, 2)), index, spec, table_3(), tmp_path / "copies")
    lost = Index(index.records, index.labels, tmp_path / "nowhere", index.source)
    first = index.records[0].image_id
    with pytest.raises(DataError, match=first):
        materialise(Plan((first, first), (0, 1), (1, 2)), lost, spec, table_3(), tmp_path / "copies")
    assert list(tmp_path.iterdir()) == []


def test_names_cannot_leave_the_folder() -> None:
    assert copy_name("ISIC_0025964", 7) == "ISIC_0025964_0007.png"
    assert copy_name("../a/b", 1) == "..%2Fa%2Fb_0001.png"
