import json
from pathlib import Path

import pytest

from lesionlens.core.errors import ArtifactError, RecipeError
from lesionlens.core.recipe import Recipe
from lesionlens.pipeline.execution import RECORD, Journey, Stage, plan, travel


def copy_stage(name: str, after: tuple[str, ...], text: str = "") -> Stage:
    """A stage that writes the texts of those before it, and the recipe's seed."""

    def make(journey: Journey) -> str:
        before = "".join(journey.path(f"{other}.txt").read_text() for other in after)
        journey.path(f"{name}.txt").write_text(f"{before}{name}{text}{journey.recipe.seed if not after else ''} ")
        return f"made {name}"

    return Stage(name, f"{name}.txt", after, lambda journey: [journey.recipe.seed, text] if not after else text, make)


ROAD = (copy_stage("a", ()), copy_stage("b", ("a",)), copy_stage("c", ()), copy_stage("d", ("b", "c")))


def made(journey: Journey, road=ROAD, **options) -> list[str]:
    return [step.name for step in travel(road, journey, plan(road, journey, **options)) if step.made]


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    return Journey(tmp_path, Recipe(), None)


def test_the_first_time_makes_all_and_the_second_nothing(journey):
    assert made(journey) == ["a", "b", "c", "d"]
    assert journey.path("d.txt").read_text() == "a0 b c0 d "
    assert made(journey) == []


def test_a_changed_setting_makes_its_stage_and_what_lies_behind(journey):
    made(journey)
    road = (*ROAD[:1], copy_stage("b", ("a",), "!"), *ROAD[2:])
    assert made(journey, road) == ["b", "d"]
    assert made(journey, road) == []


def test_a_changed_recipe_reaches_only_the_stages_that_read_it(journey):
    made(journey)
    other = Journey(journey.folder, Recipe(seed=1), None)
    assert made(other) == ["a", "b", "c", "d"]


def test_an_output_changed_or_deleted_by_hand_is_made_again(journey):
    made(journey)
    journey.path("b.txt").write_text("other")
    assert made(journey) == ["b", "d"]
    journey.path("c.txt").unlink()
    assert made(journey) == ["c", "d"]


def test_start_and_until(journey):
    assert made(journey, until="b") == ["a", "b"]
    with pytest.raises(ArtifactError, match="stage c in .* is not up to date; start from it: --from c"):
        plan(ROAD, journey, start="d")
    made(journey)
    assert made(journey, start="c") == ["c", "d"]
    assert made(journey, start="b", until="c") == ["b", "c"]


def test_a_failure_keeps_what_was_made_before(journey):
    def fail(journey: Journey) -> str:
        raise ArtifactError("no")

    road = (*ROAD[:2], Stage("c", "c.txt", (), lambda journey: None, fail), ROAD[3])
    with pytest.raises(ArtifactError, match="^no$"):
        made(journey, road)
    assert set(json.loads(journey.path(RECORD).read_text())) == {"a", "b"}
    assert made(journey) == ["c", "d"]


def test_a_stage_that_makes_nothing_is_our_mistake(journey):
    with pytest.raises(ArtifactError, match="made no"):
        made(journey, (Stage("a", "a.txt", (), lambda journey: None, lambda journey: ""),))


def test_unknown_stages_and_a_backward_road(journey):
    with pytest.raises(RecipeError, match="unknown stage 'x'; the road has a, b, c, d"):
        plan(ROAD, journey, start="x")
    with pytest.raises(RecipeError, match="lies behind"):
        plan(ROAD, journey, start="d", until="a")


def test_a_damaged_record(journey):
    journey.path(RECORD).write_text('{"a": 1}')
    with pytest.raises(ArtifactError, match="not the record of a run"):
        plan(ROAD, journey)
