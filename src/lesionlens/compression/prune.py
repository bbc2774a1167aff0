"""Pruning: set weights to zero (the paper), or remove whole channels, which makes a network smaller and faster."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lesionlens.compression.finetune import EpochCallback, check_elsewhere, continue_training, rescheduled
from lesionlens.core.artifact import hash_file
from lesionlens.core.errors import ModelError, RecipeError
from lesionlens.core.recipe import CompressionRecipe
from lesionlens.evaluation.evaluate import check_belongs
from lesionlens.models.channel_pruned import reshape_to
from lesionlens.models.concept_bottleneck import ConceptBottleneck, bottleneck_of
from lesionlens.training.checkpoint import CheckpointInfo, load_network, save_network
from lesionlens.training.distill import Teacher
from lesionlens.training.distributed import World
from lesionlens.training.loop import Progress
from lesionlens.training.run import BEST_FILE, Derivation, TrainingData

MULTIPLE_OF = 8  # int8 kernels take channels in eights and sixteens
RELATIVE_TOLERANCE = 1e-4  # of the largest logit: a network and its copy, read back, differ by rounding alone


def prune_unstructured(network: nn.Module, sparsity: float) -> nn.Module:
    """A copy whose smallest weights are zero, over all convolutions and linear layers together.

    The magnitude criterion of Han 2015 with one threshold for the network, like torch's
    `prune.global_unstructured(..., L1Unstructured)`. Biases and norms stay. Dense kernels multiply
    zeros like any other number: neither time nor size falls.

    Args:
        network: stays as it is.
        sparsity: share of the weights to set to zero, in [0, 1).

    Raises:
        RecipeError: if `sparsity` is out of range.
    """
    CompressionRecipe.check(sparsity=sparsity)
    pruned = copy.deepcopy(network)
    layers = [module for module in pruned.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    weights = [layer.weight.data for layer in layers if not isinstance(layer, ConceptBottleneck)]  # made of two other layers
    sizes = torch.cat([weight.abs().flatten() for weight in weights])
    mask = torch.ones_like(sizes)
    mask[torch.topk(sizes, round(sparsity * len(sizes)), largest=False).indices] = 0
    for weight, part in zip(weights, torch.split(mask, [weight.numel() for weight in weights]), strict=True):
        weight.mul_(part.view(weight.shape))
    return pruned


def pruned(checkpoint: Path, out: Path, recipe: CompressionRecipe) -> Path:
    """Write `checkpoint` with `recipe.sparsity` of its weights set to zero, as a normal checkpoint.

    Args:
        checkpoint: best.safetensors of a run.
        out: folder for the new best.safetensors.
        recipe: `sparsity` is used.

    Returns:
        The new file. It contains no validation metrics, because none are measured.

    Raises:
        CheckpointError: if `checkpoint` is damaged.
        RecipeError: if `out` is its own folder.
    """
    check_elsewhere(checkpoint, out)
    network, info = load_network(checkpoint)
    settings = {"sparsity": recipe.sparsity}
    info = _derived_info(info, "pruned", checkpoint, settings, recipe)
    save_network(prune_unstructured(network, recipe.sparsity), replace(info, metrics={}), out / BEST_FILE)
    return out / BEST_FILE


def prune_structured(network: nn.Module, size: int, share: float, multiple_of: int = MULTIPLE_OF) -> nn.Module:
    """A copy with `share` of the channels of every layer removed: fewer parameters, products and milliseconds.

    Layers whose channels are tied to one another, by a residual connection for example, lose the
    same ones (Fang 2023, DepGraph): those with the smallest sum of squared weights, averaged over
    the layers. Each such group is ranked by itself and loses the same share, so that the widths,
    and with them the time, do not depend on the weights. The number kept is rounded to a multiple
    of `multiple_of`; the classifier keeps its classes. Grouped convolutions other than depthwise
    ones keep their channels.

    Ranking by what the loss would change (Taylor, Molchanov 2019; 512 training images) was tried
    on MobileNetV2 and HAM10000: with 10, 20 and 30 % removed, before fine-tuning, its validation
    loss was higher each time (0.635, 0.836, 0.957 against 0.628, 0.784, 0.917).

    Args:
        network: a convolutional network of timm; stays as it is.
        size: side of its input, pixels.
        share: in [0, 1).
        multiple_of: from 1.

    Raises:
        RecipeError: if `share` or `multiple_of` is out of range.
        ModelError: if torch-pruning is not installed, or the network cannot lose channels.
    """
    CompressionRecipe.check(channels_removed=share)
    if bottleneck_of(network) is not None:
        raise ModelError(
            "a network with a concept bottleneck cannot lose channels; leave the channel-pruned variants out, or train without "
            "concepts"
        )
    if multiple_of < 1:
        raise RecipeError(f"multiple_of = {multiple_of}; it must be at least 1")
    library = require_torch_pruning()
    cut = copy.deepcopy(network).eval().requires_grad_(True)
    try:
        with torch.enable_grad():
            graph = library.DependencyGraph().build_dependency(cut, torch.zeros(1, 3, size, size), verbose=False)
        rank = library.importance.GroupMagnitudeImportance(p=2)
        _remove_channels(graph, rank, cut.get_classifier(), share, multiple_of)  # type: ignore[operator]
        _check_rereadable(network, cut, size)
    except (ModelError, RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise ModelError(
            f"channels of {type(network).__name__} cannot be removed ({' '.join(str(error).split())[:160]}); pruning needs a "
            "convolutional network such as ConvNeXt, MobileNet, EfficientNet or ResNet. Make a smaller one by distillation"
        ) from error
    return cut.train(network.training)


def require_torch_pruning() -> Any:
    """The library that removes channels.

    Raises:
        ModelError: if it is not installed.
    """
    try:
        import torch_pruning
    except ImportError as error:
        raise ModelError(
            "torch-pruning is not installed; channels are removed with it. Install it with: pip install 'lesionlens[compress]'"
        ) from error
    return torch_pruning


def _remove_channels(graph: Any, rank: Any, classifier: nn.Module, share: float, multiple_of: int) -> None:
    """Rank all groups before any channel is removed, then prune the layers in place."""
    cuts = []
    for group in graph.get_all_groups(ignored_layers=[classifier]):
        if any(_is_grouped(dependency.target.module) for dependency, _ in group):
            continue
        root = group[0].dep
        removed = _lowest(rank(group), share, multiple_of)
        if removed:
            cuts.append((root.target.module, root.handler, removed))
    for module, handler, removed in cuts:
        group = graph.get_pruning_group(module, handler, removed)
        if graph.check_pruning_group(group):
            group.prune()


def _is_grouped(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.groups < module.in_channels


def _lowest(ranks: Tensor, share: float, multiple_of: int) -> list[int]:
    """Channels to remove, those of lowest rank; the rest is rounded to a multiple of `multiple_of`, at least one of it."""
    multiples = max(1, math.floor(len(ranks) * (1 - share) / multiple_of + 0.5))
    n_removed = max(0, len(ranks) - multiple_of * multiples)
    return sorted(torch.argsort(ranks)[:n_removed].tolist())


@torch.no_grad()
def _check_rereadable(network: nn.Module, cut: nn.Module, size: int) -> None:
    """Refuse a pruned network that cannot be rebuilt from its tensors alone."""
    again = copy.deepcopy(network).eval()
    reshape_to(again, cut.state_dict(), size)
    again.load_state_dict(cut.state_dict())
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    logits, expected = again(images), cut(images)
    if logits.shape != expected.shape or (logits - expected).abs().max() > RELATIVE_TOLERANCE * expected.abs().max():
        raise ModelError("its tensors do not determine its shape")


def channel_pruned(
    checkpoint: Path,
    inputs: TrainingData,
    recipe: CompressionRecipe,
    out: Path,
    progress: Progress | None = None,
    *,
    on_epoch: EpochCallback | None = None,
    world: World | None = None,
) -> Path:
    """Remove channels of a trained network, and fine-tune the rest with the original network as its teacher.

    Augmentation, loss and optimiser are those of the checkpoint's own recipe; epochs and peak rate
    are `recipe`'s. The best epoch on the validation split is kept. After an interruption, the
    same call resumes after the last whole epoch.

    Args:
        checkpoint: best.safetensors of a run.
        inputs: its training data.
        recipe: channels_removed, fine_tune_epochs (0 skips fine-tuning),
            fine_tune_learning_rate, distillation_temperature and distillation_weight are used.
        out: folder for best.safetensors, last.safetensors and history.jsonl.
        progress: called with the number of images of each batch, epochs x len(inputs.plan) in all.
        on_epoch: called with each finished epoch.
        world: the device; the best available one by default.

    Returns:
        The new best.safetensors; `load_network` reads it like any other.

    Raises:
        CheckpointError: if the checkpoint belongs to another split, other pixels or other diagnoses, or
            `out` holds another run.
        ModelError: if torch-pruning is not installed, or the network cannot lose channels.
        RecipeError: if `out` is the checkpoint's own folder.
        TrainingError: if the loss becomes NaN or infinite.
    """
    check_elsewhere(checkpoint, out)
    network, info = load_network(checkpoint)
    check_belongs(checkpoint, info, inputs)
    cut = prune_structured(network, info.spec.size, recipe.channels_removed)
    names = ("channels_removed", "distillation_temperature", "distillation_weight")
    settings = {name: getattr(recipe, name) for name in names}
    info = replace(_derived_info(info, "channel-pruned", checkpoint, settings, recipe), channel_pruned=True)
    if recipe.fine_tune_epochs == 0:
        save_network(cut, replace(info, metrics={}), out / BEST_FILE)
        return out / BEST_FILE
    training = rescheduled(info.recipe.training, recipe.fine_tune_epochs, recipe.fine_tune_learning_rate)
    weight = recipe.distillation_weight
    teacher = Teacher(network, recipe.distillation_temperature, weight) if weight > 0 else None
    derivation = Derivation(info.derived, info.spec, cut, channel_pruned=True, teacher=teacher)
    return continue_training(inputs, replace(info.recipe, training=training), out, derivation, progress, on_epoch, world)


def _derived_info(
    info: CheckpointInfo, by: str, checkpoint: Path, settings: dict[str, Any], compression: CompressionRecipe
) -> CheckpointInfo:
    """The metadata of a checkpoint derived from another."""
    derived = {"by": by, "parent": hash_file(checkpoint), **settings}
    recipe = replace(info.recipe, name=f"{info.recipe.name} {by}", compression=compression)
    return replace(info, recipe=recipe, derived=derived)
