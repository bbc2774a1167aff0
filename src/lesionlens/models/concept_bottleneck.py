"""A concept bottleneck: the diagnosis follows from a few concepts, and from nothing else (Koh 2020).

Koh P. W., Nguyen T., Tang Y. S. et al., "Concept bottleneck models", ICML 2020; the joint training of section 3, in which the
diagnoses see the logits of the concepts. As both layers are linear, the classifier as a whole is linear in the features: heat
maps keep their closed form, and every graph and runtime stays as it is. The concepts are read from the features beside the graph.

What it does not do: a network that is trained jointly may put more into the logit of a concept than the concept (Mahinpei 2021,
"Promises and pitfalls of black-box concept learning models"), so a value is an estimate, not a finding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ConceptBottleneck(nn.Linear):
    """A linear classifier of low rank: features to concepts, concepts to diagnoses.

    Args:
        features: channels of the features, C.
        n_concepts: outputs of the bottleneck, U.
        n_classes: number of diagnoses, K.
    """

    def __init__(self, features: int, n_concepts: int, n_classes: int) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = features, n_classes
        self.concepts = nn.Linear(features, n_concepts)
        self.diagnoses = nn.Linear(n_concepts, n_classes)
        nn.init.normal_(self.concepts.weight, std=0.01)
        nn.init.zeros_(self.concepts.bias)
        nn.init.zeros_(self.diagnoses.bias)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """Of the classifier as a whole, (K, C)."""
        return self.diagnoses.weight @ self.concepts.weight

    @property
    def bias(self) -> Tensor:  # type: ignore[override]
        """Of the classifier as a whole, (K,)."""
        return torch.mv(self.diagnoses.weight, self.concepts.bias) + self.diagnoses.bias

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, K) of features (N, C)."""
        logits: Tensor = self.diagnoses(self.concepts(features))
        return logits


def install_bottleneck(network: Any, n_concepts: int) -> ConceptBottleneck:
    """Put a new bottleneck in the place of a network's linear classifier.

    Args:
        network: with `get_classifier`; changed in place.
        n_concepts: outputs of the bottleneck.
    """
    classifier = network.get_classifier()
    name = next(name for name, module in network.named_modules() if module is classifier)
    bottleneck = ConceptBottleneck(classifier.in_features, n_concepts, classifier.out_features)
    owner, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(owner), attribute, bottleneck.to(classifier.weight.device))
    return bottleneck


def bottleneck_of(network: Any) -> ConceptBottleneck | None:
    """The bottleneck of a network; None if its classifier is plain."""
    classifier = network.get_classifier() if hasattr(network, "get_classifier") else None
    return classifier if isinstance(classifier, ConceptBottleneck) else None
