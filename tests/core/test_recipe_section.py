"""A key is declared once; its rule holds however a section is made, and is worded from the declaration."""

import dataclasses
import pickle
import subprocess
import sys
from typing import ClassVar, Literal

import pytest
from pydantic.dataclasses import dataclass

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import (
    AugmentationRecipe,
    CompressionRecipe,
    EvaluationRecipe,
    InputRecipe,
    ModelRecipe,
    Recipe,
    SplitRecipe,
    TrainingRecipe,
)
from lesionlens.core.recipe_section import Key, Section, key

SECTIONS = (
    *(Recipe, InputRecipe, SplitRecipe, AugmentationRecipe, ModelRecipe, TrainingRecipe),
    *(EvaluationRecipe, CompressionRecipe),
)


@dataclass(frozen=True)
class Example(Section):
    SECTION: ClassVar[str] = "example"

    both: int = key(2, "Both ends belong.", ge=1, le=3)
    low: float = key(0.5, "The low end belongs.", ge=0.25, lt=1)
    high: float = key(0.5, "The high end belongs.", gt=0, le=1)
    neither: float = key(0.5, "No end belongs.", gt=0, lt=1)
    least: float = key(0.0, "No upper end.", ge=0)
    above: float = key(1.0, "No ends.", gt=0)
    word: Literal["a", "b"] = key("a", "A choice of words.")
    number: Literal[1, 8] = key(1, "A choice of numbers.")
    text: str = key("x", "A text.", rule="a short text")
    free: str = key("", "Any text.", paper="stated")
    flag: bool = key(False, "A flag.")
    words: tuple[str, ...] = key((), "A list.")
    table: dict[str, float] = key({"a": 1.0}, "A table.")


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        *(("both", value, "from 1 to 3") for value in (0, 4)),
        *(("low", value, "from 0.25 to below 1") for value in (0.2, 1.0)),
        *(("high", value, "above 0 and at most 1") for value in (0.0, 1.5)),
        *(("neither", value, "between 0 and 1") for value in (0.0, 1.0)),
        ("least", -1.0, "0 or above"),
        ("above", 0.0, "above 0"),
        ("word", "c", "one of a, b"),
        ("number", 2, "1 or 8"),
        ("text", "", "a short text"),
        *(("both", value, "a whole number") for value in (1.0, True, "1")),
        *(("low", value, "a number") for value in (True, "1", float("nan"), float("inf"))),
        ("flag", 1, "true or false"),
        ("free", 1, "a text in quotes"),
        ("words", "a", "a list of texts"),
        ("table", 1, "a table of numbers"),
    ],
)
def test_the_rule_follows_from_the_declaration(name, value, rule):
    with pytest.raises(RecipeError) as raised:
        Example(**{name: value})
    assert str(raised.value) == f"example.{name} = {value!r}; it must be {rule}"


def test_ends_that_belong_are_accepted():
    assert Example(both=1, low=0.25, high=1, least=0) == Example(both=1, low=0.25, high=1.0, least=0.0)
    assert Example(both=3).both == 3
    assert isinstance(Example(high=1).high, float)


def test_a_section_is_checked_however_it_is_made():
    with pytest.raises(RecipeError, match=r"^training\.epochs = 0; it must be from 1 to 100000$"):
        TrainingRecipe(epochs=0)
    with pytest.raises(RecipeError, match=r"^training\.epochs = 0; "):
        TrainingRecipe(0)
    with pytest.raises(RecipeError, match=r"^training\.warmup_epochs = 30\.0; it must be from 0 to below training\.epochs$"):
        dataclasses.replace(TrainingRecipe(), epochs=30)
    with pytest.raises(RecipeError, match=r"^evaluation\.views = 2; it must be 1 or 8$"):
        Recipe(evaluation={"views": 2})
    with pytest.raises(RecipeError, match=r"^unknown key epoch; known are name, seed, input, "):
        Recipe(epoch=3)
    with pytest.raises(RecipeError, match=r"^unknown key training\.epoch; did you mean epochs\?$"):
        TrainingRecipe(epoch=3, warmup_epochs=-1)


def test_values_from_elsewhere_are_checked_by_the_same_rules():
    EvaluationRecipe.check(resamples=100, confidence=0.5)
    with pytest.raises(RecipeError, match=r"^evaluation\.confidence = 1\.0; it must be from 0\.5 to below 1$"):
        EvaluationRecipe.check(confidence=1.0)
    recipe = EvaluationRecipe(views=8, resamples=300)
    assert recipe.overridden(views=1, resamples=0, confidence=0.9) == EvaluationRecipe(views=1, resamples=300, confidence=0.9)
    with pytest.raises(RecipeError, match=r"^evaluation\.resamples = -1; it must be from 100 to 100000$"):
        recipe.overridden(resamples=-1)


def test_sections_cannot_change_and_survive_another_process():
    recipe = Recipe(training=TrainingRecipe(learning_rate=1e-3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.seed = 3
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert Recipe().augmentation.probabilities is not Recipe().augmentation.probabilities


def test_keys_in_the_order_of_the_declaration():
    keys = list(Example.declared_keys())
    assert [one.name for one in keys] == [f"example.{field.name}" for field in dataclasses.fields(Example)]
    assert keys[0] == Key("example.both", "Both ends belong.", 2, "from 1 to 3", None)
    assert [one.paper for one in keys if one.name == "example.free"] == ["stated"]
    assert [one.default for one in keys if one.name == "example.table"] == [{"a": 1.0}]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_meaning_and_a_default_that_keeps_its_rule(section):
    for one in section.declared_keys():
        assert one.meaning[0].isupper() or one.meaning[0] == "`", one
        assert one.meaning.endswith("."), one
        assert one.rule, one
        name = one.name.rpartition(".")[2]
        assert getattr(section(**{name: one.default}), name) == one.default
        assert type(getattr(section(**{name: one.default}), name)) is type(one.default)


def test_running_a_bundle_does_not_load_the_recipe():
    """Its start must stay fast: pydantic and the recipe's rules take a tenth of a second to load."""
    code = (
        "import sys, lesionlens, lesionlens.cli.main\n"
        "from lesionlens.bundle import archive, inspection, results, runtime, sources\n"
        "print(*(name for name in sys.modules if name in ('pydantic', 'lesionlens.core.recipe')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
