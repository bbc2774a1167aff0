"""Learning rates: the paper's numbers, by hand, and the ends of every schedule."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlens.core.recipe import TrainingRecipe
from lesionlens.training.schedule import SCHEDULES, build_schedule


def rates(recipe, steps_per_epoch):
    """The rate of every step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], recipe.learning_rate)
    schedule = build_schedule(optimizer, recipe, steps_per_epoch)
    curve = []
    for _ in range(recipe.epochs * steps_per_epoch):
        curve.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return curve


def test_onecycle_has_the_numbers_of_table_6():
    curve = rates(TrainingRecipe(), steps_per_epoch=10)
    assert curve[0] == pytest.approx(5e-6)
    assert max(curve) == pytest.approx(5e-5)
    assert curve.index(max(curve)) == 30 * 10 - 1
    assert curve[-1] == pytest.approx(0, abs=1e-11)
    assert all(a < b for a, b in pairwise(curve[:300]))
    assert all(a > b for a, b in pairwise(curve[299:]))


def test_onecycle_halfway_up_by_hand():
    curve = rates(TrainingRecipe(epochs=4, warmup_epochs=2.0), steps_per_epoch=5)  # up over steps 0 to 9
    step = 3
    expected = 5e-6 + (5e-5 - 5e-6) * (1 - math.cos(math.pi * step / 9)) / 2
    assert curve[step] == pytest.approx(expected, rel=1e-9)


def test_onecycle_ends_at_the_final_rate():
    recipe = TrainingRecipe(epochs=4, warmup_epochs=2.0, learning_rate=1e-2, warmup_learning_rate=1e-3, final_learning_rate=1e-4)
    curve = rates(recipe, steps_per_epoch=5)
    assert (curve[0], max(curve), curve[-1]) == pytest.approx((1e-3, 1e-2, 1e-4), rel=1e-9)
    middle = 1e-4 + (1e-2 - 1e-4) * (1 + math.cos(math.pi * 4 / 10)) / 2  # down over steps 9 to 19
    assert curve[13] == pytest.approx(middle, rel=1e-9)


def test_cosine_by_hand():
    recipe = TrainingRecipe(
        schedule="cosine", epochs=3, warmup_epochs=1.0, learning_rate=1.0, warmup_learning_rate=0.2, final_learning_rate=0.1
    )
    # up 0.2 0.4 0.6 0.8, then half a cosine from step 4 to step 11
    curve = rates(recipe, steps_per_epoch=4)
    assert curve[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve[7] == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 3 / 7)))
    assert curve[-1] == pytest.approx(0.1)


def test_constant_stays():
    recipe = TrainingRecipe(schedule="constant", epochs=3, warmup_epochs=0.5, learning_rate=1.0, warmup_learning_rate=0.0)
    assert rates(recipe, steps_per_epoch=4) == pytest.approx([0.0, 0.5] + [1.0] * 10)


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(list(SCHEDULES)),
    epochs=st.integers(1, 5),
    warmup=st.floats(0, 0.99),
    steps=st.integers(1, 4),
    start=st.sampled_from([0.0, 1e-3, 1e-2]),
    final=st.sampled_from([0.0, 1e-4, 1e-2]),
)
def test_no_schedule_leaves_its_range(name, epochs, warmup, steps, start, final):
    recipe = TrainingRecipe(
        schedule=name,
        epochs=epochs,
        warmup_epochs=warmup * epochs,
        learning_rate=1e-2,
        warmup_learning_rate=start,
        final_learning_rate=final,
    )
    curve = rates(recipe, steps)
    assert all(0 <= rate <= 1e-2 * (1 + 1e-9) for rate in curve)


@pytest.mark.parametrize("warmup", [1.0, 2.0])
def test_a_warmup_of_one_step_works(warmup):
    recipe = TrainingRecipe(epochs=3, warmup_epochs=warmup, learning_rate=1e-2, warmup_learning_rate=1e-3)
    curve = rates(recipe, steps_per_epoch=1)
    assert curve[0] == pytest.approx(1e-3)
    assert all(math.isfinite(rate) for rate in curve)
