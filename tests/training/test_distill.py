"""The loss of a student: by hand, and as one step of training."""

import math

import pytest
import torch
from torch import nn

from lesionlens.core.seeds import derive_seed
from lesionlens.data.image import input_spec
from lesionlens.models.build import build_network
from lesionlens.training.batches import Batches, plan_rows
from lesionlens.training.distill import Teacher, divergence
from lesionlens.training.loop import Sums, Trainer, steps_per_epoch
from lesionlens.training.state import build_state


def test_the_divergence_by_hand():
    """Two classes, T = 2: student (0, 0) is (1/2, 1/2); teacher (2 ln 3, 0) is (3/4, 1/4)."""
    measured = divergence(torch.tensor([[0.0, 0.0]]), torch.tensor([[2 * math.log(3), 0.0]]), 2.0)
    expected = 4 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    assert float(measured) == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx(0.523, abs=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_gradient_is_that_of_hinton(temperature):
    """Equation 2 there, times T^2: T (softmax(z / T) - softmax(v / T))."""
    torch.manual_seed(0)
    z, v = torch.randn(5, 7, dtype=torch.float64, requires_grad=True), torch.randn(5, 7, dtype=torch.float64)
    divergence(z, v, temperature).backward()
    expected = temperature * ((z / temperature).softmax(1) - (v / temperature).softmax(1)).detach()
    torch.testing.assert_close(z.grad, expected, rtol=1e-4, atol=1e-5)  # computed in float32


def test_who_agrees_has_nothing_to_learn():
    logits = torch.randn(4, 7)
    assert float(divergence(logits, logits + 3.0, 4.0)) == pytest.approx(0, abs=1e-5)  # a shift changes no probability
    assert float(divergence(logits, torch.randn(4, 7), 4.0)) > 0


def test_a_blend_by_hand():
    teacher = Teacher(nn.Identity(), temperature=1.0, weight=0.25)
    logits, teacher_logits = torch.zeros(2, 2), torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    one = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)  # the second image agrees
    assert float(teacher.blend(torch.tensor(2.0), logits, teacher_logits, 2)) == pytest.approx(
        0.75 * 2 + 0.25 * one / 2, rel=1e-6
    )


def made(artifacts, teacher, **training):
    recipe = artifacts.changed(
        training={"ema_decay": 0.0, "logit_adjustment": 0.5, "channels_last": False, **training},
        augmentation={"mixup_p": 1.0, "cutmix_p": 0.0},
        model={"drop_rate": 0.0, "drop_path_rate": 0.0},
    )
    spec = input_spec(recipe.input)
    batches = Batches(
        plan_rows(artifacts.inputs.plan, artifacts.inputs.store, artifacts.inputs.index),
        artifacts.inputs.store.images,
        spec,
        recipe,
        artifacts.world,
    )
    torch.manual_seed(0)
    state = build_state(
        build_network(recipe.model, 7, spec.size), recipe.training, steps_per_epoch(batches, 1), artifacts.world.device
    )
    return Trainer(state, batches, recipe, spec, 7, artifacts.world, teacher)


class Listening(nn.Module):
    """A teacher that remembers what it was shown."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.linear = nn.Linear(3, 7)
        self.shown = []

    def forward(self, images):
        self.shown.append((images, torch.is_grad_enabled(), self.training))
        return self.linear(images.mean((2, 3)))


def test_teacher_and_student_see_the_same_mixed_pixels(artifacts):
    listening, seen = Listening(), []
    trainer = made(artifacts, Teacher(listening, 2.0, 0.5))
    trainer.state.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with trainer.batches.epoch(1) as images:
        batch = next(iter(images))
    trainer.state.network.train()
    trainer.feed(batch, 1, 0, Sums(torch.zeros(())))
    (shown, with_gradient, training) = listening.shown[0]
    assert shown is seen[0]
    assert not torch.allclose(shown, trainer.normalise(batch.images))  # mixed
    assert (with_gradient, training) == (False, False)


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_loss_of_a_step_is_the_weighted_sum(artifacts, weight):
    listening, outputs = Listening(), []
    trainer = made(artifacts, Teacher(listening, 3.0, weight))
    trainer.state.network.register_forward_hook(lambda module, inputs, output: outputs.append((inputs[0], output)))
    alone = made(artifacts, None)
    sums, without = Sums(torch.zeros(())), Sums(torch.zeros(()))
    with trainer.batches.epoch(1) as images:
        batch = next(iter(images))
    for each, counted in ((trainer, sums), (alone, without)):
        each.state.network.train()
        torch.manual_seed(derive_seed(0, "dropout"))
        each.feed(batch, 1, 0, counted)
    images, logits = outputs[0]
    with torch.no_grad():
        followed = divergence(logits, listening.linear(images.mean((2, 3))), 3.0) / len(images)
    expected = (1 - weight) * float(without.losses[0]) + weight * float(followed)
    assert float(sums.losses[0]) == pytest.approx(expected, rel=1e-5)


def test_the_teacher_stays_as_it_is(artifacts):
    listening = Listening()
    before = [parameter.clone() for parameter in listening.parameters()]
    made(artifacts, Teacher(listening, 2.0, 0.5)).train(1)
    assert all(torch.equal(a, b) for a, b in zip(before, listening.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in listening.parameters())
