"""The loss of concepts by hand, and whole runs with a concept bottleneck."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import first_epochs
from torch.nn import functional

from lesionlens.core.errors import CheckpointError, RecipeError, TrainingError
from lesionlens.core.recipe import ConceptsRecipe, Recipe
from lesionlens.data.concepts import read_concepts
from lesionlens.models.concept_bottleneck import bottleneck_of
from lesionlens.training.checkpoint import load_network
from lesionlens.training.concept_loss import concept_loss, concept_targets
from lesionlens.training.history import read_history
from lesionlens.training.run import train_run

TIMINGS = {"images_per_second": 0.0, "seconds": 0.0, "waiting_share": 0.0}


def test_what_is_not_known_does_not_count():
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]], requires_grad=True)
    targets = torch.from_numpy(concept_targets(np.array([[1.0, np.nan], [0.25, 0.0]])))
    total, known = concept_loss(logits, targets)
    expected = [
        functional.binary_cross_entropy_with_logits(logits[i, j], torch.tensor(v))
        for i, j, v in ((0, 0, 1.0), (1, 0, 0.25), (1, 1, 0.0))
    ]
    torch.testing.assert_close(total, sum(expected))
    assert known.item() == 3
    total.backward()
    assert logits.grad[0, 1] == 0


def test_a_mixed_image_has_mixed_concepts():
    first, second = (torch.from_numpy(concept_targets(np.array([row]))) for row in ([1.0, 1.0], [0.0, np.nan]))
    logits = torch.tensor([[0.3, -0.4]])
    total, known = concept_loss(logits, 0.75 * first + 0.25 * second)
    one = functional.binary_cross_entropy_with_logits(logits[0, 0], torch.tensor(0.75))
    other = 0.75 * functional.binary_cross_entropy_with_logits(logits[0, 1], torch.tensor(1.0))
    torch.testing.assert_close(total, one + other)
    assert known.item() == pytest.approx(1.75)


@pytest.fixture(scope="module")
def recipe(artifacts, tmp_path_factory):
    """Every third value is missing; the first concept tells melanomas."""
    path = tmp_path_factory.mktemp("concepts") / "concepts.csv"
    rows = []
    for number, record in enumerate(artifacts.inputs.index.records):
        values = ["present" if record.dx == "mel" else "absent", str(number % 5)]
        rows.append(",".join([record.image_id, *(value if (number + k) % 3 else "" for k, value in enumerate(values))]))
    path.write_text("\n".join(["image_id,streaks,colours", *rows]) + "\n")
    return replace(
        artifacts.changed(training={"epochs": 2}), concepts=ConceptsRecipe(table=str(path), columns=("streaks", "colours"))
    )


@pytest.fixture(scope="module")
def concepts(artifacts, recipe):
    data = artifacts.inputs
    return read_concepts(Path(recipe.concepts.table), recipe.concepts.columns, data.index.ids, data.ids("train"))


def run(artifacts, recipe, concepts, out, stop_after=None):
    epochs = train_run(artifacts.inputs, recipe, out, artifacts.validate, world=artifacts.world, concepts=concepts)
    return first_epochs(epochs, stop_after)


@pytest.mark.slow
def test_one_epoch_and_one_equal_two(artifacts, recipe, concepts, tmp_path):
    whole = run(artifacts, recipe, concepts, tmp_path / "whole")
    run(artifacts, recipe, concepts, tmp_path / "parts", stop_after=1)
    run(artifacts, recipe, concepts, tmp_path / "parts")
    parts = read_history(tmp_path / "parts" / "history.jsonl")
    assert [replace(epoch, **TIMINGS) for epoch in parts] == [replace(epoch, **TIMINGS) for epoch in whole]
    network, info = load_network(tmp_path / "whole" / "best.safetensors")
    assert bottleneck_of(network).concepts.out_features == 2
    assert [unit["name"] for unit in info.concepts["units"]] == ["streaks", "colours"]


@pytest.mark.slow
def test_the_weight_of_the_concepts_counts(artifacts, recipe, concepts, tmp_path):
    losses = []
    for weight in (0.01, 10.0):
        changed = replace(recipe, concepts=replace(recipe.concepts, weight=weight))
        losses.append(run(artifacts, changed, concepts, tmp_path / str(weight), stop_after=1)[0].training_loss)
    assert losses[1] - losses[0] > 1  # cross entropy of two concepts at chance is about 0.69


def test_another_table_does_not_resume(artifacts, recipe, concepts, tmp_path):
    run(artifacts, recipe, concepts, tmp_path, stop_after=1)
    other = replace(concepts, by_id=dict(list(concepts.by_id.items())[1:]))
    with pytest.raises(CheckpointError, match="was trained with another table of concepts; choose another --out"):
        run(artifacts, recipe, other, tmp_path)
    with pytest.raises(TrainingError, match="but no concepts are given"):
        run(artifacts, recipe, None, tmp_path / "none")


def test_sections_that_say_half():
    with pytest.raises(RecipeError, match=r"concepts\.columns = \[\]; it must be names of columns of concepts\.table"):
        Recipe(concepts={"table": "c.csv"})
    with pytest.raises(RecipeError, match=r"concepts\.table = ''; it must be the CSV that has the concepts\.columns"):
        Recipe(concepts={"columns": "streaks"})
