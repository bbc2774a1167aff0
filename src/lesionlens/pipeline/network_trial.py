"""Try a network: one training step, heat maps, and a graph that computes the same, before a long training counts on them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.bundle.bundle import GRAPH_FILE
from lesionlens.bundle.outputs import Tolerance
from lesionlens.compression.count import macs
from lesionlens.core.errors import ModelError, TrainingError
from lesionlens.core.recipe import ModelRecipe, TrainingRecipe
from lesionlens.data.image import InputSpec
from lesionlens.explanation.attribution import build_explainer
from lesionlens.export.export import compare
from lesionlens.export.graph import GraphNetwork, run_graph, write_graph
from lesionlens.models.build import Normalise, build_network, check_takes
from lesionlens.models.catalogue import IMAGENET_MEAN, IMAGENET_STD, InputConfig, input_config
from lesionlens.training.loss import Loss, one_hot
from lesionlens.training.optimizer import build_optimizer

N_CLASSES = 7
SMALL_SIZE = 96
"""Side of the images of a trial where the network takes it: all is tried, in little time."""
STEP = TrainingRecipe(optimizer="sgd", learning_rate=1e-3, weight_decay=0.0)
N_IMAGES = 4


@dataclass(frozen=True)
class Trial:
    """What a network did.

    Attributes:
        name: of the network.
        size: side of its images, pixels.
        parameters: with a classifier of seven diagnoses.
        macs: multiply-accumulate operations for one image of that size.
        loss: of one batch, before the step.
        heat_map: kind of heat map, as `lesionlens explain` names it.
        maps_in_bundle: whether its bundle gives heat maps, which needs a closed form.
        largest_difference: between torch and each runtime, by runtime and output; see `bundle.outputs.Tolerance`.
    """

    name: str
    size: int
    parameters: int
    macs: int
    loss: float
    heat_map: str
    maps_in_bundle: bool
    largest_difference: dict[str, dict[str, float]]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return dict(vars(self))


def try_network(recipe: ModelRecipe, size: int = 0) -> Trial:
    """Build a network for seven diagnoses, take one training step, explain it, export it, and compare with torch.

    Args:
        recipe: name and weights.
        size: side of the images, pixels; 0 means a small size that it takes.

    Raises:
        ModelError: if it does not take the size, gives no finite maps, leaves parameters untrained, cannot be exported, or
            its graph computes something else.
        TrainingError: if the loss is not finite.
        WeightsError: if its weights are not available.
    """
    size = size or trial_size(recipe)
    check_takes(recipe, size)
    config = input_config(recipe.name) or InputConfig((3, size, size), False, IMAGENET_MEAN, IMAGENET_STD)
    spec = InputSpec(size=size, frame=size, resize="squash", mean=config.mean, std=config.std)
    pixels = np.random.default_rng(0).integers(0, 256, (N_IMAGES, size, size, 3), np.uint8)
    labels = torch.arange(N_IMAGES) % N_CLASSES
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(recipe, N_CLASSES, size)
        images = Normalise(spec.mean, spec.std)(torch.from_numpy(pixels).permute(0, 3, 1, 2)).contiguous()
        loss = _step(network, images, labels, recipe.name)
    heat_map = _explained(network, images, labels, size, recipe.name)
    graph = GraphNetwork(network, spec)
    return Trial(
        name=recipe.name,
        size=size,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=macs(network, size),
        loss=loss,
        heat_map=heat_map,
        maps_in_bundle=graph.has_maps,
        largest_difference=_exported(graph, pixels),
    )


def trial_size(recipe: ModelRecipe) -> int:
    """96 pixels if the network takes them, else the size of its pretrained weights."""
    config = input_config(recipe.name)
    if config is None:
        return SMALL_SIZE
    if not config.fixed_input_size:
        try:
            check_takes(recipe, SMALL_SIZE)
        except ModelError:
            pass
        else:
            return SMALL_SIZE
    return config.input_size[1]


def _step(network: nn.Module, images: Tensor, labels: Tensor, name: str) -> float:
    """One step of the optimizer; every parameter must get a gradient, else several processes could not train it."""
    optimizer = build_optimizer(network.train(), STEP)
    loss: Tensor = Loss(STEP, np.ones(N_CLASSES))(network(images), one_hot(labels, N_CLASSES))
    loss.backward()  # type: ignore[no-untyped-call]
    if not bool(torch.isfinite(loss)):
        raise TrainingError(
            f"{name}: the loss of its first batch is {float(loss.detach())}; it must be finite. Choose another network"
        )
    untrained = [key for key, value in network.named_parameters() if value.requires_grad and value.grad is None]
    if untrained:
        raise ModelError(
            f"{name}: {len(untrained)} parameters do not influence its logits, the first is {untrained[0]}; all must be trained"
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def _explained(network: nn.Module, images: Tensor, labels: Tensor, size: int, name: str) -> str:
    explainer = build_explainer(network, size, "auto")
    maps = explainer.explain(images[:1], labels[:1]).maps
    if not bool(torch.isfinite(maps).all()) or maps.ndim != 4:
        raise ModelError(f"{name}: its heat maps ({explainer.name}) are not finite; choose another network")
    return explainer.name


def _exported(graph: GraphNetwork, pixels: np.ndarray) -> dict[str, dict[str, float]]:
    reference = run_graph(graph, pixels)
    with tempfile.TemporaryDirectory(prefix="lesionlens-") as folder:
        path = Path(folder) / GRAPH_FILE
        write_graph(graph, path)
        runtimes = compare(path, pixels, reference, Tolerance())["runtimes"]
    return {runtime: dict(found["largest_difference"]) for runtime, found in runtimes.items()}
