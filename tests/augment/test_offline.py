"""The plan: classes filled up evenly, from training images only, and read back as written."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlens.augment.offline import (
    Plan,
    check_plan,
    copy_seed,
    count_by_class,
    make_plan,
    plan_facts,
    plan_inputs,
    plan_training,
    read_plan,
    write_plan,
)
from lesionlens.core.artifact import is_current, read_stamp, stamp_path, write_stamp
from lesionlens.core.errors import ArtifactError, DataError, RecipeError, SplitError
from lesionlens.core.recipe import AugmentationRecipe, Recipe
from lesionlens.core.seeds import derive_seed
from lesionlens.data.index import Index
from lesionlens.data.sources.source import read_source
from lesionlens.data.split import Split, make_split


@pytest.fixture(scope="module")
def index(synthetic_root: Path) -> Index:
    return read_source(synthetic_root)


@pytest.fixture(scope="module")
def split(index: Index) -> Split:
    return make_split(index, Recipe().split)


def rows(plan: Plan) -> set[tuple[str, int, int]]:
    return set(zip(plan.image_ids, plan.copies, plan.seeds, strict=True))


def test_by_hand() -> None:
    plan = make_plan(["a", "b", "c", "d", "e", "f", "g"], [0, 0, 0, 0, 0, 1, 1], 1.0, seed=0)
    copies = Counter(plan.image_ids)
    assert [copies[name] for name in "abcde"] == [1] * 5
    assert sorted([copies["f"], copies["g"]]) == [2, 3]  # filled up to five
    assert len(make_plan(["a", "b", "c", "d"], [0, 0, 0, 1], 0.5, seed=0)) == 5  # ceil(1.5) of the rare class
    assert make_plan(["b", "a"], [0, 1], 0.0, seed=3) == Plan(("a", "b"), (0, 0), (copy_seed(3, "a", 0), copy_seed(3, "b", 0)))


CLASSES = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@given(classes=CLASSES, fill=st.floats(0, 1), seed=st.integers(0, 2**31 - 1), shuffle=st.randoms())
def test_classes_are_filled_evenly_whatever_the_order(classes: list[int], fill: float, seed: int, shuffle) -> None:
    ids = [f"image {n}" for n in range(len(classes))]
    plan = make_plan(ids, classes, fill, seed)
    class_of = dict(zip(ids, classes, strict=True))
    copies = Counter(plan.image_ids)
    largest = max(Counter(classes).values())
    for number, count in Counter(classes).items():
        members = [copies[image_id] for image_id in ids if class_of[image_id] == number]
        assert sum(members) == max(count, math.ceil(fill * largest))
        assert max(members) - min(members) <= 1
    assert set(plan.originals) == set(ids)
    assert all(seed_ == derive_seed(seed, 0, image_id, copy) for image_id, copy, seed_ in rows(plan))
    order = list(range(len(ids)))
    shuffle.shuffle(order)
    assert make_plan([ids[n] for n in order], [classes[n] for n in order], fill, seed) == plan


def test_who_gets_the_one_more_depends_on_the_seed() -> None:
    ids, classes = [f"{n}" for n in range(30)], [0] * 20 + [1] * 10
    plans = [
        {image_id for image_id, n in Counter(make_plan(ids, classes, 0.7, seed).image_ids).items() if n > 1} for seed in range(5)
    ]
    assert all(len(lucky) == 4 for lucky in plans)
    assert len(set(map(frozenset, plans))) == 5


def test_wrong_input_is_refused() -> None:
    with pytest.raises(DataError, match="each training image once"):
        make_plan([], [], 1.0, 0)
    with pytest.raises(DataError, match="each training image once"):
        make_plan(["a", "a"], [0, 1], 1.0, 0)
    with pytest.raises(DataError, match="each training image once"):
        make_plan(["a", "b"], [0], 1.0, 0)
    with pytest.raises(RecipeError, match=r"offline_fill = 1\.5"):
        make_plan(["a"], [0], 1.5, 0)
    with pytest.raises(DataError, match=r"copies \[0, 2\] of image a"):
        Plan(("a", "a"), (0, 2), (1, 2))
    with pytest.raises(DataError, match="all must match"):
        Plan(("a",), (0, 1), (1,))


def test_only_training_images_are_planned(index: Index, split: Split) -> None:
    plan = plan_training(index, split, Recipe())
    assert set(plan.originals) == set(split.ids["train"])
    counts = count_by_class(plan, index)
    largest = max(row["originals"] for row in counts.values())
    assert {row["originals"] + row["copies"] for row in counts.values()} == {largest}
    assert sum(row["originals"] for row in counts.values()) == len(split.ids["train"])


def test_a_plan_with_another_parts_image_is_refused(index: Index, split: Split, tmp_path: Path) -> None:
    for split_name in ("validation", "test"):
        stray = split.ids[split_name][0]
        plan = make_plan([*split.ids["train"], stray], [0] * (len(split.ids["train"]) + 1), 0, 0)
        with pytest.raises(SplitError, match=f"{stray}, which is in {split_name}"):
            write_plan(plan, tmp_path / "plan.csv", split, Recipe())
    assert list(tmp_path.iterdir()) == []
    few = make_plan(split.ids["train"][1:], [0] * (len(split.ids["train"]) - 1), 0, 0)
    with pytest.raises(ArtifactError, match="lacks 1 training images"):
        check_plan(few, split)


def test_written_is_read(index: Index, split: Split, tmp_path: Path) -> None:
    recipe = Recipe(seed=5, augmentation=AugmentationRecipe(offline_fill=0.6))
    plan, path = plan_training(index, split, recipe), tmp_path / "deep" / "plan.csv"
    write_plan(plan, path, split, recipe)
    assert read_plan(path) == read_plan(path, split) == plan
    assert path.read_text().splitlines()[0] == "image_id,copy,seed"
    assert is_current(path, {})
    facts = plan_facts(read_stamp(path)).items()
    assert facts >= plan_inputs(split, recipe).items()
    assert not facts >= plan_inputs(split, Recipe(seed=6, augmentation=recipe.augmentation)).items()
    assert not facts >= plan_inputs(split, Recipe(seed=5)).items()


def test_damaged_plans_are_refused(index: Index, split: Split, tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    with pytest.raises(ArtifactError, match="does not exist"):
        read_plan(path)
    write_plan(plan_training(index, split, Recipe()), path, split, Recipe())
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    other = make_split(index, Recipe().split.__class__(seed=1))
    with pytest.raises((ArtifactError, SplitError), match="lesionlens augment"):
        read_plan(path, other)
    for damaged in (text[: len(text) // 2], "".join(lines[:-1]), text.replace(",0,", ",x,", 1), "a,b\n1,2\n", "\x00\xff", ""):
        path.write_bytes(damaged.encode("latin-1"))
        with pytest.raises(ArtifactError, match="lesionlens augment"):
            read_plan(path)
    path.write_text(text)
    stamp_path(path).unlink()
    with pytest.raises(ArtifactError):
        read_plan(path)


def test_an_edited_plan_with_a_test_image_never_trains(index: Index, split: Split, tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    write_plan(plan_training(index, split, Recipe()), path, split, Recipe())
    with path.open("a") as stream:
        stream.write(f"{split.ids['test'][0]},0,1\n")
    write_stamp(path, plan_inputs(split, Recipe()))  # even if somebody forges the stamp
    with pytest.raises(SplitError, match="only training images"):
        read_plan(path, split)


def test_ham10000_counts(ham10000_root: Path) -> None:
    index = read_source(ham10000_root)
    split = make_split(index, Recipe().split)
    counts = count_by_class(plan_training(index, split, Recipe()), index)
    assert counts["nv"]["copies"] == 0
    assert {row["originals"] + row["copies"] for row in counts.values()} == {counts["nv"]["originals"]}
    assert np.isclose(counts["nv"]["originals"], 0.7 * 6705, rtol=0.01)
