"""The concept bottleneck of a network as the NumPy weights of a bundle."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lesionlens.bundle.concepts import ConceptWeights
from lesionlens.export.graph import GraphNetwork
from lesionlens.models.concept_bottleneck import ConceptBottleneck


@torch.no_grad()
def concept_weights(bottleneck: ConceptBottleneck, graph: GraphNetwork, features: np.ndarray) -> ConceptWeights:
    """Its weights, with an example that a bundle is checked on whenever it is loaded.

    Args:
        bottleneck: of the network.
        graph: of the bundle; where heat maps have a closed form, its features are those before the LayerNorm.
        features: that the graph gives for some images, (M, C).
    """
    norm = graph.head.norm if graph.head is not None else None
    inputs = torch.from_numpy(features).to(bottleneck.concepts.weight)
    values = torch.sigmoid(bottleneck.concepts(inputs if norm is None else _normed(inputs, norm)))
    scale, shift = _affine(norm)
    arrays = (bottleneck.concepts.weight, bottleneck.concepts.bias, bottleneck.diagnoses.weight, inputs, values)
    epsilon = np.array([0.0 if norm is None else norm.eps])
    return ConceptWeights(scale, shift, epsilon, *(array.float().cpu().numpy() for array in arrays))


def _normed(features: Tensor, norm: nn.LayerNorm) -> Tensor:
    """LayerNorm of pooled features (M, C), also by a norm that is made for feature maps."""
    return nn.functional.layer_norm(features, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _affine(norm: nn.LayerNorm | None) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of a LayerNorm, (C,) each; empty without one."""
    if norm is None:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    width = norm.normalized_shape[0]
    scale = torch.ones(width) if norm.weight is None else norm.weight
    shift = torch.zeros(width) if norm.bias is None else norm.bias
    return scale.float().cpu().numpy(), shift.float().cpu().numpy()
