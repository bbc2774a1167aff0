"""Which parameters decay, at which rate each layer learns, and that a step is torch's step."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from lesionlens.core.errors import RecipeError
from lesionlens.core.recipe import ModelRecipe, TrainingRecipe
from lesionlens.models.build import build_network
from lesionlens.models.operators import timm
from lesionlens.training.optimizer import OPTIMIZERS, build_optimizer, parameter_groups, scaled_rates
from lesionlens.training.schedule import SCHEDULES, build_schedule


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.BatchNorm2d(4), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 2))


def test_biases_and_norms_do_not_decay():
    net = network()
    decayed, others = parameter_groups(net, 0.1)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(net[0].weight), id(net[5].weight)}
    assert sum(len(group["params"]) for group in (decayed, others)) == len(list(net.parameters()))


def test_frozen_parameters_are_left_out():
    net = network()
    net[0].requires_grad_(False)
    assert id(net[0].weight) not in {id(p) for group in parameter_groups(net, 0.1) for p in group["params"]}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_equals_the_plain_optimizer(name):
    plain = {
        "adamw": lambda groups: torch.optim.AdamW(groups, 1e-2, betas=(0.8, 0.999), foreach=False),
        "adam": lambda groups: torch.optim.Adam(groups, 1e-2, betas=(0.8, 0.999), foreach=False),
        "nadam": lambda groups: torch.optim.NAdam(groups, 1e-2, betas=(0.8, 0.999), foreach=False),
        "sgd": lambda groups: torch.optim.SGD(groups, 1e-2, momentum=0.8, nesterov=True, foreach=False),
    }[name]
    ours, theirs = network(), network()
    recipe = TrainingRecipe(optimizer=name, learning_rate=1e-2, beta1=0.8, weight_decay=0.1)
    optimizers = [build_optimizer(ours, recipe), plain(parameter_groups(theirs, 0.1))]
    images = torch.randn(5, 3, 4, 4)
    for _ in range(3):
        for net, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            net(images).square().mean().backward()
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)  # other order of sums


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_beta1_of_zero_works(name):
    net = network()
    optimizer = build_optimizer(net, TrainingRecipe(optimizer=name, beta1=0.0))
    net(torch.randn(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    assert all(torch.isfinite(p).all() for p in net.parameters())


def small(name):
    return build_network(ModelRecipe(name, weights="none"), 7, 64, pretrained=False)


def settings(optimizer):
    """Rate and weight decay of every parameter, by its identity."""
    return {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}


def test_all_parameters_decay_if_asked():
    net = network()
    (everything,) = parameter_groups(net, 0.1, "all")
    assert everything["weight_decay"] == 0.1
    assert [id(p) for p in everything["params"]] == [id(p) for p in net.parameters()]
    optimizer = build_optimizer(net, TrainingRecipe(weight_decay=0.1, weight_decay_on="all"))
    assert {decay for _, decay in settings(optimizer).values()} == {0.1}


def test_what_a_network_exempts_does_not_decay():
    net = small("vit_tiny_patch16_224")
    assert net.no_weight_decay() >= {"pos_embed", "cls_token"}
    decay_of = {
        name: settings(build_optimizer(net, TrainingRecipe(weight_decay=0.1)))[id(p)][1] for name, p in net.named_parameters()
    }
    assert (decay_of["pos_embed"], decay_of["cls_token"], decay_of["blocks.0.attn.qkv.weight"]) == (0.0, 0.0, 0.1)
    assert set(settings(build_optimizer(net, TrainingRecipe(weight_decay=0.1, weight_decay_on="all"))).values()) == {(5e-5, 0.1)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224", "resnet18", "efficientnet_lite0"])
def test_layers_learn_at_the_rates_of_timm(name):
    """timm's own optimizer factory and scheduler, which multiplies the rate by each group's lr_scale."""
    timm()
    from timm.optim import create_optimizer_v2
    from timm.scheduler import StepLRScheduler

    net = small(name)
    recipe = TrainingRecipe(learning_rate=1e-2, layer_decay=0.7, weight_decay=0.1)
    ours = build_optimizer(net, recipe)
    theirs = create_optimizer_v2(net, "adamw", lr=1e-2, weight_decay=0.1, layer_decay=0.7)
    StepLRScheduler(theirs, decay_t=100)
    assert settings(ours) == settings(theirs)
    rates = {rate for rate, _ in settings(ours).values()}
    everything = settings(build_optimizer(net, replace(recipe, weight_decay_on="all")))
    assert everything == {number: (rate, 0.1) for number, (rate, _) in settings(ours).items()}
    assert max(rates) == 1e-2
    assert len(rates) > 3
    head = net.get_classifier().weight
    assert settings(ours)[id(head)] == (1e-2, 0.1)


def test_one_rate_for_all_layers_is_the_default():
    net = small("resnet18")
    assert {rate for rate, _ in settings(build_optimizer(net, TrainingRecipe(learning_rate=1e-2))).values()} == {1e-2}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_keeps_the_ratio_of_the_layers(schedule):
    net = small("resnet18")
    recipe = TrainingRecipe(
        learning_rate=1e-2, warmup_learning_rate=1e-3, epochs=4, warmup_epochs=1, schedule=schedule, layer_decay=0.5
    )
    optimizer = build_optimizer(net, recipe)
    scheduler = build_schedule(optimizer, recipe, 3)
    for _ in range(11):
        rates = [group["lr"] / group["lr_scale"] for group in optimizer.param_groups]
        assert rates == pytest.approx([rates[0]] * len(rates), rel=1e-6)
        optimizer.step()
        scheduler.step()


def test_layers_of_an_unknown_network_are_an_error():
    with pytest.raises(RecipeError, match=r"training.layer_decay = 0.5; it must be 1 for Sequential"):
        build_optimizer(network(), TrainingRecipe(layer_decay=0.5))


@pytest.mark.parametrize(("scaling", "factor"), [("none", 1.0), ("linear", 3.0), ("sqrt", math.sqrt(3))])
def test_rates_scale_with_the_images_of_a_step(scaling, factor):
    """timm: lr = lr_base * ratio or ratio ** 0.5, with ratio = batch size over all processes and accumulated / lr_base_size."""
    recipe = TrainingRecipe(
        learning_rate=0.1,
        warmup_learning_rate=0.01,
        final_learning_rate=0.001,
        batch_size=96,
        accumulate=4,
        learning_rate_scaling=scaling,
        learning_rate_batch=128,
    )
    scaled = scaled_rates(recipe)
    rates = (scaled.learning_rate, scaled.warmup_learning_rate, scaled.final_learning_rate)
    assert rates == pytest.approx((0.1 * factor, 0.01 * factor, 0.001 * factor))
    assert scaled_rates(scaled) == scaled
